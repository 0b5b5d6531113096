#!/usr/bin/env bash
# What is checked before anything is released, once more and where it is released: that
# modules are what they were, that none of them is known to be vulnerable, and every test
# that needs no installed part. The rest is CI's (make test), before a commit is in main.
# Usage: checks.sh
set -euo pipefail
cd "$(dirname "$0")/.."
go mod verify
go tool -modfile=tools/go.mod govulncheck -tags=container,grpcnotrace ./functions/... ./migrations/...
go vet -tags=grpcnotrace ./...
go test -short -vet=off -tags=grpcnotrace ./...
