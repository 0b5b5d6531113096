package course

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/postgres"
)

// Remover is the part of a bucket that Clean needs.
type Remover interface {
	blob.Store
	blob.Lister
}

// Clean removes from the bucket what was deleted, and tells how many objects that
// were. A prefix is cleaned at once, then each hour for a day: an upload whose URL
// was signed before, or a worker that wakes up late, may still put something there.
// It works across all organizations, a hundred prefixes a call.
func Clean(ctx context.Context, q postgres.Querier, bucket Remover) (int, error) {
	rows, err := q.Query(ctx, `
		SELECT prefix
		FROM deletions
		WHERE cleaned_at IS NULL OR cleaned_at < now() - interval '1 hour'
		ORDER BY created_at
		LIMIT 100`)
	if err != nil {
		return 0, postgres.Fault(err)
	}
	prefixes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, postgres.Fault(err)
	}
	removed := 0
	var errs []error
	for _, prefix := range prefixes {
		n, err := blob.DeletePrefix(ctx, bucket, prefix)
		removed += n
		if err != nil {
			errs = append(errs, err)
			continue
		}
		_, err = q.Exec(ctx, `
			WITH over AS (
				DELETE FROM deletions
				WHERE prefix = $1 AND created_at < now() - interval '1 day')
			UPDATE deletions
			SET cleaned_at = now()
			WHERE prefix = $1 AND created_at >= now() - interval '1 day'`, prefix)
		errs = append(errs, err)
	}
	return removed, postgres.Fault(errors.Join(errs...))
}
