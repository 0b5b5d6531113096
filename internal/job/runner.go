package job

import (
	"context"
	"encoding/json"
	"errors"
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
	// Limit is how long one attempt may take before it counts as hung; 0: 25 min,
	// which is below the longest deadline that Cloud Tasks gives a task.
	Limit time.Duration
	// IfFailed is written in the transaction in which a step fails for good, so that
	// what the step worked on can say so; nil: nothing. It is called too when the
	// step's workers died each time and Work never had a say.
	IfFailed func(ctx context.Context, tx pgx.Tx, s Step, failure error) error
	// Limits bound how many jobs of a kind are open at once; a kind without them has none.
	Limits map[Kind]Limits
	// Afford, unless nil, says PaymentRequired when an organization has no budget left:
	// what would only wait is not started.
	Afford func(ctx context.Context, q postgres.Querier, organization string) error
	// Bill, unless nil, says what a job has come to, in millionths of a US dollar and in
	// tokens, for the line that the log has of its end.
	Bill func(ctx context.Context, q postgres.Querier, organization, job string) (micros, input, output int64, err error)
}

// maxFailures is how often a step is tried before its job is told to have failed.
const maxFailures = 5

// Work does what a step is for. It must be safe to run again from the start: an
// earlier attempt may have stopped anywhere. ctx ends when the step is no longer
// ours (canceled, or taken over), when it takes longer than Runner.Limit, or when
// the process drains; then Work returns soon, leaving nothing behind. An error of
// a retryable kind makes the step run again, up to five times; PaymentRequired puts
// it back and lets the job wait for its budget; any other fails it, with
// fault.Message as the reason shown.
type Work func(ctx context.Context, run *Run) (Result, error)

// Result is what a step ends with. All of it is written in one transaction.
type Result struct {
	Output any       // kept as JSON, for later steps and for resuming
	Next   []NewStep // steps that this one adds to the job
	// Apply is the step's effect; nil when Run.Commit has written all. The ctx of Work
	// is over when it runs, so it gets one of its own.
	Apply func(ctx context.Context, tx pgx.Tx) error
	// Delivered: the step ends when an event says so (see Runner.Complete). The event
	// may be quicker than the step; then Output, Next and Apply are not written, so
	// what must last is written with Run.Commit before the delivery.
	Delivered bool
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
	// Whatever the step's inputs name, its work sees its own organization alone.
	ctx = postgres.WithOrganization(ctx, run.Step.Organization)
	result, cause, err := run.attempt(ctx, work)
	// What follows must be written even though the request may be over.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer done()
	switch {
	case errors.Is(cause, errLost):
		return r.lost(ctx, run)
	case err != nil && errors.Is(cause, errHung):
		return r.failed(ctx, run, errHung, false)
	case err != nil:
		// A request that is over, or a process that goes down, is nobody's fault.
		return r.failed(ctx, run, err, errors.Is(cause, context.Canceled))
	}
	return r.succeeded(ctx, run, result)
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

func (r *Runner) limit() time.Duration {
	if r.Limit > 0 {
		return r.Limit
	}
	return 25 * time.Minute
}
