#!/usr/bin/env bash
# Measures, and shows the figures beside those of the last release (bench/baseline.txt).
# Machines differ and are shared: read the ratios, and run it twice before you believe one.
# Usage: bench.sh [packages]; COUNT=6 for confidence intervals; SAVE=1 makes this run the baseline.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=("$@")
[ ${#packages[@]} -gt 0 ] || mapfile -t packages < <(git grep -lE '^func Benchmark' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|')
new=$(mktemp)
trap 'rm -f "$new"' EXIT
go test -run '^$' -bench . -benchmem -count "${COUNT:-1}" -timeout 60m -p 1 "${packages[@]}" | tee "$new"
if [ -n "${SAVE:-}" ]; then
  mkdir -p bench && cp "$new" bench/baseline.txt
elif [ -f bench/baseline.txt ]; then
  echo
  go tool -modfile=tools/go.mod benchstat baseline=bench/baseline.txt now="$new"
fi
