package job

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/postgres"
)

// DropLesson takes a lesson that is being deleted out of the work: jobs that work
// on it alone are canceled, and a course's render job goes on without it.
func DropLesson(ctx context.Context, tx postgres.Querier, organization, lesson string) error {
	if err := CancelSubject(ctx, tx, organization, lesson); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT job_id
		FROM job_steps
		WHERE organization_id = $1 AND kind = 'render' AND subject = $2
			AND state IN ('blocked', 'queued', 'running', 'delivered')`, organization, lesson)
	if err != nil {
		return postgres.Fault(err)
	}
	jobs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return postgres.Fault(err)
	}
	for _, j := range jobs {
		if err := lock(ctx, tx, organization, j); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			DELETE FROM job_steps
			WHERE organization_id = $1 AND job_id = $2 AND kind = 'render' AND subject = $3
				AND state IN ('blocked', 'queued', 'running', 'delivered')`, organization, j, lesson)
		if err != nil {
			return postgres.Fault(err)
		}
		if _, err := settle(ctx, tx, organization, j); err != nil {
			return err
		}
	}
	return nil
}
