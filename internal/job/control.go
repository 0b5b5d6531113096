package job

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/trail"
)

// Cancel ends an open job. Its workers notice at their next heartbeat, stop within
// two seconds and write nothing more; what succeeded before is kept. Canceling a
// job that has ended gives it back unchanged.
func (r *Runner) Cancel(ctx context.Context, organization, job string) (Job, error) {
	var j Job
	var canceled []string
	err := postgres.InTx(ctx, r.DB, func(tx pgx.Tx) error {
		var err error
		if canceled, err = cancel(ctx, tx, organization, `job_id = $2`, job); err != nil {
			return err
		}
		j, err = Get(ctx, tx, organization, job)
		return err
	})
	if err != nil {
		return Job{}, err
	}
	if len(canceled) > 0 {
		r.ended(ctx, j)
	}
	r.Show(ctx, j)
	return j, nil
}

// CancelCourse ends the open jobs of a course that is being deleted. What ends with what
// it worked on has no line in the log: nobody looks for its outcome.
func CancelCourse(ctx context.Context, tx postgres.Querier, organization, course string) error {
	_, err := cancel(ctx, tx, organization, `course_id = $2`, course)
	return err
}

// CancelSubject ends the open jobs that work on a source, lesson or course.
func CancelSubject(ctx context.Context, tx postgres.Querier, organization, subject string) error {
	_, err := cancel(ctx, tx, organization, `subject = $2`, subject)
	return err
}

// cancel ends the open jobs that where selects, and gives their ids; where is one of the
// constants above. The steps are a statement of their own: it sees those that a worker
// added while this transaction waited for the job's row.
func cancel(ctx context.Context, tx postgres.Querier, organization, where, arg string) (jobs []string, err error) {
	rows, err := tx.Query(ctx, `
		UPDATE jobs
		SET state = 'canceled', waiting_for = '', message = '', version = version + 1, finished_at = now()
		WHERE organization_id = $1 AND `+where+` AND state IN ('queued', 'running', 'waiting')
		RETURNING job_id`, organization, arg)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	jobs, err = pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(jobs) == 0 {
		return nil, postgres.Fault(err)
	}
	_, err = tx.Exec(ctx, `
		UPDATE job_steps
		SET state = 'canceled', lease_until = NULL, changed_at = now()
		WHERE organization_id = $1 AND job_id = ANY($2) AND state IN ('blocked', 'queued', 'running', 'delivered')`, organization, jobs)
	return jobs, postgres.Fault(err)
}

// Resume goes on with a job that failed, was canceled or waits. Steps that
// succeeded are not run again. What follows is what follows from this request.
func (r *Runner) Resume(ctx context.Context, organization, job string) (Job, error) {
	var j Job
	err := postgres.InTx(ctx, r.DB, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, organization, job); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE jobs
			SET state = 'queued', waiting_for = '', error = '', finished_at = NULL, started_at = NULL, trail = $3, done_before = (
				SELECT coalesce(sum(done), 0) FROM job_steps
				WHERE organization_id = $1 AND job_id = $2 AND state = 'succeeded')
			WHERE organization_id = $1 AND job_id = $2 AND state IN ('failed', 'canceled', 'waiting')`, organization, job, trail.From(ctx).String())
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			j, err := Get(ctx, tx, organization, job)
			if err != nil {
				return err
			}
			return fault.New(fault.Conflict, "The job is %s: only one that failed, was canceled or waits can be resumed.", j.State)
		}
		// The tasks of those that were queued while the job waited have been acknowledged.
		_, err = tx.Exec(ctx, `
			UPDATE job_steps
			SET state = CASE state WHEN 'queued' THEN 'queued' ELSE 'blocked' END,
				failures = 0, done = 0, error = '', sends = sends + 1, changed_at = now(), due_at = now()
			WHERE organization_id = $1 AND job_id = $2 AND state IN ('failed', 'canceled', 'queued')`, organization, job)
		if err != nil {
			return err
		}
		if j, err = settle(ctx, tx, organization, job); err != nil {
			return err
		}
		return r.Admit(ctx, tx, j)
	})
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "23505" {
		return Job{}, fault.New(fault.Conflict, "A newer job is already doing this work.")
	}
	if err != nil {
		return Job{}, err
	}
	r.Show(ctx, j)
	r.follow(ctx, j)
	return j, nil
}
