package job_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/queue"
)

func nobody(context.Context, job.Step) (bool, error) {
	return false, errors.New("nothing was delivered")
}

func (h *house) sweep(t *testing.T, want job.Swept) {
	t.Helper()
	got, err := h.Sweep(t.Context(), nobody)
	if err != nil || got != want {
		t.Errorf("swept %+v, want %+v, error %v", got, want, err)
	}
}

// Every task is lost, time and again; the sweep alone brings the job to its end.
func TestSweepReplacesEveryTask(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	lost := *h.Runner
	j, _ := h.open(t, newJob(job.Generate, "crs_1", "", step("plan"), step("write", "plan"), step("review", "write")))
	lost.Queue = &queue.Memory{}
	for range 3 {
		h.sweep(t, job.Swept{}) // too early
		h.exec(t, `UPDATE job_steps SET changed_at = now() - interval '2 minutes'`)
		h.sweep(t, job.Swept{Lost: 1})
		tasks := h.queue.Waiting()
		if err := lost.Execute(t.Context(), tasks[len(tasks)-1].Body, write); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.get(t, j).State; got != job.Succeeded {
		t.Errorf("the job is %s", got)
	}
	h.exec(t, `UPDATE job_steps SET changed_at = now() - interval '1 day'`)
	h.sweep(t, job.Swept{})
}

// The more often a task was sent, the longer the sweep waits: a queue that is slow
// is not buried.
func TestSweepBacksOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start(t, "crs_1", step("write"))
	h.exec(t, `UPDATE job_steps SET sends = 3, changed_at = now() - interval '3 minutes'`)
	h.sweep(t, job.Swept{})
	h.exec(t, `UPDATE job_steps SET changed_at = now() - interval '5 minutes'`)
	h.sweep(t, job.Swept{Lost: 1})
}

func TestSweepWhileTheQueueIsDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.queue.Fail(fault.New(fault.Unavailable, "The queue is down."))
	h.open(t, newJob(job.Generate, "crs_1", "", step("write")))
	h.exec(t, `UPDATE job_steps SET changed_at = now() - interval '2 minutes'`)
	if _, err := h.Sweep(t.Context(), nobody); !unavailable(err) {
		t.Errorf("%v", err)
	}
	h.queue.Fail(nil)
	h.exec(t, `UPDATE job_steps SET changed_at = now() - interval '3 minutes'`)
	h.sweep(t, job.Swept{Lost: 1})
	if n := len(h.queue.Waiting()); n != 1 {
		t.Errorf("%d tasks", n)
	}
}

func TestSweepFreesWhatAKilledWorkerHeld(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("write"))
	err := h.Execute(t.Context(), body(j, "write"), func(ctx context.Context, run *job.Run) (job.Result, error) {
		h.sweep(t, job.Swept{}) // it is alive
		h.exec(t, `UPDATE job_steps SET lease_until = now() - interval '1 minute'`)
		h.sweep(t, job.Swept{Stuck: 1})
		return write(ctx, run)
	})
	if !unavailable(err) {
		t.Errorf("acknowledged: %v", err)
	}
	if got := h.stepState(t, j, "write"); got != "queued/1/1" {
		t.Errorf("the step is %s", got)
	}
}

func TestSweepOfDeliveredSteps(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	deliver := func(context.Context, *job.Run) (job.Result, error) { return job.Result{Delivered: true}, nil }
	there, absent := h.start(t, "crs_1", step("film")), h.start(t, "crs_2", step("film"))
	for _, j := range []job.Job{there, absent} {
		if err := h.Execute(t.Context(), body(j, "film"), deliver); err != nil {
			t.Fatal(err)
		}
	}
	h.sweep(t, job.Swept{}) // their events may be on the way
	h.exec(t, `UPDATE job_steps SET lease_until = now() - interval '1 second'`)
	unheard := func(ctx context.Context, s job.Step) (bool, error) {
		if s.Job == absent.ID {
			return false, nil
		}
		return true, h.Complete(ctx, s.Organization, s.Ref(), s.Attempt, func(tx pgx.Tx) error { return effect(ctx, tx, "published") })
	}
	got, err := h.Sweep(t.Context(), unheard)
	if err != nil || got != (job.Swept{Unheard: 2}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got := h.stepState(t, there, "film"); got != "succeeded/1/0" {
		t.Errorf("what was there is %s", got)
	}
	if got := h.stepState(t, absent, "film"); got != "queued/1/1" {
		t.Errorf("what was absent is %s", got)
	}
	if got := h.effects(t)["published"]; got != 1 {
		t.Errorf("published %d times", got)
	}
}

// Sweeps at once do each thing once.
func TestSweepsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var steps []job.NewStep
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		steps = append(steps, step(name))
	}
	h.open(t, newJob(job.Generate, "crs_1", "", steps...))
	h.exec(t, `UPDATE job_steps SET changed_at = now() - interval '2 minutes'`)
	var mu sync.Mutex
	lost := 0
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			got, err := h.Sweep(t.Context(), nobody)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			lost += got.Lost
			mu.Unlock()
		})
	}
	all.Wait()
	if lost != len(steps) || len(h.queue.Waiting()) != len(steps) {
		t.Errorf("%d steps swept, %d tasks", lost, len(h.queue.Waiting()))
	}
}

// A sweep does not wait for a step that somebody is changing at the moment.
func TestSweepPassesBy(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j, _ := h.open(t, newJob(job.Generate, "crs_1", "", step("a"), step("b")))
	h.exec(t, `UPDATE job_steps SET changed_at = now() - interval '2 minutes'`)
	tx, err := h.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM job_steps WHERE job_id = $1 AND name = 'a' FOR UPDATE`, j.ID); err != nil {
		t.Fatal(err)
	}
	h.sweep(t, job.Swept{Lost: 1})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.sweep(t, job.Swept{Lost: 1})
}

func TestTakeDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old, fresh, open := h.start(t, "crs_1", step("a")), h.start(t, "crs_2", step("a")), h.start(t, "crs_3", step("a"), step("b", "a"))
	for _, j := range []job.Job{old, fresh, open} {
		if err := h.Execute(t.Context(), body(j, "a"), write); err != nil {
			t.Fatal(err)
		}
	}
	h.exec(t, `UPDATE jobs SET finished_at = now() - interval '2 days' WHERE job_id = $1`, old.ID)
	for _, want := range []int{1, 0} {
		if n, err := h.TakeDown(t.Context()); err != nil || n != want {
			t.Errorf("%d were taken down, %v", n, err)
		}
	}
	for j, want := range map[string]bool{old.ID: false, fresh.ID: true, open.ID: true} {
		if _, shown := h.board.Shown(j); shown != want {
			t.Errorf("shown: %v, want %v", shown, want)
		}
	}
}
