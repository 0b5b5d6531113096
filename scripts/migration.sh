#!/usr/bin/env bash
# Makes the next numbered migration, with the rules for its author in it.
# Usage: migration.sh add_things
set -euo pipefail
cd "$(dirname "$0")/../migrations"
[[ "${1:-}" =~ ^[a-z][a-z0-9_]*$ ]] || { echo "usage: make migration NAME=add_things" >&2; exit 2; }
newest=$(find . -maxdepth 1 -name '[0-9][0-9][0-9][0-9]_*.sql' -printf '%f\n' | sort | tail -n 1)
file=$(printf '%04d_%s.sql' $((10#${newest%%_*} + 1)) "$1")
cat >"$file" <<'SQL'
-- +goose Up

-- Say what it is for, and take these lines out. The rules are in migrations.go:
-- * The release before this one works on with the new schema. So only add: tables, columns
--   with a default or without NOT NULL, indexes. What nothing uses any more goes in a later
--   release, in a file that begins with "-- contract of 0006", the one that replaced it.
-- * It is one transaction, and nobody can use a table that it changes: neither write a
--   large one anew here nor fill it; constraints are NOT VALID at first.
-- * An index on a table that has rows is made in a file of its own, each statement of which
--   can be done again:
--     -- +goose NO TRANSACTION
--     SET lock_timeout = 0;
--     DROP INDEX CONCURRENTLY IF EXISTS things_by_name;
--     CREATE INDEX CONCURRENTLY things_by_name ON things (name);
--     RESET lock_timeout;
-- * A table of tenants gets its wall: ROW LEVEL SECURITY, its two policies, the least rights.
-- * There is no way down: a mistake is mended by the next migration.
-- scripts/expand.sh tries the release before on it, by that release's own tests.
SQL
echo "migrations/$file"
