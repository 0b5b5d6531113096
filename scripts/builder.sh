#!/usr/bin/env bash
# Starts the builder of images, if it does not stand: BuildKit in a container, which can
# keep its cache in a registry and write times as they are told. Images of the Docker Hub
# come by Google's mirror of it, which has no limit for its own machines.
# Usage: builder.sh
set -euo pipefail
! docker buildx inspect lectern >/dev/null 2>&1 || exit 0
buildkit=moby/buildkit:v0.29.0@sha256:0039c1d47e8748b5afea56f4e85f14febaf34452bd99d9552d2daa82262b5cc5
settings=$(mktemp)
trap 'rm -f "$settings"' EXIT
printf '[registry."docker.io"]\n  mirrors = ["mirror.gcr.io"]\n[worker.oci]\n  max-parallelism = 3\n' >"$settings" # ten linkers at once do not fit into 8 GB
echo "→ starting $buildkit"
docker buildx create --name lectern --driver docker-container --driver-opt "image=$buildkit" \
  --buildkitd-config "$settings" --bootstrap
