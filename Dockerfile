# check=error=true
# One image for each function, and for migrate:
#   docker buildx build --build-arg FUNCTION=chat --target plain .
#   docker buildx build --build-arg FUNCTION=render --target media .
# scripts/images.sh gives the rest. All that runs in them is non-root and writes to /tmp only.
# Bases are pinned by digest: a rebuild is the same image, and a new base is a commit.

FROM golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d AS build
ENV CGO_ENABLED=0 GOOS=linux GOARCH=amd64 GOTOOLCHAIN=local
WORKDIR /src
COPY . .
ARG FUNCTION
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    package=./functions/$FUNCTION/cmd; if [ "$FUNCTION" = migrate ]; then package=./migrations/cmd/migrate; fi; \
    go build -trimpath -buildvcs=false -tags=container,grpcnotrace -ldflags="-s -w" -o /lectern "$package"

# A static program, certificates and time zones: no shell, no libc.
FROM gcr.io/distroless/static-debian13:nonroot@sha256:1c2c046bc09ed40fad370b599a0b1ae7987f55b01e247cf27a7c27cd97e5bbc7 AS plain
COPY --from=build /lectern /lectern
USER 65532:65532
ARG FUNCTION REVISION SOURCE CREATED
LABEL org.opencontainers.image.title="lectern-$FUNCTION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.created="$CREATED"
ENTRYPOINT ["/lectern"]

# What renders films and reads documents has children: the programs and fonts that
# scripts/setup.sh installs, from the Debian that the tests run on.
FROM debian:bookworm-20260824-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171 AS media
# Their security fixes are those of this day: write another one to have them anew.
ARG DEBIAN_AS_OF=2026-11-22
RUN echo "Debian as of $DEBIAN_AS_OF" \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get upgrade -y \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
       ca-certificates espeak-ng ffmpeg fonts-noto-cjk fonts-noto-color-emoji fonts-noto-core poppler-utils \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
COPY --from=build /lectern /lectern
ENV HOME=/tmp
USER 65532:65532
ARG FUNCTION REVISION SOURCE CREATED
LABEL org.opencontainers.image.title="lectern-$FUNCTION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.created="$CREATED"
ENTRYPOINT ["/lectern"]
