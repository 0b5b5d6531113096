// Package finalize is the function that hears of objects that are complete in the
// bucket: it publishes a film, and starts the reading of an upload. It is the only
// writer of "ready".
package finalize

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/cloudevent"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/source"
	"lectern.dev/lectern/internal/trail"
)

// Deps are the parts that finalize works with.
type Deps struct {
	Callers edge.Callers // who may call this function
	DB      postgres.Beginner
	Queue   queue.Queue
	Board   live.Board
	Bucket  blob.Store
}

// New serves events that say that an object is complete.
func New(d Deps) http.Handler {
	f := finalizer{
		runner: &job.Runner{DB: d.DB, Queue: d.Queue, Board: d.Board, Bill: budget.Bill},
		bucket: d.Bucket,
	}
	return cloudevent.Handler(d.Callers, f.whence, f.handle)
}

type finalizer struct {
	runner *job.Runner
	bucket blob.Store
}

// whence leads back to the request that an object is there for. What we have written says
// so itself; what people have uploaded says nothing that counts, but its source does.
func (f finalizer) whence(ctx context.Context, e event.Event) trail.Trail {
	object, err := cloudevent.Finalized(e)
	switch {
	case err != nil: // handle says so
		return trail.Trail{}
	case source.IsUpload(object.Name):
		return source.Trail(ctx, f.runner.DB, object.Name)
	}
	return trail.Parse(object.Metadata[trail.Beside])
}

func (f finalizer) handle(ctx context.Context, e event.Event) error {
	object, err := cloudevent.Finalized(e)
	if err != nil {
		return err
	}
	crash.Point("finalize.heard")
	outcome, err := f.finalize(ctx, object.Name)
	// Counted by the log: a metric per outcome.
	attrs := []any{"key", object.Name, "generation", object.Generation, "outcome", outcome, "bytes", object.Size, "error", err}
	if !object.TimeCreated.IsZero() {
		attrs = append(attrs, "lag_ms", time.Since(object.TimeCreated).Milliseconds()) // since it was complete
	}
	slog.InfoContext(ctx, "object finalized", attrs...)
	crash.Point("finalize.before-ack")
	return err
}

// outcome says what became of an event.
type outcome string

const (
	published outcome = "published" // a video is ready
	received  outcome = "received"  // an upload is there, and is being read
	stale     outcome = "stale"     // said before, or not wanted any more
	unknown   outcome = "unknown"   // an upload that belongs to nothing: removed
	gone      outcome = "gone"      // deleted meanwhile
	ignored   outcome = "ignored"   // nothing waits for such an object
	retried   outcome = "retried"   // failed for now
)

// finalize takes the event as a hint to look at the object as it is now, so that
// events may come twice, late, in any order and for older generations. It only
// checks and writes; long work is left to the tasks that it starts.
func (f finalizer) finalize(ctx context.Context, key string) (outcome, error) {
	video, upload := film.IsVideo(key), source.IsUpload(key)
	if !video && !upload {
		return ignored, nil
	}
	object, err := f.bucket.Stat(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return gone, nil
	}
	if err != nil {
		return retried, err
	}
	if video {
		err = film.Publish(ctx, f.runner, object)
	} else {
		err = source.Uploaded(ctx, f.runner, object)
	}
	switch {
	case err == nil && video:
		return published, nil
	case err == nil:
		return received, nil
	case upload && fault.Is(err, fault.NotFound):
		return unknown, f.bucket.Delete(ctx, key)
	case fault.Is(err, fault.Conflict):
		return stale, nil
	case fault.Retryable(err):
		return retried, err
	}
	return ignored, err // answered 2xx by the edge, with the reason in the log
}
