package job_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/queue"
)

// Fifty workers fall upon fifty steps, each of them upon every step.
func TestEveryStepIsClaimedOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const workers, steps = 50, 50
	var news []job.NewStep
	for i := range steps {
		news = append(news, step(fmt.Sprintf("write/%d", i)))
	}
	j := h.start(t, "crs_1", news...)
	var ran [steps]atomic.Int64
	var all sync.WaitGroup
	gate := make(chan struct{})
	for w := range workers {
		all.Go(func() {
			<-gate
			for k := range steps {
				i := (w + k*7) % steps
				err := h.Execute(t.Context(), body(j, fmt.Sprintf("write/%d", i)), func(ctx context.Context, run *job.Run) (job.Result, error) {
					ran[i].Add(1)
					return write(ctx, run)
				})
				if err != nil && !unavailable(err) {
					t.Error(err)
				}
			}
		})
	}
	close(gate)
	all.Wait()
	for i := range ran {
		if n := ran[i].Load(); n != 1 {
			t.Errorf("step %d ran %d times", i, n)
		}
	}
	if got := h.get(t, j); got.State != job.Succeeded {
		t.Errorf("the job %s", got.State)
	}
}

// F04: a task that comes again after its step has ended is acknowledged at once.
func TestTaskThatComesAgainDoesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("write"), step("review", "write"))
	for range 5 {
		if err := h.Execute(t.Context(), body(j, "write"), write); err != nil {
			t.Error(err)
		}
	}
	if got := h.effects(t)["write"]; got != 1 {
		t.Errorf("%d effects", got)
	}
	if got := h.stepState(t, j, "write"); got != "succeeded/1/0" {
		t.Errorf("the step is %s", got)
	}
}

// F05: of tasks that come at once one works, and none is acknowledged before the
// result is durable.
func TestTasksThatComeAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("write"))
	release := make(chan struct{})
	working := make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- h.Execute(t.Context(), body(j, "write"), func(ctx context.Context, run *job.Run) (job.Result, error) {
			close(working)
			<-release
			return write(ctx, run)
		})
	}()
	<-working
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			err := h.Execute(t.Context(), body(j, "write"), func(context.Context, *job.Run) (job.Result, error) {
				t.Error("the step runs twice at once")
				return job.Result{}, nil
			})
			if !unavailable(err) {
				t.Errorf("acknowledged before the result is durable: %v", err)
			}
		})
	}
	others.Wait()
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if err := h.Execute(t.Context(), body(j, "write"), write); err != nil {
		t.Errorf("after it: %v", err)
	}
	if got := h.effects(t)["write"]; got != 1 {
		t.Errorf("%d effects", got)
	}
}

func TestTasksThatNameNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	never := func(context.Context, *job.Run) (job.Result, error) {
		t.Error("work was called")
		return job.Result{}, nil
	}
	for _, bad := range []string{"", "{", "{}", `{"job":"job_1"}`, `[]`} {
		if err := h.Execute(t.Context(), []byte(bad), never); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := h.Execute(t.Context(), []byte(`{"job":"job_gone","step":"write"}`), never); err != nil {
		t.Errorf("a task of a deleted job would come again for ever: %v", err)
	}
}

// F06, in small: a task that is early waits.
func TestEarlyTaskComesAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("plan"), step("write", "plan"))
	if err := h.Execute(t.Context(), body(j, "write"), write); !unavailable(err) {
		t.Errorf("early: %v", err)
	}
	if err := h.Execute(t.Context(), body(j, "plan"), write); err != nil {
		t.Error(err)
	}
	if err := h.Execute(t.Context(), body(j, "write"), write); err != nil {
		t.Error(err)
	}
}

// A job that waits for a person runs nothing until it is resumed.
func TestWaitingJobRunsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("write"))
	h.exec(t, `UPDATE jobs SET state = 'waiting' WHERE job_id = $1`, j.ID)
	if err := h.Execute(t.Context(), body(j, "write"), write); err != nil {
		t.Errorf("%v: a task that comes again and again until somebody acts", err)
	}
	if state := h.stepState(t, j, "write"); state != "queued/0/0" {
		t.Error(state)
	}
	h.exec(t, `UPDATE job_steps SET changed_at = now() - interval '1 hour'`)
	h.sweep(t, job.Swept{})
	if _, err := h.Resume(t.Context(), organization, j.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.Execute(t.Context(), body(j, "write"), write); err != nil {
		t.Error(err)
	}
}

