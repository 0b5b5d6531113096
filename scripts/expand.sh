#!/usr/bin/env bash
# Runs the tests of an older commit on the newest schema: what the binaries of the last
# release meet between a migration and the move of traffic, and after a roll-back. Tests
# that hold the schema itself against a list are left out: they know their own only.
# Usage: expand.sh [COMMIT] [PACKAGE…]
#   COMMIT    the one that serves; without it the last before the newest migration
#   PACKAGE   such as ./internal/job; without one all that use the database (minutes)
set -euo pipefail
cd "$(dirname "$0")/.."
newest=$(git ls-files 'migrations/[0-9]*.sql' | sort | tail -n 1)
commit=${1:-$(git log --diff-filter=A --format=%H -- "$newest" | tail -n 1)^}
git rev-parse -q --verify "$commit^{commit}" >/dev/null || { echo "This clone does not reach back to $commit." >&2; exit 2; }
work=$(mktemp -d)
trap 'git worktree remove --force "$work/old" 2>/dev/null; rm -rf "$work"' EXIT
git worktree add -q --detach "$work/old" "$commit"
cp migrations/[0-9]*.sql "$work/old/migrations/" # the new ones, and those it had
cd "$work/old"
echo "$(git log -1 --format='%h %s'), on $(basename "$newest")"
packages=("${@:2}")
[ ${#packages[@]} -gt 0 ] || mapfile -t packages < <(git grep -l 'postgres/pgtest"' -- '*_test.go' | xargs -n1 dirname | sort -u |
  grep -vE '^(internal/e2e|internal/matrix|functions/(local|web)|migrations)' | sed 's|^|./|')
go test -tags=grpcnotrace -vet=off -p 2 "${packages[@]}"
