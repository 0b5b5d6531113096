package generate_test

import (
	"context"
	"testing"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/authoring"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/logtest"
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

// Each step's line has the tokens and the money that its calls came to, and the job's last
// line has the sum of all of them.
func TestTokensAndCostAreLogged(t *testing.T) {
	t.Parallel()
	paid := &budget.Model{Model: offline.Model{}}
	h := newHouse(t, paid)
	prices, err := budget.LoadPrices(`{"offline-1": {"kind": "tokens", "input": 1, "output": 3, "max_output": 20000}}`)
	if err != nil {
		t.Fatal(err)
	}
	h.read(t, sample.Name, sample.Document)
	paid.Ledger = &budget.Ledger{
		DB: pgtest.As(t, h.db, postgres.System), Prices: prices, Defaults: budget.Limits{Soft: 1_000_000_000, Hard: 1_000_000_000},
	}
	var log *logtest.Log
	h.ctx, log = logtest.Under(t.Context())
	j := h.generate(t, authoring.Brief{Lessons: 2})
	if j.State != job.Succeeded {
		t.Fatalf("%+v", j)
	}
	var input, output, cost, calls float64
	asked := 0
	for _, line := range log.Of("attempt") {
		if line.Number("model_calls") == nil {
			continue
		}
		asked++
		calls += *line.Number("model_calls")
		input += *line.Number("input_tokens")
		output += *line.Number("output_tokens")
		cost += *line.Number("cost_micros")
	}
	m, err := paid.Ledger.Month(t.Context(), account.Local.Organization)
	if err != nil || asked == 0 || calls < float64(asked) || cost != float64(m.Spent) || cost != input+3*output || input != float64(m.Use[0].Input) {
		t.Errorf("%d steps with %v calls: %v tokens in, %v out, %v micros; the ledger has %+v, %v", asked, calls, input, output, cost, m, err)
	}
	logtest.Bound(t, log.Of("attempt")...)
	end := log.One(t, "job ended")
	if *end.Number("cost_micros") != cost || *end.Number("input_tokens") != input || *end.Number("output_tokens") != output {
		t.Errorf("all of them came to %v micros: %v", cost, end)
	}
	logtest.Bound(t, end)
}
