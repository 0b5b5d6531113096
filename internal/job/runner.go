package job

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/queue"
)

// Runner executes steps. One serves all of a function's requests.
type Runner struct {
	DB    postgres.Beginner
	Queue queue.Queue
	Board live.Board
	// Lease is how long a step stays ours without a heartbeat; 0: 30 s. A killed
	// worker's step can be taken over after that.
	Lease time.Duration
	// Beat is the time between heartbeats, and thus how late a cancel is noticed
	// and how old shown progress can be; 0: 900 ms.
	Beat time.Duration
}

// maxFailures is how often a step is tried before its job is told to have failed.
const maxFailures = 5

// Work does what a step is for. It must be safe to run again from the start: an
// earlier attempt may have stopped anywhere. ctx ends when the step is no longer
// ours (canceled, or taken over) or the process drains; then Work returns soon,
// leaving nothing behind. An error of a retryable kind makes the step run again,
// up to five times; any other fails it, with fault.Message as the reason shown.
type Work func(ctx context.Context, run *Run) (Result, error)

// Result is what a step ends with. All of it is written in one transaction.
type Result struct {
	Output    any                   // kept as JSON, for later steps and for resuming
	Next      []NewStep             // steps that this one adds to the job
	Apply     func(tx pgx.Tx) error // the step's effect; nil when Run.Commit has written all
	Delivered bool                  // the step ends when an event says so: see Runner.Complete
}

// Execute runs the step that a task's body names. It comes back with nil when
// the step has ended, by this call or an earlier one, with Unavailable when the
// task must come again (somebody else works on the step; it failed and may be
// tried again), so that a task is acknowledged only when its result is durable.
func (r *Runner) Execute(ctx context.Context, body []byte, work Work) error {
	var ref Ref
	if err := json.Unmarshal(body, &ref); err != nil || ref.Job == "" || ref.Step == "" {
		return fault.New(fault.Invalid, "The task names no step: %.200q.", body)
	}
	run, err := r.claim(ctx, ref)
	if err != nil || run == nil {
		return err
	}
	crash.Point("job.claimed")
	ctx, stop := context.WithCancelCause(ctx)
	beating := run.keep(ctx, stop)
	result, err := r.guard(ctx, run, work)
	cause := context.Cause(ctx)
	stop(nil)
	<-beating
	if errors.Is(cause, errLost) {
		slog.InfoContext(ctx, "step is no longer ours", "job", ref.Job, "step", ref.Step, "attempt", run.Step.Attempt)
		return nil
	}
	// The result must be written even though the request may be over.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer done()
	if err != nil {
		return r.failed(ctx, run, err, cause)
	}
	return r.succeeded(ctx, run, result)
}

// guard turns a panic of work into an error.
func (r *Runner) guard(ctx context.Context, run *Run, work Work) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return work(ctx, run)
}