// A heartbeat keeps a step however long it works; without one it is taken over
// when the lease is over, not before.
func TestLease(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Lease = time.Hour // no machine stalls for so long: time passes by statements
	j := h.start(t, "crs_1", step("write"))
	working, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- h.Execute(t.Context(), body(j, "write"), func(ctx context.Context, run *job.Run) (job.Result, error) {
			close(working)
			<-release
			return write(ctx, run)
		})
	}()
	<-working
	for range 3 {
		h.exec(t, `UPDATE job_steps SET lease_until = now() + $2::interval / 2 WHERE job_id = $1`, j.ID, h.Lease) // half of it has passed
		if err := h.Execute(t.Context(), body(j, "write"), write); !unavailable(err) {
			t.Fatalf("a step that is alive was taken: %v", err)
		}
		eventually(t, "it has its whole lease again", func() (whole bool) {
			if err := h.pool.QueryRow(t.Context(), `SELECT lease_until > now() + $2::interval * 0.9 FROM job_steps WHERE job_id = $1`, j.ID, h.Lease).Scan(&whole); err != nil {
				t.Fatal(err)
			}
			return whole
		})
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}

	dead := h.start(t, "crs_2", step("write"))
	h.exec(t, `UPDATE jobs SET state = 'running' WHERE job_id = $1`, dead.ID)
	h.exec(t, `UPDATE job_steps SET state = 'running', attempt = 1, lease_until = now() + $2::interval WHERE job_id = $1`, dead.ID, h.Lease)
	if err := h.Execute(t.Context(), body(dead, "write"), write); !unavailable(err) {
		t.Errorf("taken before the lease was over: %v", err)
	}
	h.exec(t, `UPDATE job_steps SET lease_until = lease_until - $2::interval WHERE job_id = $1`, dead.ID, h.Lease)
	if err := h.Execute(t.Context(), body(dead, "write"), write); err != nil {
		t.Errorf("not taken when it is over: %v", err)
	}
	if got := h.stepState(t, dead, "write"); got != "succeeded/2/1" {
		t.Errorf("the step is %s", got)
	}
}

// F08: a worker that wakes up after another took its step over writes nothing.
func TestZombieWritesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	asleep := *h.Runner
	asleep.Beat = time.Hour // its heartbeats sleep with it
	j := h.start(t, "crs_1", step("write"))
	working, wake := make(chan struct{}), make(chan struct{})
	zombie := make(chan error, 1)
	go func() {
		zombie <- asleep.Execute(t.Context(), body(j, "write"), func(ctx context.Context, run *job.Run) (job.Result, error) {
			close(working)
			<-wake
			err := run.Commit(ctx, func(tx pgx.Tx) error { return effect(ctx, tx, "late commit") })
			if !fault.Is(err, fault.Conflict) {
				t.Errorf("the late commit: %v", err)
			}
			return job.Result{
				Next:  []job.NewStep{step("late step")},
				Apply: func(ctx context.Context, tx pgx.Tx) error { return effect(ctx, tx, "late apply") },
			}, nil
		})
	}()
	<-working
	h.exec(t, `UPDATE job_steps SET lease_until = now() - interval '1 second' WHERE job_id = $1`, j.ID)

	// While the newer attempt works, the zombie's task is not acknowledged.
	taken, release := make(chan struct{}), make(chan struct{})
	newer := make(chan error, 1)
	go func() {
		newer <- h.Execute(t.Context(), body(j, "write"), func(ctx context.Context, run *job.Run) (job.Result, error) {
			close(taken)
			<-release
			return write(ctx, run)
		})
	}()
	<-taken
	close(wake)
	if err := <-zombie; !unavailable(err) {
		t.Errorf("the zombie's task was acknowledged before the result is durable: %v", err)
	}
	close(release)
	if err := <-newer; err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(h.effects(t)); got != "map[write:1]" {
		t.Errorf("effects: %s", got)
	}
	if got := h.get(t, j); got.State != job.Succeeded || got.Total != 1 {
		t.Errorf("the job: %+v", got)
	}
}

