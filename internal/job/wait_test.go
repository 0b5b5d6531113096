package job_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/queue"
)

func spent(context.Context, *job.Run) (job.Result, error) {
	return job.Result{}, fault.New(fault.PaymentRequired, "The budget is used up.")
}

// A step without budget goes back unharmed; what is at work goes on; the job waits,
// asks nothing of the queue, and goes on where it was.
func TestWithoutBudgetAJobWaits(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("plan"), step("write"), step("review", "write"))
	var held *job.Run
	beside := func(ctx context.Context, run *job.Run) (job.Result, error) {
		if err := h.Execute(ctx, body(j, "plan"), func(ctx context.Context, run *job.Run) (job.Result, error) {
			held = run
			return spent(ctx, run)
		}); err != nil {
			t.Error(err)
		}
		return job.Result{}, nil
	}
	if err := h.Execute(t.Context(), body(j, "write"), beside); err != nil {
		t.Fatal(err)
	}
	got := h.get(t, j)
	if got.State != job.Waiting || got.WaitingFor != "budget" || got.Message != "The budget is used up." || got.Error != "" || got.FinishedAt != nil {
		t.Errorf("%+v", got)
	}
	if state := h.stepState(t, j, "plan"); state != "queued/1/0" {
		t.Errorf("the step without budget: %s", state)
	}
	if state := h.stepState(t, j, "write"); state != "succeeded/1/0" {
		t.Errorf("the step beside it: %s", state)
	}
	err := held.Commit(t.Context(), func(pgx.Tx) error { return nil })
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("the attempt that was put back still writes: %v", err)
	}
	// Its tasks are acknowledged, and the sweep sends none.
	for _, name := range []string{"plan", "review"} {
		if err := h.Execute(t.Context(), body(j, name), spent); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.exec(t, `UPDATE job_steps SET changed_at = now() - interval '1 hour'`)
	h.sweep(t, job.Swept{})

	before := len(h.queue.Waiting())
	if _, err := h.Resume(t.Context(), organization, j.ID); err != nil {
		t.Fatal(err)
	}
	if sent := len(h.queue.Waiting()) - before; sent != 2 {
		t.Errorf("%d tasks are sent again, not 2", sent)
	}
	for _, name := range []string{"plan", "review"} {
		if err := h.Execute(t.Context(), body(j, name), write); err != nil {
			t.Error(err)
		}
	}
	if got := h.get(t, j); got.State != job.Succeeded || got.WaitingFor != "" {
		t.Errorf("%+v", got)
	}
}

func TestWaitingJobCanBeCanceled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("plan"))
	if err := h.Execute(t.Context(), body(j, "plan"), spent); err != nil {
		t.Fatal(err)
	}
	got, err := h.Cancel(t.Context(), organization, j.ID)
	if err != nil || got.State != job.Canceled || got.WaitingFor != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWaitingJobsGoOnByThemselves(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	one, two := h.start(t, "crs_1", step("plan")), h.start(t, "crs_2", step("plan"))
	for _, j := range []job.Job{one, two} {
		if err := h.Execute(t.Context(), body(j, "plan"), spent); err != nil {
			t.Fatal(err)
		}
	}
	n, err := h.ResumeWaiting(t.Context(), func(_ context.Context, org, id string) (bool, error) {
		return org == organization && id == two.ID, nil
	})
	if err != nil || n != 1 || h.get(t, one).State != job.Waiting || h.get(t, two).State != job.Queued {
		t.Errorf("%d, %v: %s, %s", n, err, h.get(t, one).State, h.get(t, two).State)
	}
}

// Limits hold when many start at once; a job that is found again is not counted.
func TestLimitsOnOpenJobs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Limits = map[job.Kind]job.Limits{job.Generate: {PerUser: 3, PerOrganization: 5}}
	start := func(user, subject string) (job.Job, error) {
		n := newJob(job.Generate, subject, "", step("plan"))
		n.User, n.Admit = user, h.Admit
		var j job.Job
		err := postgres.InTx(t.Context(), h.pool, func(tx pgx.Tx) (err error) {
			j, _, err = job.Start(t.Context(), tx, n)
			return err
		})
		return j, err
	}
	outcome := make(chan error)
	for i := range 12 {
		go func() {
			_, err := start("user_a", "crs_"+string(rune('a'+i)))
			outcome <- err
		}()
	}
	made := 0
	for range 12 {
		switch err := <-outcome; {
		case err == nil:
			made++
		case !fault.Is(err, fault.Exhausted):
			t.Error(err)
		}
	}
	if made != 3 {
		t.Errorf("one person has started %d", made)
	}
	var open string
	if err := h.pool.QueryRow(t.Context(), `SELECT subject FROM jobs LIMIT 1`).Scan(&open); err != nil {
		t.Fatal(err)
	}
	if _, err := start("user_a", open); err != nil {
		t.Errorf("a double click: %v", err)
	}
	for i, want := range []bool{true, true, false} {
		if _, err := start("user_b", "crs_of_b_"+string(rune('0'+i))); (err == nil) != want {
			t.Errorf("number %d of the organization: %v", 4+i, err)
		}
	}
	// One that ended makes room; to resume it takes room again.
	var first string
	if err := h.pool.QueryRow(t.Context(), `SELECT job_id FROM jobs WHERE created_by = 'user_a' LIMIT 1`).Scan(&first); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Cancel(t.Context(), organization, first); err != nil {
		t.Fatal(err)
	}
	if _, err := start("user_b", "crs_of_b_2"); err != nil {
		t.Error(err)
	}
	if _, err := h.Resume(t.Context(), organization, first); !fault.Is(err, fault.Exhausted) {
		t.Errorf("resumed beyond the limit: %v", err)
	}
	if got, err := job.Get(t.Context(), h.pool, organization, first); err != nil || got.State != job.Canceled {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNothingIsStartedWithoutBudget(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	broke := &job.Runner{DB: h.pool, Queue: &queue.Memory{}, Board: &live.Memory{}, Afford: func(context.Context, postgres.Querier, string) error {
		return fault.New(fault.PaymentRequired, "The budget is used up.")
	}}
	n := newJob(job.Render, "les_1", "", step("render"))
	n.Admit = broke.Admit
	if _, _, err := h.tryOpen(t.Context(), n); !fault.Is(err, fault.PaymentRequired) {
		t.Error(err)
	}
	var jobs int
	if err := h.pool.QueryRow(t.Context(), `SELECT count(*) FROM jobs`).Scan(&jobs); err != nil || jobs != 0 {
		t.Errorf("%d jobs, %v", jobs, err)
	}
	j := h.start(t, "crs_1", step("plan"))
	if err := h.Execute(t.Context(), body(j, "plan"), spent); err != nil {
		t.Fatal(err)
	}
	if _, err := broke.Resume(t.Context(), organization, j.ID); !fault.Is(err, fault.PaymentRequired) {
		t.Error(err)
	}
	if got := h.get(t, j); got.State != job.Waiting || got.WaitingFor != "budget" {
		t.Errorf("%+v", got)
	}
}
