#!/usr/bin/env bash
# Format, vet, staticcheck. What they find is printed; the exit code says whether it is clean.
# Usage: lint.sh
set -euo pipefail
cd "$(dirname "$0")/.."
unformatted=$(go tool -modfile=tools/go.mod gofumpt -l .)
if [ -n "$unformatted" ]; then
  printf 'Not formatted (make fmt):\n%s\n' "$unformatted" >&2
  exit 1
fi
go mod verify >/dev/null
go vet ./...
go vet -tags container,grpcnotrace ./functions/...
go vet -tags crashpoints,grpcnotrace ./internal/crash
go tool -modfile=tools/go.mod staticcheck ./...
(cd tools/dockerfile && go run . ../../Dockerfile)