// A zombie that fails does not put back, or fail, what another works on.
func TestZombieThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{errBroken, fault.New(fault.Invalid, "No.")} {
		t.Run(failure.Error(), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			asleep := *h.Runner
			asleep.Beat = time.Hour
			j := h.start(t, "crs_1", step("write"))
			err := asleep.Execute(t.Context(), body(j, "write"), func(context.Context, *job.Run) (job.Result, error) {
				h.exec(t, `UPDATE job_steps SET attempt = 2 WHERE job_id = $1`, j.ID)
				return job.Result{}, failure
			})
			if !unavailable(err) {
				t.Errorf("acknowledged: %v", err)
			}
			if got := h.stepState(t, j, "write"); got != "running/2/0" {
				t.Errorf("the step is %s", got)
			}
		})
	}
}

// A cancel stops the work within two seconds, at the production heartbeat, and
// nothing is written after it.
func TestCancelStopsTheWork(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Beat, h.Lease = 0, 0
	took := time.Hour
	for try := 0; took > 2*time.Second && try < 10; try++ { // a busy machine is given another try
		took = h.cancelWork(t, fmt.Sprint("crs_", try))
	}
	if took > 2*time.Second {
		t.Errorf("the work went on for %v", took)
	}
}

// cancelWork cancels a job that is at work, and tells how long that went on.
func (h *house) cancelWork(t *testing.T, subject string) time.Duration {
	t.Helper()
	j := h.start(t, subject, step("write"), step("review", "write"))
	working := make(chan struct{})
	ended := make(chan time.Time, 1)
	first := make(chan error, 1)
	go func() {
		first <- h.Execute(t.Context(), body(j, "write"), func(ctx context.Context, run *job.Run) (job.Result, error) {
			close(working)
			<-ctx.Done()
			ended <- time.Now()
			ctx = context.WithoutCancel(ctx)
			if err := run.Commit(ctx, func(tx pgx.Tx) error { return effect(ctx, tx, "late") }); err == nil {
				t.Error("a commit after the cancel")
			}
			return write(ctx, run)
		})
	}()
	<-working
	canceled := time.Now()
	got, err := h.Cancel(t.Context(), organization, j.ID)
	if err != nil || got.State != job.Canceled {
		t.Fatalf("%s, %v", got.State, err)
	}
	took := (<-ended).Sub(canceled)
	if err := <-first; err != nil {
		t.Errorf("the task of a canceled job comes again: %v", err)
	}
	if got := h.effects(t); len(got) != 0 {
		t.Errorf("written after the cancel: %v", got)
	}
	for _, name := range []string{"write", "review"} {
		if err := h.Execute(t.Context(), body(j, name), write); err != nil {
			t.Errorf("a later task of %s: %v", name, err)
		}
	}
	if again, err := h.Cancel(t.Context(), organization, j.ID); err != nil || again.Version != h.get(t, j).Version {
		t.Errorf("canceling twice: %v", err)
	}
	if _, err := h.Cancel(t.Context(), "org_other", j.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("another organization cancels: %v", err)
	}
	return took
}

// The steps that a worker adds while the cancel waits for it end too: one that
// stayed queued would keep the lesson from ever being rendered again.
func TestCancelReachesStepsThatAreJustAdded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("plan"))
	canceled := make(chan error, 1)
	err := h.Execute(t.Context(), body(j, "plan"), func(context.Context, *job.Run) (job.Result, error) {
		return job.Result{
			Next: []job.NewStep{{Name: "render", Kind: "render", Subject: "les_1", Content: "c"}},
			Apply: func(context.Context, pgx.Tx) error {
				go func() {
					_, err := h.Cancel(t.Context(), organization, j.ID)
					canceled <- err
				}()
				return h.awaitBlocked(t)
			},
		}, nil
	})
	if err := errors.Join(err, <-canceled); err != nil {
		t.Fatal(err)
	}
	if got := h.get(t, j).State; got != job.Canceled {
		t.Fatalf("the job is %s", got)
	}
	if got := h.stepState(t, j, "render"); got != "canceled/0/0" {
		t.Errorf("the new step is %s", got)
	}
}

