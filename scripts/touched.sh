#!/usr/bin/env bash
# Which functions does a commit touch? Named is each by what its image is made from:
# its packages with what they embed, the versions of its modules, the Dockerfile.
# An image with that name that is there already is not built again.
# Usage: touched.sh              writes .release/sources (function, target, name) and
#                                .release/commit
#        touched.sh COMMIT       shows what differs from COMMIT, and for which functions
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then
  exec go run ./internal/release/touched -since "$1"
fi
mkdir -p .release
go run ./internal/release/touched >.release/sources.new
mv .release/sources.new .release/sources
# What an image says of its commit: who builds it need not have git.
{
  git rev-parse HEAD
  git show -s --format=%ct HEAD
  git config --get remote.origin.url | sed -E 's|//[^@/]*@|//|' || true # without a token that may stand in it
} >.release/commit
cat .release/sources
