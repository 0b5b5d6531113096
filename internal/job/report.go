package job

import (
	"context"
	"log/slog"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// What becomes of an attempt.
const (
	attemptSucceeded   = "succeeded"
	attemptDelivered   = "delivered"   // done; an event is to say so
	attemptRetried     = "retried"     // failed; the step comes again
	attemptGivenUp     = "given up"    // failed for good
	attemptInterrupted = "interrupted" // from outside; the step comes again, and nothing is counted
	attemptWaiting     = "waiting"     // there is no budget for it
	attemptLost        = "lost"        // canceled, or taken over by another attempt
	attemptUnsaved     = "unsaved"     // what became of it could not be written: its lease ends
)

// ended writes the one line about an attempt: ids and figures, those included that were
// measured meanwhile, and of what people or models have said no more than the error of a
// failed one quotes, such as a lesson's title.
func (r *Run) ended(ctx context.Context, outcome string, failure error) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("organization", r.Step.Organization),
		slog.String("target", string(r.target)),
		slog.String("job", r.Step.Job),
		slog.String("step", r.Step.Name),
		slog.String("step_kind", r.Step.Kind),
		slog.Int64("attempt", r.Step.Attempt),
		slog.String("outcome", outcome),
		slog.Int64("queue_age_ms", r.queueAge),
		slog.Int64("duration_ms", time.Since(r.begun).Milliseconds()),
	}
	if r.sums != nil {
		attrs = append(attrs, r.sums.Attrs()...)
	}
	if failure != nil {
		attrs = append(attrs, slog.String("error", failure.Error()), slog.String("kind", fault.KindOf(failure).String()))
		switch {
		case outcome == attemptInterrupted || outcome == attemptWaiting:
		case fault.Is(failure, fault.Internal):
			level = slog.LevelError
		default:
			level = slog.LevelWarn
		}
	}
	slog.LogAttrs(ctx, level, "attempt", attrs...)
}

// lost ends an attempt that the step no longer belongs to.
func (r *Runner) lost(ctx context.Context, run *Run) error {
	run.ended(ctx, attemptLost, nil)
	return r.unclaimed(ctx, run.Step.Ref())
}

// ended writes the one line about a job, when it has ended. One that was resumed counts
// from when it was made, the pause included.
func (r *Runner) ended(ctx context.Context, j Job) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("organization", j.Organization),
		slog.String("target", string(j.Kind)),
		slog.String("job", j.ID),
		slog.String("state", string(j.State)),
		slog.Int64("units", j.Total),
	}
	if j.FinishedAt != nil {
		begun := *j.FinishedAt // one that was canceled before anybody began has only waited
		if j.StartedAt != nil {
			begun = *j.StartedAt
		}
		attrs = append(attrs,
			slog.Float64("total_seconds", j.FinishedAt.Sub(j.CreatedAt).Seconds()),
			slog.Float64("waited_seconds", begun.Sub(j.CreatedAt).Seconds()))
	}
	if r.Bill != nil {
		micros, input, output, err := r.Bill(postgres.WithOrganization(ctx, j.Organization), r.DB, j.Organization, j.ID)
		if err == nil {
			attrs = append(attrs, slog.Int64("cost_micros", micros), slog.Int64("input_tokens", input), slog.Int64("output_tokens", output))
		} else {
			attrs = append(attrs, slog.String("bill_error", err.Error()))
		}
	}
	if j.State == Failed {
		level = slog.LevelWarn
	}
	slog.LogAttrs(ctx, level, "job ended", attrs...)
}
