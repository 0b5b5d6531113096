package account

import (
	"context"

	"lectern.dev/lectern/internal/postgres"
)

// Expire removes sign-ins and links whose time is over, and allowances that are
// whole again: at most 1000 of each. It tells how many. For the sweep, of all
// organisations.
func Expire(ctx context.Context, q postgres.Querier) (int, error) {
	var removed int
	err := q.QueryRow(ctx, `
		WITH s AS (
			DELETE FROM sign_ins
			WHERE sign_in_id IN (SELECT sign_in_id FROM sign_ins WHERE expires_at < now() LIMIT 1000)
			RETURNING 1
		), l AS (
			DELETE FROM links
			WHERE link_id IN (SELECT link_id FROM links WHERE expires_at < now() LIMIT 1000)
			RETURNING 1
		), t AS (
			DELETE FROM throttles
			WHERE key IN (SELECT key FROM throttles WHERE until < now() LIMIT 1000) AND until < now()
			RETURNING 1
		)
		SELECT (SELECT count(*) FROM s) + (SELECT count(*) FROM l) + (SELECT count(*) FROM t)`).Scan(&removed)
	return removed, postgres.Fault(err)
}
