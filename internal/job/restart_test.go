package job_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/queue"
)

// F20, in small: the database crashes twice while workers are at it. No step that
// was acknowledged is lost, none has its effect twice, and the workers go on with
// the same pool.
func TestDatabaseCrashesUnderLoad(t *testing.T) {
	t.Parallel()
	server := pgtest.Durable(t)
	h := &house{pool: server.Pool, queue: &queue.Memory{}, board: &live.Memory{}}
	h.Runner = &job.Runner{DB: h.pool, Queue: h.queue, Board: h.board, Lease: time.Second, Beat: 50 * time.Millisecond}
	const count = 60
	steps := make([]job.NewStep, count)
	for i := range steps {
		steps[i] = step(fmt.Sprintf("write/%02d", i))
	}
	j := h.start(t, "crs_1", steps...)

	var acknowledged atomic.Int64
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := w; i < count; i += 4 {
				for {
					err := h.Execute(t.Context(), body(j, steps[i].Name), func(ctx context.Context, run *job.Run) (job.Result, error) {
						time.Sleep(5 * time.Millisecond) // as if it were work
						return write(ctx, run)
					})
					if err == nil {
						break
					}
					if !unavailable(err) {
						t.Errorf("an outage is told as %v", err)
						return
					}
					time.Sleep(10 * time.Millisecond) // as the queue would
				}
				acknowledged.Add(1)
			}
		})
	}
	for _, at := range []int64{count / 4, count / 2} {
		eventually(t, fmt.Sprintf("%d steps", at), func() bool { return acknowledged.Load() >= at })
		server.Crash()
		server.Start()
	}
	all.Wait()
	got := h.get(t, j)
	if got.State != job.Succeeded || got.Done != count {
		t.Errorf("the job is %s with %d of %d: %s", got.State, got.Done, got.Total, got.Error)
	}
	for name, n := range h.effects(t) {
		if n != 1 {
			t.Errorf("%s has its effect %d times", name, n)
		}
	}
	if n := len(h.effects(t)); n != count {
		t.Errorf("%d effects", n)
	}
}
