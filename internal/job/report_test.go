package job_test

import (
	"context"
	"testing"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/logtest"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/tally"
)

// Each attempt has one line in the log, and the job's end has one: what operators measure,
// with the right figures.
func TestAttemptsAndEndsAreLogged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Bill = func(_ context.Context, _ postgres.Querier, who, j string) (micros, input, output int64, err error) {
		if who != organization || j == "" {
			t.Errorf("the bill of %s, job %s", who, j)
		}
		return 1234, 500, 60, nil
	}
	j := h.start(t, "crs_1", step("write/1"))
	made := time.Now()
	h.exec(t, `UPDATE job_steps SET due_at = now() - interval '90 seconds'`)
	h.exec(t, `UPDATE jobs SET created_at = now() - interval '100 seconds'`)

	fail := func(_ context.Context, _ *job.Run) (job.Result, error) {
		return job.Result{}, fault.New(fault.Unavailable, "The model is down.")
	}
	ctx, log := logtest.Under(t.Context())
	if err := h.Execute(ctx, body(j, "write/1"), fail); !unavailable(err) {
		t.Fatal(err)
	}
	first := log.One(t, "attempt")
	atMost := float64(90_000 + time.Since(made).Milliseconds() + 1000)
	if age := first.Number("queue_age_ms"); age == nil || *age < 90_000 || *age > atMost {
		t.Errorf("it waited 90 s, and the log has %v", first)
	}
	if first.Text("outcome") != "retried" || first.Text("severity") != "WARNING" || *first.Number("attempt") != 1 || first.Text("error") == "" {
		t.Errorf("the first attempt: %v", first)
	}
	if len(log.Of("job ended")) != 0 {
		t.Error("a job that is tried again has not ended")
	}

	ctx, log = logtest.Under(t.Context())
	if err := h.Execute(ctx, body(j, "write/1"), func(ctx context.Context, run *job.Run) (job.Result, error) {
		tally.Add(ctx, "input_tokens", 70)
		tally.Add(ctx, "output_tokens", 8)
		tally.Add(ctx, "model_calls", 1)
		tally.Add(ctx, "cost_micros", 25)
		return write(ctx, run)
	}); err != nil {
		t.Fatal(err)
	}
	second := log.One(t, "attempt")
	if age := second.Number("queue_age_ms"); age == nil || *age > float64(time.Since(made).Milliseconds()+1000) {
		t.Errorf("it was put back a moment ago, and the log has %v", second)
	}
	if second.Text("outcome") != "succeeded" || second.Text("target") != "generate" || second.Text("step_kind") != "write" ||
		*second.Number("input_tokens") != 70 || *second.Number("cost_micros") != 25 || second.Text("job") != j.ID {
		t.Errorf("the second attempt: %v", second)
	}
	logtest.Bound(t, first, second)

	end := log.One(t, "job ended")
	total, waited := end.Number("total_seconds"), end.Number("waited_seconds")
	if total == nil || waited == nil || *total < 100 || *waited < 100 || *waited > *total || *total > 101+time.Since(made).Seconds() {
		t.Errorf("it took 100 s and a moment: %v", end)
	}
	if end.Text("state") != "succeeded" || end.Text("target") != "generate" || *end.Number("cost_micros") != 1234 || *end.Number("output_tokens") != 60 {
		t.Errorf("the end: %v", end)
	}
	logtest.Bound(t, end)
}

func TestWhatWasGivenUpIsLogged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("write/1"))
	ctx, log := logtest.Under(t.Context())
	err := h.Execute(ctx, body(j, "write/1"), func(context.Context, *job.Run) (job.Result, error) { return job.Result{}, errBroken })
	for n := 1; unavailable(err) && n < 9; n++ {
		err = h.Execute(ctx, body(j, "write/1"), func(context.Context, *job.Run) (job.Result, error) { return job.Result{}, errBroken })
	}
	if err != nil {
		t.Fatal(err)
	}
	attempts := log.Of("attempt")
	last := attempts[len(attempts)-1]
	if len(attempts) != 5 || last.Text("outcome") != "given up" || last.Text("severity") != "ERROR" || last.Text("kind") != "internal" {
		t.Errorf("%d attempts, the last: %v", len(attempts), last)
	}
	if end := log.One(t, "job ended"); end.Text("state") != "failed" || end.Text("severity") != "WARNING" {
		t.Errorf("the end: %v", end)
	}
}

func TestACanceledJobIsLoggedOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("write/1"))
	ctx, log := logtest.Under(t.Context())
	for range 2 {
		if _, err := h.Cancel(ctx, organization, j.ID); err != nil {
			t.Fatal(err)
		}
	}
	if end := log.One(t, "job ended"); end.Text("state") != "canceled" || *end.Number("total_seconds") != *end.Number("waited_seconds") {
		t.Errorf("nobody had begun: %v", end)
	}
}

// However often the sweep sends its task again, a step waits since it could be worked on.
func TestTheSurvey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	look := func() job.Survey {
		t.Helper()
		s, err := h.Look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := look(); s != (job.Survey{}) {
		t.Errorf("of nothing: %+v", s)
	}
	late := h.start(t, "crs_1", step("write/1"), step("review", "write/1"))
	h.start(t, "crs_2", step("write/1"))
	waiting := h.start(t, "crs_3", step("write/1"))
	h.exec(t, `UPDATE jobs SET state = 'waiting', waiting_for = 'budget' WHERE job_id = $1`, waiting.ID)
	h.exec(t, `UPDATE job_steps SET due_at = now() - interval '2 hours', changed_at = now() - interval '2 hours' WHERE job_id = $1`, late.ID)
	h.exec(t, `UPDATE job_steps SET due_at = now() - interval '3 hours' WHERE job_id = $1`, waiting.ID)
	swept, err := h.Sweep(t.Context(), nil)
	if err != nil || swept.Lost != 1 {
		t.Fatalf("%+v, %v", swept, err)
	}
	s := look()
	if s.OldestQueuedSeconds < 7200 || s.OldestQueuedSeconds > 7300 {
		t.Errorf("the oldest is due for two hours: %+v", s)
	}
	s.OldestQueuedSeconds = 0
	if want := (job.Survey{OpenJobs: 2, WaitingJobs: 1, QueuedSteps: 2, StuckJobs: 1}); s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
}
