package sweep_test

import (
	"context"
	"encoding/json"
	"testing"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
)

// What the dead had reserved is counted in full, and the job that waits for its
// budget goes on one sweep after that was raised, or when a new month begins.
func TestBudgets(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	prices, err := budget.LoadPrices(`{"fake": {"kind": "tokens", "input": 1, "output": 1}}`)
	if err != nil {
		t.Fatal(err)
	}
	ledger := &budget.Ledger{DB: h.db, Prices: prices, Defaults: limits}
	reserve := func(jobID string, n int64) error {
		ctx := budget.With(account.With(context.WithoutCancel(t.Context()), account.Local), budget.Payer{Organization: organization, Subject: jobID})
		_, err := ledger.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: n})
		return err
	}
	if err := reserve("job_of_the_dead", 900); err != nil {
		t.Fatal(err)
	}
	j := h.start(t, "as ordered")
	body, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	spend := func(context.Context, *job.Run) (job.Result, error) { return job.Result{}, reserve(j.Job, 400) }
	state := func(want job.State) {
		t.Helper()
		if got, err := job.Get(t.Context(), h.db, organization, j.Job); err != nil || got.State != want {
			t.Errorf("%s: %s, %v", got.State, got.Message, err)
		}
	}
	work := func(want job.State) {
		t.Helper()
		if err := h.runner.Execute(t.Context(), body, spend); err != nil && !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
		state(want)
	}
	work(job.Waiting)
	if r, _ := h.sweep(t); r.Resumed != 0 || r.Expired != 0 {
		t.Errorf("%+v", r)
	}
	h.exec(t, `UPDATE ledger SET expires_at = now() - interval '1 second'`)
	if r, _ := h.sweep(t); r.Resumed != 0 || r.Expired != 1 || r.Letters != 0 { // nobody there has an address
		t.Errorf("%+v", r)
	}
	for _, c := range []struct {
		hard int64
		want int
	}{{1299, 0}, {1300, 1}} { // 900 are spent, 400 are needed
		if _, err := ledger.SetLimits(t.Context(), organization, budget.Limits{Hard: c.hard}, "user_root"); err != nil {
			t.Fatal(err)
		}
		if r, _ := h.sweep(t); r.Resumed != c.want {
			t.Errorf("at %d: %+v", c.hard, r)
		}
	}
	state(job.Queued)
	h.exec(t, `UPDATE budgets SET soft_micros = 0, hard_micros = 1000`)
	work(job.Waiting)
	h.exec(t, `UPDATE ledger_months SET month = month - interval '1 month'`)
	h.exec(t, `UPDATE ledger SET month = month - interval '1 month'`)
	if r, _ := h.sweep(t); r.Resumed != 1 {
		t.Errorf("the new month: %+v", r)
	}
	work(job.Succeeded)
}
