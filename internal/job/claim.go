package job

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// claim takes a step, in one statement; nil without an error means that there is
// nothing to do. A task carries no organization, only ids that we made: the
// organization comes from the row, and all that follows is done inside of it.
func (r *Runner) claim(ctx context.Context, ref Ref) (*Run, error) {
	var s Step
	var units int64
	run := &Run{runner: r, begun: time.Now()}
	err := postgres.InTx(ctx, r.DB, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE jobs
			SET state = 'running', started_at = coalesce(started_at, now()), version = version + 1
			WHERE job_id = $1 AND state = 'queued'`, ref.Job)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			UPDATE job_steps s
			SET state = 'running', attempt = attempt + 1, failures = failures + (s.state = 'running')::int,
				due_at = CASE s.state WHEN 'running' THEN s.lease_until ELSE s.due_at END,
				done = 0, lease_until = now() + $3, started_at = coalesce(s.started_at, now()), changed_at = now()
			FROM jobs j
			WHERE s.job_id = $1 AND s.name = $2 AND j.job_id = s.job_id AND j.state = 'running'
				AND (s.state = 'queued' OR s.state = 'running' AND s.lease_until < now())
			RETURNING s.organization_id, j.created_by, j.course_id, s.kind, s.subject, s.content, s.attempt, s.failures, s.units, s.input, j.input,
				j.kind, (extract(epoch FROM now() - s.due_at) * 1000)::bigint`,
			ref.Job, ref.Step, r.lease()).
			Scan(&s.Organization, &s.User, &s.CourseID, &s.Kind, &s.Subject, &s.Content, &s.Attempt, &s.Failures, &units, &s.Input, &s.JobInput, &run.target, &run.queueAge)
	})
	if fault.Is(err, fault.NotFound) {
		return nil, r.unclaimed(ctx, ref)
	}
	if err != nil {
		return nil, err
	}
	s.Job, s.Name = ref.Job, ref.Step
	run.Step, run.units = s, units
	ctx = postgres.WithOrganization(ctx, s.Organization)
	if s.Failures >= maxFailures {
		// The worker died each time: running it again would kill another one.
		return nil, r.failed(ctx, run, fault.New(fault.Conflict,
			"The work stopped %d times without an answer, and was given up. Resume the job to try once more.", s.Failures), false)
	}
	r.showDue(ctx, s.Organization, s.Job, "")
	return run, nil
}

// unclaimed says what becomes of a task whose step could not be claimed, or was
// lost: it comes again while the step has not ended, else it is acknowledged. The
// worker that ended the step may have died before it sent what follows, so that
// is done here once more.
func (r *Runner) unclaimed(ctx context.Context, ref Ref) error {
	var organization, step string
	var state State
	err := r.DB.QueryRow(ctx, `
		SELECT s.organization_id, s.state, j.state FROM job_steps s JOIN jobs j USING (job_id)
		WHERE s.job_id = $1 AND s.name = $2`, ref.Job, ref.Step).Scan(&organization, &step, &state)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // deleted with what it worked on
	}
	if err != nil {
		return postgres.Fault(err)
	}
	if state == Waiting {
		return nil // its steps are sent again when it goes on
	}
	if state.Open() && (step == "running" || step == "blocked" || step == "queued") {
		e := fault.New(fault.Unavailable, "The step is not free yet (%s).", step)
		e.RetryAfter = r.lease() / 2
		return e
	}
	ctx = postgres.WithOrganization(ctx, organization)
	j, err := Get(ctx, r.DB, organization, ref.Job)
	if err != nil {
		return err
	}
	r.follow(ctx, j)
	return nil
}
