package job_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/queue"
)

// noted makes the runner write, beside a step that fails for good, an effect that
// names the step.
func (h *house) noted() {
	h.IfFailed = func(ctx context.Context, tx pgx.Tx, s job.Step, _ error) error {
		return effect(ctx, tx, "failed "+s.Name)
	}
}

// F09: a step whose work always fails, panics, or hangs is tried five times; then
// its job says why, and others were never held up.
func TestPoisonIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, poison := range map[string]job.Work{
		"fails":  func(context.Context, *job.Run) (job.Result, error) { return job.Result{}, errBroken },
		"panics": func(context.Context, *job.Run) (job.Result, error) { panic("ouch") },
		"hangs": func(ctx context.Context, _ *job.Run) (job.Result, error) {
			<-ctx.Done()
			return job.Result{}, ctx.Err()
		},
		"is never available": func(context.Context, *job.Run) (job.Result, error) {
			return job.Result{}, fault.New(fault.Unavailable, "The model is down.")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.noted()
			h.Limit = 100 * time.Millisecond
			j := h.start(t, "crs_1", step("poison"), step("write"))
			tries := 0
			err := h.queue.Drain(t.Context(), func(ctx context.Context, task queue.Task) error {
				if strings.Contains(string(task.Body), "poison") {
					tries++
					return h.Execute(ctx, task.Body, poison)
				}
				return h.Execute(ctx, task.Body, write)
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := h.stepState(t, j, "poison"); tries != 5 || got != "failed/5/5" {
				t.Errorf("after %d tries the step is %s", tries, got)
			}
			if got := fmt.Sprint(h.effects(t)); got != "map[failed poison:1 write:1]" {
				t.Errorf("effects: %s", got)
			}
			got := h.get(t, j)
			if got.State != job.Failed || !strings.HasPrefix(got.Error, "1 of 2 steps failed. ") || strings.Contains(got.Error, "ouch") || strings.Contains(got.Error, "request id") {
				t.Errorf("the job is %s: %q", got.State, got.Error)
			}
		})
	}
}

// What cannot succeed later is not tried again.
func TestRefusalFailsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("write"))
	err := h.Execute(t.Context(), body(j, "write"), func(context.Context, *job.Run) (job.Result, error) {
		return job.Result{}, fault.New(fault.Invalid, "The document has no text.")
	})
	if err != nil {
		t.Error(err)
	}
	if got := h.get(t, j); got.State != job.Failed || got.Error != "The document has no text." {
		t.Errorf("the job is %s: %q", got.State, got.Error)
	}
}

// A step whose worker is killed each time never gets to say that it failed: who
// claims it for the sixth time gives it up without running it.
func TestWorkThatKillsItsWorkerIsGivenUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.noted()
	j := h.start(t, "crs_1", step("write"))
	for range 5 {
		h.exec(t, `UPDATE jobs SET state = 'running' WHERE job_id = $1`, j.ID)
		h.exec(t, `
			UPDATE job_steps
			SET attempt = attempt + 1, failures = failures + (state = 'running')::int, state = 'running', lease_until = now() - interval '1 second'
			WHERE job_id = $1`, j.ID)
	}
	err := h.Execute(t.Context(), body(j, "write"), func(context.Context, *job.Run) (job.Result, error) {
		t.Error("it ran once more")
		return job.Result{}, nil
	})
	if err != nil {
		t.Error(err)
	}
	if got := h.get(t, j); got.State != job.Failed || !strings.Contains(got.Error, "given up") {
		t.Errorf("the job is %s: %q", got.State, got.Error)
	}
	if got := h.effects(t)["failed write"]; got != 1 {
		t.Errorf("IfFailed was written %d times", got)
	}
}

// A drain interrupts work that is not to blame: it runs again and is not counted.
func TestInterruptionIsNoFailure(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("write"))
	for range 7 {
		ctx, drain := context.WithCancel(t.Context())
		err := h.Execute(ctx, body(j, "write"), func(ctx context.Context, _ *job.Run) (job.Result, error) {
			drain()
			<-ctx.Done()
			return job.Result{}, ctx.Err()
		})
		if !unavailable(err) {
			t.Fatalf("acknowledged: %v", err)
		}
	}
	if got := h.stepState(t, j, "write"); got != "queued/7/0" {
		t.Errorf("the step is %s", got)
	}
	if err := h.Execute(t.Context(), body(j, "write"), write); err != nil {
		t.Error(err)
	}
}