// claim takes a step, in one statement; nil without an error means that there is nothing to do.
func (r *Runner) claim(ctx context.Context, ref Ref) (*Run, error) {
	var s Step
	var units int64
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
				done = 0, lease_until = now() + $3, started_at = coalesce(s.started_at, now()), changed_at = now()
			FROM jobs j
			WHERE s.job_id = $1 AND s.name = $2 AND j.job_id = s.job_id AND j.state = 'running'
				AND (s.state = 'queued' OR s.state = 'running' AND s.lease_until < now())
			RETURNING s.organization_id, j.course_id, s.kind, s.subject, s.content, s.attempt, s.failures, s.units, s.input, j.input`,
			ref.Job, ref.Step, r.lease()).
			Scan(&s.Organization, &s.CourseID, &s.Kind, &s.Subject, &s.Content, &s.Attempt, &s.Failures, &units, &s.Input, &s.JobInput)
	})
	if fault.Is(err, fault.NotFound) {
		return nil, r.unclaimed(ctx, ref)
	}
	if err != nil {
		return nil, err
	}
	s.Job, s.Name = ref.Job, ref.Step
	run := &Run{Step: s, runner: r, units: units}
	if s.Failures >= maxFailures {
		// The worker died each time: running it again would kill another one.
		err := fault.New(fault.Conflict, "The work stopped %d times without an answer, and was given up. Resume the job to try once more.", s.Failures)
		return nil, r.failed(ctx, run, err, nil)
	}
	return run, nil
}

// unclaimed says why a step could not be claimed: done, or later, or never.
func (r *Runner) unclaimed(ctx context.Context, ref Ref) error {
	var step, job string
	err := r.DB.QueryRow(ctx, `
		SELECT s.state, j.state FROM job_steps s JOIN jobs j USING (job_id)
		WHERE s.job_id = $1 AND s.name = $2`, ref.Job, ref.Step).Scan(&step, &job)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // deleted with what it worked on
	}
	if err != nil {
		return postgres.Fault(err)
	}
	if State(job).Open() && (step == "running" || step == "blocked" || step == "queued") {
		e := fault.New(fault.Unavailable, "The step is not free yet (%s).", step)
		e.RetryAfter = r.lease() / 2
		return e
	}
	return nil
}

// succeeded writes the result of a step and what follows from it.
func (r *Runner) succeeded(ctx context.Context, run *Run, result Result) error {
	s := run.Step
	output, err := json.Marshal(result.Output)
	if err != nil {
		return r.failed(ctx, run, err, nil)
	}
	crash.Point("job.before-commit")
	j, err := r.end(ctx, s, func(tx pgx.Tx) error {
		state, lease := "succeeded", (*time.Duration)(nil)
		if result.Delivered {
			state, lease = "delivered", new(2*time.Minute)
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
			if err := result.Apply(tx); err != nil {
				return err
			}
		}
		_, err = addSteps(ctx, tx, s.Job, s.Organization, result.Next)
		return err
	})
	crash.Point("job.after-commit")
	switch {
	case errors.Is(err, errLost):
		return nil // the event was quicker than we, or a newer attempt took over
	case err != nil:
		return r.failed(ctx, run, err, nil)
	}
	return r.follow(ctx, j)
}

// failed writes that an attempt failed: for now, or for good.
func (r *Runner) failed(ctx context.Context, run *Run, failure, cause error) error {
	s := run.Step
	drained := errors.Is(cause, context.Canceled) // our own process is going down: nobody's fault
	again := drained || fault.Retryable(failure) && s.Failures+1 < maxFailures
	slog.WarnContext(ctx, "step failed", "job", s.Job, "step", s.Name, "attempt", s.Attempt, "again", again, "error", failure)
	if again {
		_, err := r.DB.Exec(ctx, `
			UPDATE job_steps
			SET state = 'queued', failures = failures + $5, error = $6, lease_until = NULL, changed_at = now()
			WHERE organization_id = $1 AND job_id = $2 AND name = $3 AND attempt = $4 AND state = 'running'`,
			s.Organization, s.Job, s.Name, s.Attempt, btoi(!drained), fault.Message(failure))
		if err != nil {
			return postgres.Fault(err)
		}
		e := fault.Wrap(fault.Unavailable, failure, "The step failed and will be tried again.")
		if f, ok := errors.AsType[*fault.Error](failure); ok {
			e.RetryAfter = f.RetryAfter
		}
		return e
	}
	j, err := r.end(ctx, s, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE job_steps
			SET state = 'failed', failures = failures + 1, error = $5, lease_until = NULL, changed_at = now()
			WHERE organization_id = $1 AND job_id = $2 AND name = $3 AND attempt = $4 AND state = 'running'`,
			s.Organization, s.Job, s.Name, s.Attempt, fault.Message(failure))
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errLost
		}
		if run.ifFailed != nil {
			return run.ifFailed(tx, failure)
		}
		return nil
	})
	if errors.Is(err, errLost) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.follow(ctx, j)
}

