package generate_test

import (
	"context"
	"testing"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/authoring"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/offline"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/source/sample"
)

// A course whose budget ends in the middle waits, is finished when the budget was
// raised, and has cost its organization exactly what the model gave.
func TestACourseWaitsForItsBudget(t *testing.T) {
	t.Parallel()
	paid := &budget.Model{Model: offline.Model{}}
	served := &bill{Model: paid}
	h := newHouse(t, served)
	prices, err := budget.LoadPrices(`{"offline-1": {"kind": "tokens", "input": 1, "output": 1, "max_output": 20000}}`)
	if err != nil {
		t.Fatal(err)
	}
	h.read(t, sample.Name, sample.Document)
	paid.Ledger = &budget.Ledger{
		DB: pgtest.As(t, h.db, postgres.System), Prices: prices, Defaults: budget.Limits{Soft: 40_000, Hard: 40_000},
	}
	j := h.generate(t, authoring.Brief{Lessons: 4})
	if j.State != job.Waiting || j.WaitingFor != "budget" || j.Message == "" {
		t.Fatalf("%+v", j)
	}
	if holds, err := paid.Ledger.Holds(t.Context(), account.Local.Organization, j.ID); err != nil || holds {
		t.Errorf("the budget holds what was refused: %v", err)
	}
	if _, err := paid.Ledger.SetLimits(t.Context(), account.Local.Organization, budget.Limits{Soft: 40_000, Hard: 100_000_000}, "user_root"); err != nil {
		t.Fatal(err)
	}
	if n, err := h.runner.ResumeWaiting(t.Context(), paid.Ledger.Holds); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	h.drain(t)
	if j, err = job.Get(t.Context(), h.db, account.Local.Organization, j.ID); err != nil || j.State != job.Succeeded {
		t.Fatalf("%+v, %v", j, err)
	}
	var users, subjects string
	var failures int
	err = h.db.QueryRow(t.Context(), `
		SELECT string_agg(DISTINCT user_id, ' '), string_agg(DISTINCT subject, ' '), (SELECT sum(failures) FROM job_steps)
		FROM ledger`).Scan(&users, &subjects, &failures)
	if err != nil || users != account.Local.User || subjects != j.ID || failures != 0 {
		t.Errorf("paid by %s for %s; %d failures; %v", users, subjects, failures, err)
	}
	m, err := paid.Ledger.Month(t.Context(), account.Local.Organization)
	if err != nil || m.Reserved != 0 || m.Spent != served.micros || m.Spent == 0 {
		t.Errorf("served %d: %+v, %v", served.micros, m, err)
	}
}

// bill sums up what a model gave, at a micro-dollar a token.
type bill struct {
	llm.Model
	micros int64
}

func (b *bill) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	resp, err := b.Model.Complete(ctx, req)
	b.micros += int64(resp.Usage.Input + resp.Usage.Output)
	return resp, err
}
