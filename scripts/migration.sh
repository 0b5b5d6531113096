#!/usr/bin/env bash
# Makes the next numbered migration. Usage: migration.sh add_things
set -euo pipefail
cd "$(dirname "$0")/../migrations"
[[ "${1:-}" =~ ^[a-z][a-z0-9_]*$ ]] || { echo "usage: make migration NAME=add_things" >&2; exit 2; }
last=$(ls [0-9]*.sql | tail -n 1)
file=$(printf '%04d_%s.sql' $((10#${last%%_*} + 1)) "$1")
printf -- '-- +goose Up\n\n-- +goose Down\n' >"$file"
echo "migrations/$file"