// end changes a step and settles its job, in one transaction.
func (r *Runner) end(ctx context.Context, s Step, change func(tx pgx.Tx) error) (j Job, err error) {
	err = postgres.InTx(ctx, r.DB, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, s.Organization, s.Job); err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return err
		}
		j, err = settle(ctx, tx, s.Organization, s.Job)
		return err
	})
	return j, err
}

// Complete ends a delivered step when its event has come: apply is written in the
// same transaction. It may come before the step itself says that it delivered,
// come twice, or come for a step that was canceled; apply must bear that.
func (r *Runner) Complete(ctx context.Context, organization string, ref Ref, apply func(tx pgx.Tx) error) error {
	j, err := r.end(ctx, Step{Organization: organization, Job: ref.Job}, func(tx pgx.Tx) error {
		if err := apply(tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			UPDATE job_steps
			SET state = 'succeeded', done = units, error = '', lease_until = NULL, changed_at = now()
			WHERE organization_id = $1 AND job_id = $2 AND name = $3 AND state IN ('running', 'delivered')`,
			organization, ref.Job, ref.Step)
		return err
	})
	if err != nil {
		return err
	}
	return r.follow(ctx, j)
}

// follow shows the job and sends out the steps that are free now. It cannot fail
// the step that has just been written: what is lost here the sweep makes good.
func (r *Runner) follow(ctx context.Context, j Job) error {
	r.Show(ctx, j)
	if j.State.Open() {
		if err := r.Dispatch(ctx, j.Organization, j.ID); err != nil {
			slog.WarnContext(ctx, "tasks left to the sweep", "job", j.ID, "error", err)
		}
	}
	crash.Point("job.dispatched")
	return nil
}

// Dispatch enqueues the queued steps of a job. It may be called any number of
// times: a step's task has the same name until the sweep or a resume renews it.
func (r *Runner) Dispatch(ctx context.Context, organization, job string) error {
	rows, err := r.DB.Query(ctx, `
		SELECT j.kind, s.name, s.sends
		FROM job_steps s JOIN jobs j USING (job_id)
		WHERE s.organization_id = $1 AND s.job_id = $2 AND s.state = 'queued'`, organization, job)
	if err != nil {
		return postgres.Fault(err)
	}
	type free struct {
		Kind  Kind
		Name  string
		Sends int64
	}
	steps, err := pgx.CollectRows(rows, pgx.RowToStructByPos[free])
	if err != nil {
		return postgres.Fault(err)
	}
	var errs []error
	for _, s := range steps {
		errs = append(errs, r.send(ctx, s.Kind, Ref{job, s.Name}, s.Sends))
	}
	return errors.Join(errs...)
}

func (r *Runner) send(ctx context.Context, kind Kind, ref Ref, sends int64) error {
	body, err := json.Marshal(ref)
	if err != nil {
		return err
	}
	return r.Queue.Enqueue(ctx, queue.Task{Target: queue.Target(kind), Name: taskName(ref, sends), Body: body})
}

// taskName begins with a hash: Cloud Tasks slows down on sequential names.
func taskName(ref Ref, sends int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", ref.Job, ref.Step, sends))
	return fmt.Sprintf("%x-%s-%d", sum[:10], ref.Job, sends)
}

// Show puts a job on the board. The board is no truth: a failure is logged, and
// readers look at the database now and then.
func (r *Runner) Show(ctx context.Context, j Job) {
	body, err := json.Marshal(j)
	if err == nil {
		err = r.Board.Publish(ctx, live.Document{ID: j.ID, Version: j.Version, Body: body, Expires: time.Now().Add(7 * 24 * time.Hour)})
	}
	if err != nil {
		slog.WarnContext(ctx, "progress not shown", "job", j.ID, "error", err)
	}
}

func (r *Runner) lease() time.Duration {
	if r.Lease > 0 {
		return r.Lease
	}
	return 30 * time.Second
}

func (r *Runner) beat() time.Duration {
	if r.Beat > 0 {
		return r.Beat
	}
	return 900 * time.Millisecond
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