// Siblings of a step that fails go on; what waits for it does not. A resume runs
// what failed, and nothing that succeeded.
func TestResumeKeepsWhatWasDone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("plan"), step("write/1", "plan"), step("write/2", "plan"), step("review", "write/1", "write/2"))
	broken := true
	deliver := func(ctx context.Context, task queue.Task) error {
		return h.Execute(ctx, task.Body, func(ctx context.Context, run *job.Run) (job.Result, error) {
			if broken && run.Step.Name == "write/1" {
				return job.Result{}, fault.New(fault.Invalid, "The model refused.")
			}
			return write(ctx, run)
		})
	}
	if err := h.queue.Drain(t.Context(), deliver); err != nil {
		t.Fatal(err)
	}
	got := h.get(t, j)
	if got.State != job.Failed || got.Error != "1 of 4 steps failed. The model refused." || got.Done != 2 || got.Total != 4 {
		t.Fatalf("the job is %s with %d of %d: %q", got.State, got.Done, got.Total, got.Error)
	}
	if got := h.stepState(t, j, "review"); got != "canceled/0/0" {
		t.Errorf("what waits for it is %s", got)
	}

	broken = false
	again, err := h.Resume(t.Context(), organization, j.ID)
	if err != nil || again.State != job.Queued || again.Error != "" {
		t.Fatalf("resumed: %s %q, %v", again.State, again.Error, err)
	}
	if err := h.queue.Drain(t.Context(), deliver); err != nil {
		t.Fatal(err)
	}
	if got := h.get(t, j); got.State != job.Succeeded || got.Error != "" || got.Done != 4 {
		t.Errorf("the job is %s with %d: %q", got.State, got.Done, got.Error)
	}
	if got := fmt.Sprint(h.effects(t)); got != "map[plan:1 review:1 write/1:1 write/2:1]" {
		t.Errorf("effects: %s", got)
	}
	if _, err := h.Resume(t.Context(), organization, j.ID); !fault.Is(err, fault.Conflict) {
		t.Errorf("a job that succeeded was resumed: %v", err)
	}
}

func TestCanceledJobIsResumed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("plan"), step("write", "plan"))
	if err := h.Execute(t.Context(), body(j, "plan"), write); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Cancel(t.Context(), organization, j.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Resume(t.Context(), "org_other", j.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("another organization resumes: %v", err)
	}
	if _, err := h.Resume(t.Context(), organization, j.ID); err != nil {
		t.Fatal(err)
	}
	err := h.queue.Drain(t.Context(), func(ctx context.Context, task queue.Task) error { return h.Execute(ctx, task.Body, write) })
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(h.get(t, j).State, h.effects(t)); got != "succeededmap[plan:1 write:1]" {
		t.Error(got)
	}
}

// While a newer job does the same work an older one cannot be resumed.
func TestResumeMeetsANewerJob(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old := h.start(t, "crs_1", step("plan"))
	if _, err := h.Cancel(t.Context(), organization, old.ID); err != nil {
		t.Fatal(err)
	}
	h.start(t, "crs_1", step("plan"))
	if _, err := h.Resume(t.Context(), organization, old.ID); !fault.Is(err, fault.Conflict) {
		t.Errorf("resumed beside it: %v", err)
	}
	if got := h.get(t, old).State; got != job.Canceled {
		t.Errorf("the old job is %s", got)
	}
}

func TestStepThatWaitsForNothingThatExists(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("plan"), step("write", "no such step"))
	if err := h.Execute(t.Context(), body(j, "plan"), write); err != nil {
		t.Fatal(err)
	}
	if got := h.get(t, j); got.State != job.Failed || got.Error == "" {
		t.Errorf("the job is %s: %q", got.State, got.Error)
	}
}

