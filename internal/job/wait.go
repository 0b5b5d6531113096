package job

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/trail"
)

// wait puts a step back that there is no budget for, as if it had not been claimed,
// and lets its job wait. Steps that are at work go on: what they need was set aside.
func (r *Runner) wait(ctx context.Context, run *Run, why error) error {
	s := run.Step
	var j Job
	err := postgres.InTx(ctx, r.DB, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, s.Organization, s.Job); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE job_steps
			SET state = 'queued', done = 0, error = '', lease_until = NULL, changed_at = now()
			WHERE organization_id = $1 AND job_id = $2 AND name = $3 AND attempt = $4 AND state = 'running'`,
			s.Organization, s.Job, s.Name, s.Attempt)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errLost
		}
		_, err = tx.Exec(ctx, `
			UPDATE jobs
			SET state = 'waiting', waiting_for = 'budget', message = $3
			WHERE organization_id = $1 AND job_id = $2 AND state = 'running'`, s.Organization, s.Job, fault.Message(why))
		if err != nil {
			return err
		}
		j, err = refresh(ctx, tx, s.Organization, s.Job)
		return err
	})
	if errors.Is(err, errLost) {
		return r.lost(ctx, run)
	}
	if err != nil {
		run.ended(ctx, attemptUnsaved, errors.Join(why, err))
		return err
	}
	crash.Point("job.waits")
	run.ended(ctx, attemptWaiting, why)
	r.Show(ctx, j)
	return nil
}

// ResumeWaiting goes on with the jobs of all organizations that wait for a budget
// which now holds what they need, as holds says, and tells how many those were.
func (r *Runner) ResumeWaiting(ctx context.Context, holds func(ctx context.Context, organization, job string) (bool, error)) (int, error) {
	rows, err := r.DB.Query(ctx, `
		SELECT organization_id, job_id, trail
		FROM jobs
		WHERE state = 'waiting' AND waiting_for = 'budget'
		ORDER BY random()
		LIMIT $1`, sweepLimit) // any of them: those that go on waiting must not hide the others
	if err != nil {
		return 0, postgres.Fault(err)
	}
	type waiting struct{ Organization, ID, Trail string }
	jobs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[waiting])
	if err != nil {
		return 0, postgres.Fault(err)
	}
	resumed := 0
	var errs []error
	for _, j := range jobs {
		ctx := postgres.WithOrganization(ctx, j.Organization)
		ok, err := holds(ctx, j.Organization, j.ID)
		if err == nil && ok {
			following, span := trail.Follow(ctx, trail.Parse(j.Trail), "resume")
			_, err = r.Resume(following, j.Organization, j.ID)
			span.End(err)
		}
		switch {
		case err == nil && ok:
			resumed++
		case fault.Is(err, fault.Conflict) || fault.Is(err, fault.PaymentRequired): // somebody else was quicker
		default:
			errs = append(errs, err)
		}
	}
	return resumed, errors.Join(errs...)
}
