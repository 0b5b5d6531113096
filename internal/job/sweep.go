package job

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/trail"
)

// Swept counts what a sweep found.
type Swept struct {
	Lost    int // queued steps whose task had vanished
	Stuck   int // running steps whose worker had vanished
	Unheard int // delivered steps whose event had not come
}

// sweepLimit bounds what one sweep takes on of each sort; the next goes on.
const sweepLimit = 200

// Sweep makes good what was lost on the way, across all organizations: it sends
// tasks again for steps that nobody has taken, frees steps whose worker is gone,
// and hands delivered steps to unheard, which looks whether their result is there
// and completes them. One that is not there is queued again, and counts as failed.
func (r *Runner) Sweep(ctx context.Context, unheard func(ctx context.Context, s Step) (found bool, err error)) (Swept, error) {
	var swept Swept
	var errs []error
	lost, err := r.renew(ctx, `
		UPDATE job_steps s
		SET sends = sends + 1, changed_at = now()
		FROM jobs j
		WHERE s.job_id = j.job_id AND (s.job_id, s.name) IN (
			SELECT s.job_id, s.name FROM job_steps s JOIN jobs j USING (job_id)
			WHERE s.state = 'queued' AND j.state IN ('queued', 'running')
				AND s.changed_at < now() - interval '1 minute' * least(1 + s.sends, 10)
			ORDER BY s.changed_at
			LIMIT $1
			FOR UPDATE OF s SKIP LOCKED)
		RETURNING j.kind, s.job_id, s.name, s.sends, j.trail`, sweepLimit)
	swept.Lost, errs = lost, append(errs, err)
	stuck, err := r.renew(ctx, `
		UPDATE job_steps s
		SET state = 'queued', failures = failures + 1, lease_until = NULL, sends = sends + 1, changed_at = now(), due_at = now()
		FROM jobs j
		WHERE s.job_id = j.job_id AND (s.job_id, s.name) IN (
			SELECT job_id, name FROM job_steps
			WHERE state = 'running' AND lease_until < now() - interval '5 seconds'
			ORDER BY lease_until
			LIMIT $1
			FOR UPDATE SKIP LOCKED)
		RETURNING j.kind, s.job_id, s.name, s.sends, j.trail`, sweepLimit)
	swept.Stuck, errs = stuck, append(errs, err)
	delivered, err := r.undelivered(ctx)
	errs = append(errs, err)
	for _, s := range delivered {
		ctx := postgres.WithOrganization(ctx, s.Organization)
		found, err := unheard(ctx, s)
		if err == nil && !found {
			_, err = r.renew(ctx, `
				UPDATE job_steps s
				SET state = 'queued', failures = failures + 1, lease_until = NULL, sends = sends + 1, changed_at = now(), due_at = now()
				FROM jobs j
				WHERE s.job_id = j.job_id AND s.organization_id = $1 AND s.job_id = $2 AND s.name = $3 AND s.attempt = $4 AND s.state = 'delivered'
				RETURNING j.kind, s.job_id, s.name, s.sends, j.trail`, s.Organization, s.Job, s.Name, s.Attempt)
		}
		swept.Unheard++
		errs = append(errs, err)
	}
	return swept, errors.Join(errs...)
}

// renew runs a statement that frees steps, and sends a task for each, which goes on from
// the request that the job began with.
func (r *Runner) renew(ctx context.Context, sql string, args ...any) (int, error) {
	rows, err := r.DB.Query(ctx, sql, args...)
	if err != nil {
		return 0, postgres.Fault(err)
	}
	type freed struct {
		Kind      Kind
		Job, Name string
		Sends     int64
		Trail     string
	}
	steps, err := pgx.CollectRows(rows, pgx.RowToStructByPos[freed])
	if err != nil {
		return 0, postgres.Fault(err)
	}
	var errs []error
	for _, s := range steps {
		ctx, span := trail.Follow(ctx, trail.Parse(s.Trail), "send again")
		err := r.send(ctx, s.Kind, Ref{s.Job, s.Name}, s.Sends)
		span.End(err)
		errs = append(errs, err)
	}
	return len(steps), errors.Join(errs...)
}

// undelivered lists the steps whose event is overdue.
func (r *Runner) undelivered(ctx context.Context) ([]Step, error) {
	rows, err := r.DB.Query(ctx, `
		SELECT s.job_id, s.name, s.organization_id, j.course_id, s.kind, s.subject, s.content, s.attempt
		FROM job_steps s JOIN jobs j USING (job_id)
		WHERE s.state = 'delivered' AND s.lease_until < now()
		ORDER BY s.lease_until
		LIMIT $1`, sweepLimit)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	steps, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Step, err error) {
		err = row.Scan(&s.Job, &s.Name, &s.Organization, &s.CourseID, &s.Kind, &s.Subject, &s.Content, &s.Attempt)
		return s, err
	})
	return steps, postgres.Fault(err)
}

// TakeDown removes from the board what ended more than a day ago, and tells how
// many documents that were: who asks later reads the database.
func (r *Runner) TakeDown(ctx context.Context) (int, error) {
	rows, err := r.DB.Query(ctx, `
		UPDATE jobs
		SET shown_version = -1
		WHERE job_id IN (
			SELECT job_id FROM jobs
			WHERE finished_at < now() - interval '1 day' AND shown_version >= 0
			ORDER BY finished_at
			LIMIT $1)
		RETURNING job_id`, sweepLimit)
	if err != nil {
		return 0, postgres.Fault(err)
	}
	jobs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, postgres.Fault(err)
	}
	var errs []error
	for _, j := range jobs {
		errs = append(errs, r.Board.Remove(ctx, j)) // one that stays expires by itself
	}
	return len(jobs), errors.Join(errs...)
}
