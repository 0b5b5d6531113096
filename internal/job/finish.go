package job

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// deliveryGrace is how long a delivered step waits for its event before the sweep
// looks after it.
const deliveryGrace = 2 * time.Minute

// succeeded writes the result of a step and what follows from it.
func (r *Runner) succeeded(ctx context.Context, run *Run, result Result) error {
	s := run.Step
	output, err := json.Marshal(result.Output)
	if err != nil {
		return r.failed(ctx, run, err, false)
	}
	j, err := r.end(ctx, s.Organization, s.Job, func(tx pgx.Tx) error {
		state, lease := "succeeded", (*time.Duration)(nil)
		if result.Delivered {
			state, lease = "delivered", new(deliveryGrace)
		}
		tag, err := tx.Exec(ctx, `
			UPDATE job_steps
			SET state = $5, output = $6, done = units, error = '', lease_until = now() + $7::interval, changed_at = now()
			WHERE organization_id = $1 AND job_id = $2 AND name = $3 AND attempt = $4 AND state = 'running'`,
			s.Organization, s.Job, s.Name, s.Attempt, state, output, lease)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errLost
		}
		if result.Apply != nil {
			if err := result.Apply(ctx, tx); err != nil {
				return err
			}
		}
		if err := run.tell(ctx, tx); err != nil {
			return err
		}
		_, err = addSteps(ctx, tx, s.Job, s.Organization, result.Next)
		if err == nil {
			crash.Point("job.before-commit")
		}
		return err
	})
	switch {
	case errors.Is(err, errLost): // the event was quicker than we, or a newer attempt took over
		return r.lost(ctx, run)
	case err != nil:
		return r.failed(ctx, run, err, false)
	}
	crash.Point("job.after-commit")
	if result.Delivered {
		run.ended(ctx, attemptDelivered, nil)
	} else {
		run.ended(ctx, attemptSucceeded, nil)
	}
	r.follow(ctx, j)
	return nil
}

// Reason is what people read about a step that failed. Unlike fault.Message it
// sends nobody to look for a request's id: work has none that they could have seen.
func Reason(failure error) string {
	if fault.Is(failure, fault.Internal) {
		return "Something went wrong on our side. Try again; if it stays, tell us the job's id."
	}
	return fault.Message(failure)
}

// failed writes that an attempt failed: for now, or for good. One that was
// interrupted from outside runs again and is not counted.
func (r *Runner) failed(ctx context.Context, run *Run, failure error, interrupted bool) error {
	s := run.Step
	if !interrupted && fault.Is(failure, fault.PaymentRequired) {
		return r.wait(ctx, run, failure)
	}
	again := interrupted || fault.Retryable(failure) && s.Failures+1 < maxFailures
	if again {
		_, err := r.DB.Exec(ctx, `
			UPDATE job_steps
			SET state = 'queued', failures = failures + CASE WHEN $5 THEN 0 ELSE 1 END, error = $6, lease_until = NULL, changed_at = now(), due_at = now()
			WHERE organization_id = $1 AND job_id = $2 AND name = $3 AND attempt = $4 AND state = 'running'`,
			s.Organization, s.Job, s.Name, s.Attempt, interrupted, Reason(failure))
		if err != nil {
			run.ended(ctx, attemptUnsaved, errors.Join(failure, err))
			return postgres.Fault(err)
		}
		if interrupted {
			run.ended(ctx, attemptInterrupted, failure)
		} else {
			run.ended(ctx, attemptRetried, failure)
		}
		crash.Point("job.put-back")
		e := fault.Wrap(fault.Unavailable, failure, "The step failed and will be tried again.")
		if f, ok := errors.AsType[*fault.Error](failure); ok {
			e.RetryAfter = f.RetryAfter
		}
		return e
	}
	j, err := r.end(ctx, s.Organization, s.Job, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE job_steps
			SET state = 'failed', failures = failures + 1, error = $5, lease_until = NULL, changed_at = now()
			WHERE organization_id = $1 AND job_id = $2 AND name = $3 AND attempt = $4 AND state = 'running'`,
			s.Organization, s.Job, s.Name, s.Attempt, Reason(failure))
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errLost
		}
		if r.IfFailed == nil {
			return nil
		}
		return r.IfFailed(ctx, tx, s, failure)
	})
	if errors.Is(err, errLost) {
		return r.lost(ctx, run)
	}
	if err != nil {
		run.ended(ctx, attemptUnsaved, errors.Join(failure, err))
		return err
	}
	run.ended(ctx, attemptGivenUp, failure)
	r.follow(ctx, j)
	return nil
}

// Complete ends a delivered step when its event has come: apply is written in the
// same transaction. The event may come before the step itself says that it
// delivered. One that comes again, for an older attempt, or for a step that was
// canceled meets Conflict, and nothing is written.
func (r *Runner) Complete(ctx context.Context, organization string, ref Ref, attempt int64, apply func(tx pgx.Tx) error) error {
	j, err := r.end(ctx, organization, ref.Job, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE job_steps
			SET state = 'succeeded', done = units, error = '', lease_until = NULL, changed_at = now()
			WHERE organization_id = $1 AND job_id = $2 AND name = $3 AND attempt = $4 AND state IN ('running', 'delivered')`,
			organization, ref.Job, ref.Step, attempt)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.Conflict, "Step %s of job %s does not wait for the result of attempt %d.", ref.Step, ref.Job, attempt)
		}
		if err := apply(tx); err != nil {
			return err
		}
		crash.Point("job.before-completion")
		return nil
	})
	if err != nil {
		return err
	}
	crash.Point("job.completed")
	r.follow(ctx, j)
	return nil
}

// end changes a step and settles its job, in one transaction.
func (r *Runner) end(ctx context.Context, organization, job string, change func(tx pgx.Tx) error) (j Job, err error) {
	err = postgres.InTx(ctx, r.DB, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, organization, job); err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return err
		}
		j, err = settle(ctx, tx, organization, job)
		return err
	})
	if err == nil && !j.State.Open() {
		r.ended(ctx, j)
	}
	return j, err
}
