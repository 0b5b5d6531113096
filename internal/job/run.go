package job

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"

	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/tally"
	"lectern.dev/lectern/internal/trail"
)

// Run is one attempt at a step, as its work sees it. Safe for concurrent use.
type Run struct {
	Step   Step
	runner *Runner

	begun    time.Time
	target   Kind         // of the job, and so the queue that it came by
	queueAge int64        // milliseconds since it could have been done
	sums     *tally.Tally // of what was measured while it was done; nil: nothing was done

	mu          sync.Mutex
	done, units int64
	message     string
	changed     bool
}

// errLost ends the work of an attempt that the step no longer belongs to.
var errLost = fault.New(fault.Conflict, "The step was canceled or taken over.")

// errHung ends the work of an attempt that takes too long.
var errHung = fault.New(fault.Unavailable, "The work took too long and was stopped.")

// attempt does the work under heartbeats; cause says why its ctx ended before it
// did, if it did.
func (r *Run) attempt(ctx context.Context, work Work) (result Result, cause, err error) {
	ctx, r.sums = tally.Under(ctx)
	ctx, span := trail.Begin(ctx, "step "+r.Step.Kind, attribute.String("lectern.job", r.Step.Job), attribute.String("lectern.step", r.Step.Name),
		attribute.Int64("lectern.attempt", r.Step.Attempt), attribute.Int64("lectern.failures", r.Step.Failures))
	defer func() { span.End(err) }()
	ctx, expire := context.WithTimeoutCause(ctx, r.runner.limit(), errHung)
	defer expire()
	ctx, stop := context.WithCancelCause(ctx)
	beating := r.keep(ctx, stop)
	result, err = guard(ctx, r, work)
	cause = context.Cause(ctx)
	stop(nil)
	<-beating
	return result, cause, err
}

// guard turns a panic of work into an error.
func guard(ctx context.Context, run *Run, work Work) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return work(ctx, run)
}

// Progress says how far the work is: done of units (the step's share of the job's
// total) and a sentence for people. It is cheap: the next heartbeat writes it.
func (r *Run) Progress(done, units int64, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done, r.units, r.message, r.changed = min(done, units), max(1, units), message, true
}

// tell writes the sentence that no heartbeat has written: steps quicker than one
// would leave a job saying that it waits, to its end.
func (r *Run) tell(ctx context.Context, tx pgx.Tx) error {
	r.mu.Lock()
	message, changed := r.message, r.changed
	r.mu.Unlock()
	if !changed || message == "" {
		return nil
	}
	_, err := tx.Exec(ctx, `
		UPDATE jobs SET message = $3
		WHERE organization_id = $1 AND job_id = $2 AND state = 'running'`, r.Step.Organization, r.Step.Job, message)
	return err
}

// Commit runs fn in a transaction that commits only while this attempt holds the
// step: a worker that wakes up late writes nothing.
func (r *Run) Commit(ctx context.Context, fn func(tx pgx.Tx) error) error {
	err := postgres.InTx(ctx, r.runner.DB, func(tx pgx.Tx) error {
		var held bool
		err := tx.QueryRow(ctx, `
			SELECT true FROM job_steps
			WHERE organization_id = $1 AND job_id = $2 AND name = $3 AND attempt = $4 AND state = 'running'
			FOR UPDATE`, r.Step.Organization, r.Step.Job, r.Step.Name, r.Step.Attempt).Scan(&held)
		if errors.Is(err, pgx.ErrNoRows) {
			return errLost
		}
		if err != nil {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		crash.Point("run.before-commit")
		return nil
	})
	if err == nil {
		crash.Point("run.after-commit")
	}
	return err
}

// keep sends heartbeats until ctx ends, and stops the work when the step is lost:
// canceled, taken over, or the database gone for longer than the lease.
func (r *Run) keep(ctx context.Context, stop context.CancelCauseFunc) (ended chan struct{}) {
	ended = make(chan struct{})
	ctx = trail.Untraced(ctx) // one a second would hide what the work does
	go func() {
		defer close(ended)
		ticker := time.NewTicker(r.runner.beat())
		defer ticker.Stop()
		last := time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			switch err := r.beat(ctx); {
			case err == nil:
				last = time.Now()
			case errors.Is(err, errLost) || time.Since(last) > r.runner.lease():
				stop(errLost)
				return
			}
		}
	}()
	return ended
}

func (r *Run) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r.mu.Lock()
	done, units, message, changed := r.done, r.units, r.message, r.changed
	r.mu.Unlock()
	tag, err := r.runner.DB.Exec(ctx, `
		UPDATE job_steps
		SET lease_until = now() + $5, done = $6, units = $7
		WHERE organization_id = $1 AND job_id = $2 AND name = $3 AND attempt = $4 AND state = 'running'`,
		r.Step.Organization, r.Step.Job, r.Step.Name, r.Step.Attempt, r.runner.lease(), done, units)
	if err != nil {
		return postgres.Fault(err)
	}
	if tag.RowsAffected() == 0 {
		return errLost
	}
	if !changed {
		message = ""
	}
	if r.runner.showDue(ctx, r.Step.Organization, r.Step.Job, message) {
		r.mu.Lock()
		r.changed = r.message != message
		r.mu.Unlock()
	}
	return nil
}