// awaitBlocked waits until somebody in this test's database waits for a lock.
func (h *house) awaitBlocked(t *testing.T) error {
	eventually(t, "somebody waits for a lock", func() bool {
		var n int
		err := h.pool.QueryRow(t.Context(), `
			SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
		if err != nil {
			t.Error(err)
		}
		return n > 0
	})
	return nil
}

// A worker whose database is gone for longer than its lease stops working: another
// may have taken over.
func TestWorkerWithoutDatabaseStops(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	own, err := pgxpool.NewWithConfig(t.Context(), h.pool.Config())
	if err != nil {
		t.Fatal(err)
	}
	alone := *h.Runner
	alone.DB, alone.Lease, alone.Beat = own, 300*time.Millisecond, 20*time.Millisecond
	j := h.start(t, "crs_1", step("write"))
	err = alone.Execute(t.Context(), body(j, "write"), func(ctx context.Context, _ *job.Run) (job.Result, error) {
		own.Close()
		<-ctx.Done()
		return job.Result{}, context.Cause(ctx)
	})
	if !unavailable(err) {
		t.Errorf("acknowledged: %v", err)
	}
	eventually(t, "taken over", func() bool { return h.Execute(t.Context(), body(j, "write"), write) == nil })
}

// What Apply is given outlives the work's own ctx, and the request's.
func TestResultIsWrittenThoughTheRequestIsOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("write"))
	ctx, over := context.WithCancel(t.Context())
	err := h.Execute(ctx, body(j, "write"), func(ctx context.Context, run *job.Run) (job.Result, error) {
		over()
		<-ctx.Done()
		return write(ctx, run)
	})
	if err != nil {
		t.Error(err)
	}
	if got := h.effects(t)["write"]; got != 1 {
		t.Errorf("%d effects", got)
	}
}

// The step's end, its effect and the steps that follow are one transaction.
func TestEffectThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("write"))
	err := h.Execute(t.Context(), body(j, "write"), func(context.Context, *job.Run) (job.Result, error) {
		return job.Result{Next: []job.NewStep{step("more")}, Apply: func(ctx context.Context, tx pgx.Tx) error {
			return errors.Join(effect(ctx, tx, "half"), errBroken)
		}}, nil
	})
	if !unavailable(err) {
		t.Errorf("%v", err)
	}
	if got := h.effects(t); len(got) != 0 {
		t.Errorf("effects: %v", got)
	}
	if got := h.stepState(t, j, "write"); got != "queued/1/1" {
		t.Errorf("the step is %s", got)
	}
	err = h.Execute(t.Context(), body(j, "write"), func(context.Context, *job.Run) (job.Result, error) {
		return job.Result{Output: math.Inf(1)}, nil // JSON has no infinity
	})
	if !unavailable(err) {
		t.Errorf("output that cannot be stored: %v", err)
	}
}

// A worker that died after its commit had not sent what follows: the task comes
// again, and now it is sent.
func TestRedeliverySendsWhatADeadWorkerDidNot(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("plan"), step("write", "plan"))
	deaf, lost := *h.Runner, &queue.Memory{}
	lost.Fail(fault.New(fault.Unavailable, "the worker is dead"))
	deaf.Queue, deaf.Board = lost, &h.deafBoard
	if err := deaf.Execute(t.Context(), body(j, "plan"), write); err != nil {
		t.Fatal(err)
	}
	sent := len(h.queue.Waiting())
	if err := h.Execute(t.Context(), body(j, "plan"), write); err != nil {
		t.Fatal(err)
	}
	if n := len(h.queue.Waiting()) - sent; n != 1 {
		t.Errorf("%d tasks were sent", n)
	}
	if err := deaf.Execute(t.Context(), body(j, "write"), write); err != nil {
		t.Fatal(err)
	}
	if err := h.Execute(t.Context(), body(j, "write"), write); err != nil {
		t.Fatal(err)
	}
	if shown, _ := h.board.Shown(j.ID); shown.Version != h.get(t, j).Version {
		t.Errorf("the end of the job is not shown")
	}
}

// counting counts what is handed to a queue, also what it knows already.
type counting struct {
	queue.Queue
	calls atomic.Int64
}

func (c *counting) Enqueue(ctx context.Context, t queue.Task) error {
	c.calls.Add(1)
	return c.Queue.Enqueue(ctx, t)
}

// A task costs a call of some 30 ms: what waits in the queue is not sent again
// whenever a sibling ends.
func TestATaskIsSentOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	count := &counting{Queue: h.queue}
	h.Queue = count
	j := h.start(t, "crs_1", step("a"), step("b"), step("c"), step("last", "a", "b", "c"))
	for _, name := range []string{"a", "b", "c", "last"} {
		if err := h.Execute(t.Context(), body(j, name), write); err != nil {
			t.Fatal(err)
		}
	}
	if n := count.calls.Load(); n != 4 {
		t.Errorf("4 steps were sent with %d calls", n)
	}
	if got := h.get(t, j); got.State != job.Succeeded {
		t.Errorf("the job is %s", got.State)
	}
}