// Complete is for the attempt that delivered, once.
func TestComplete(t *testing.T) {
	t.Parallel()
	deliver := func(ctx context.Context, run *job.Run) (job.Result, error) { return job.Result{Delivered: true}, nil }
	setUp := func(t *testing.T) (*house, job.Job, job.Ref) {
		h := newHouse(t)
		j := h.start(t, "crs_1", step("film"), step("after", "film"))
		return h, j, job.Ref{Job: j.ID, Step: "film"}
	}
	publish := func(ctx context.Context, h *house, ref job.Ref, organization string, attempt int64) error {
		return h.Complete(ctx, organization, ref, attempt, func(tx pgx.Tx) error { return effect(ctx, tx, "published") })
	}
	t.Run("after the delivery", func(t *testing.T) {
		t.Parallel()
		h, j, ref := setUp(t)
		if err := h.Execute(t.Context(), body(j, "film"), deliver); err != nil {
			t.Fatal(err)
		}
		if err := h.Execute(t.Context(), body(j, "film"), deliver); err != nil {
			t.Errorf("the task again: %v", err)
		}
		for organization, attempt := range map[string]int64{"org_other": 1, "org_local": 2} {
			if err := publish(t.Context(), h, ref, organization, attempt); err == nil {
				t.Errorf("published for %s, attempt %d", organization, attempt)
			}
		}
		if err := publish(t.Context(), h, ref, organization, 1); err != nil {
			t.Fatal(err)
		}
		if err := publish(t.Context(), h, ref, organization, 1); !fault.Is(err, fault.Conflict) {
			t.Errorf("twice: %v", err)
		}
		if got := fmt.Sprint(h.stepState(t, j, "film"), " ", h.stepState(t, j, "after"), h.effects(t)); got != "succeeded/1/0 queued/0/0map[published:1]" {
			t.Error(got)
		}
	})
	t.Run("before the step itself says so", func(t *testing.T) {
		t.Parallel()
		h, j, ref := setUp(t)
		err := h.Execute(t.Context(), body(j, "film"), func(ctx context.Context, run *job.Run) (job.Result, error) {
			return job.Result{Delivered: true}, publish(ctx, h, ref, organization, run.Step.Attempt)
		})
		if err != nil {
			t.Error(err)
		}
		if got := h.stepState(t, j, "film"); got != "succeeded/1/0" {
			t.Errorf("the step is %s", got)
		}
	})
	t.Run("after a cancel", func(t *testing.T) {
		t.Parallel()
		h, j, ref := setUp(t)
		if err := h.Execute(t.Context(), body(j, "film"), deliver); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Cancel(t.Context(), organization, j.ID); err != nil {
			t.Fatal(err)
		}
		if err := publish(t.Context(), h, ref, organization, 1); !fault.Is(err, fault.Conflict) {
			t.Errorf("%v", err)
		}
		if got := h.effects(t); len(got) != 0 {
			t.Errorf("effects: %v", got)
		}
	})
	t.Run("an effect that fails leaves the step waiting", func(t *testing.T) {
		t.Parallel()
		h, j, ref := setUp(t)
		if err := h.Execute(t.Context(), body(j, "film"), deliver); err != nil {
			t.Fatal(err)
		}
		if err := h.Complete(t.Context(), organization, ref, 1, func(pgx.Tx) error { return errBroken }); err == nil {
			t.Error("no error")
		}
		if got := h.stepState(t, j, "film"); got != "delivered/1/0" {
			t.Errorf("the step is %s", got)
		}
	})
}

func TestFindStep(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", job.NewStep{Name: "write", Kind: "write", Subject: "les_1", Content: "c", Input: map[string]int{"n": 1}})
	s, err := job.FindStep(t.Context(), h.pool, organization, job.Ref{Job: j.ID, Step: "write"})
	if err != nil || s.Kind != "write" || s.Subject != "les_1" || s.Content != "c" || s.CourseID != "crs_1" || string(s.Input) != `{"n": 1}` {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := job.FindStep(t.Context(), h.pool, "org_other", s.Ref()); !fault.Is(err, fault.NotFound) {
		t.Errorf("another organization finds it: %v", err)
	}
}
