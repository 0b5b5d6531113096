package budget_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

func TestReserveSettleRelease(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1000)
	ctx := pays(t, "job_1")
	first, err := h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 100, Output: 200})
	if err != nil {
		t.Fatal(err)
	}
	if got := h.sums(t); got != "500/0" {
		t.Error(got)
	}
	second, err := h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 100, Output: 200})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 1})
	if !fault.Is(err, fault.PaymentRequired) || !strings.Contains(fault.Message(err), "$0.001 ") {
		t.Errorf("one more: %v", err)
	}
	first.Settle(ctx, budget.Units{Input: 10, Output: 20})
	second.Release(ctx)
	for range 2 { // saying it again changes nothing
		first.Settle(ctx, budget.Units{Input: 100, Output: 20})
		first.Release(ctx)
		second.Settle(ctx, budget.Units{Input: 100, Output: 20})
	}
	if got := h.sums(t); got != "0/50" {
		t.Error(got)
	}
	m, err := h.Month(ctx, organization)
	if err != nil || m.Use[0].Input != 10 || m.Use[0].Output != 20 || m.Use[0].USD != "0.00005" || m.Left != 950 || m.Warning != "" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestUnknownPriceIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1000)
	_, err := h.Reserve(pays(t, ""), budget.Tokens, "brand-new", budget.Units{Input: 1})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "brand-new") {
		t.Error(err)
	}
	if _, err := h.Reserve(pays(t, ""), budget.Speech, "fake", budget.Units{Input: 1}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a language model's price for speech: %v", err)
	}
	if _, err := h.Reserve(t.Context(), budget.Tokens, "fake", budget.Units{}); !fault.Is(err, fault.Internal) {
		t.Errorf("nobody pays: %v", err)
	}
}

// 200 requests at once on a budget that holds seven of them.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 750)
	ctx := pays(t, "job_1")
	var mu sync.Mutex
	var granted []*budget.Reservation
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			r, err := h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 100})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				granted = append(granted, r)
			case !fault.Is(err, fault.PaymentRequired):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := h.sums(t); len(granted) != 7 || got != "700/0" {
		t.Errorf("%d granted: %s", len(granted), got)
	}
	for _, r := range granted {
		wg.Go(func() { r.Settle(ctx, budget.Units{Input: 70}) })
	}
	wg.Wait()
	if got := h.sums(t); got != "0/490" {
		t.Error(got)
	}
}

func TestWhatNobodySettlesIsCountedInFull(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1000)
	ctx := pays(t, "job_1")
	r, err := h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 100, Output: 100})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := h.Expire(t.Context()); n != 0 || err != nil {
		t.Errorf("too early: %d, %v", n, err)
	}
	h.exec(t, `UPDATE ledger SET expires_at = now() - interval '1 second'`)
	for _, want := range []int{1, 0} {
		if n, err := h.Expire(t.Context()); n != want || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if got := h.sums(t); got != "0/300" {
		t.Error(got)
	}
	if m, err := h.Month(ctx, organization); err != nil || m.Use[0].Input != 100 || m.Use[0].Output != 100 {
		t.Errorf("%+v, %v", m, err)
	}
	r.Settle(ctx, budget.Units{Input: 30, Output: 10}) // it was only slow
	if got := h.sums(t); got != "0/50" {
		t.Error(got)
	}
	if m, err := h.Month(ctx, organization); err != nil || m.Use[0].Input != 30 || m.Use[0].Output != 10 {
		t.Errorf("%+v, %v", m, err)
	}
}

// What ends at the same moment by its holder and by the sweep is counted once.
func TestSettleMeetsExpire(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	ctx := pays(t, "job_1")
	for range 20 {
		var wg sync.WaitGroup
		var held []*budget.Reservation
		for range 10 {
			r, err := h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 100})
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, r)
		}
		h.exec(t, `UPDATE ledger SET expires_at = now() - interval '1 second' WHERE state = 'reserved'`)
		for _, r := range held {
			wg.Go(func() { r.Settle(ctx, budget.Units{Input: 1}) })
		}
		for range 2 {
			wg.Go(func() {
				if _, err := h.Expire(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if got := h.sums(t); got != "0/200" {
		t.Error(got)
	}
}

// What was reserved before midnight is settled in the month in which it was reserved.
func TestMonthsEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1000)
	ctx := pays(t, "job_1")
	r, err := h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 900})
	if err != nil {
		t.Fatal(err)
	}
	// The database's clock passes midnight: what was this month is the last one.
	h.exec(t, `UPDATE ledger SET month = month - interval '1 month'`)
	h.exec(t, `UPDATE ledger_months SET month = month - interval '1 month'`)
	later, err := h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 1000})
	if err != nil {
		t.Fatalf("the new month has its whole budget: %v", err)
	}
	r.Settle(ctx, budget.Units{Input: 800})
	later.Settle(ctx, budget.Units{Input: 7})
	var months string
	err = h.db.QueryRow(t.Context(), `SELECT string_agg(reserved_micros || '/' || spent_micros, ' ' ORDER BY month) FROM ledger_months`).Scan(&months)
	if err != nil || months != "0/800 0/7" {
		t.Errorf("%s, %v", months, err)
	}
	h.sums(t)
}

func TestFreeWorkIsNeverRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 100)
	ctx := pays(t, "job_1")
	r, err := h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 100})
	if err != nil {
		t.Fatal(err)
	}
	r.Settle(ctx, budget.Units{Input: 100})
	if _, err := h.SetLimits(t.Context(), organization, budget.Limits{}, "user_root"); err != nil {
		t.Fatal(err)
	}
	free, err := h.Reserve(ctx, budget.Tokens, "offline-1", budget.Units{Input: 5000, Output: 5000})
	if err != nil {
		t.Fatal(err)
	}
	free.Settle(ctx, budget.Units{Input: 4000, Output: 1000})
	if m, err := h.Month(ctx, organization); err != nil || m.Use[0].Input != 4100 || m.Spent != 100 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestCallsOfAJobAreCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	h.CallsPerJob = 5
	var mu sync.Mutex
	var wg sync.WaitGroup
	made, refused := 0, 0
	for range 12 {
		wg.Go(func() {
			_, err := h.Reserve(pays(t, "job_1"), budget.Tokens, "fake", budget.Units{Input: 1})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				made++
			case fault.Is(err, fault.Exhausted):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := h.sums(t); made != 5 || refused != 7 || got != "5/0" {
		t.Errorf("%d made, %d refused, %s", made, refused, got)
	}
	if _, err := h.Reserve(pays(t, "job_2"), budget.Tokens, "fake", budget.Units{Input: 1}); err != nil {
		t.Errorf("another job: %v", err)
	}
	if _, err := h.Reserve(pays(t, "job_1"), budget.Speech, "hum", budget.Units{Input: 1}); err != nil {
		t.Errorf("a sentence is no call: %v", err)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1000)
	for _, wrong := range []budget.Limits{{Soft: 2, Hard: 1}, {Soft: -1, Hard: 1}, {Soft: 0, Hard: 1 << 62}} {
		if _, err := h.SetLimits(t.Context(), organization, wrong, "user_root"); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	if _, err := h.SetLimits(t.Context(), "org_none", budget.Limits{Soft: 1, Hard: 2}, "user_root"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	a, err := h.SetLimits(t.Context(), organization, budget.Limits{Soft: 100, Hard: 200}, "user_root")
	if err != nil || a.Hard != 200 || a.SetBy != "user_root" {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := h.Reserve(pays(t, "job_1"), budget.Tokens, "fake", budget.Units{Input: 201}); !fault.Is(err, fault.PaymentRequired) {
		t.Error(err)
	}
	if holds, err := h.Holds(t.Context(), organization, "job_1"); holds || err != nil {
		t.Errorf("%t, %v", holds, err)
	}
	if _, err := h.SetLimits(t.Context(), organization, budget.Limits{Soft: 100, Hard: 201}, "user_root"); err != nil {
		t.Fatal(err)
	}
	if holds, err := h.Holds(t.Context(), organization, "job_1"); !holds || err != nil {
		t.Errorf("%t, %v", holds, err)
	}
	list, next, err := h.Accounts(t.Context(), "", 1)
	if err != nil || len(list) != 1 || next != "" || list[0].Hard != 201 {
		t.Errorf("%+v, %q, %v", list, next, err)
	}
}

// A tenant can neither raise its limit nor take away what it has spent, nor see or
// use another's budget, whatever statement it gets to run.
func TestTheWallStandsAroundBudgets(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1000)
	h.exec(t, `INSERT INTO organizations (organization_id, name) VALUES ('org_b', 'B')`)
	r, err := h.Reserve(pays(t, "job_1"), budget.Tokens, "fake", budget.Units{Input: 10})
	if err != nil {
		t.Fatal(err)
	}
	r.Settle(t.Context(), budget.Units{Input: 10})
	inside := account.With(t.Context(), account.Local)
	for _, sql := range []string{
		`INSERT INTO budgets (organization_id, soft_micros, hard_micros, updated_by) VALUES ('org_local', 0, 9, 'me')`,
		`DELETE FROM ledger`, `DELETE FROM ledger_months`, `DELETE FROM ledger_subjects`,
		`INSERT INTO ledger_months (organization_id, month) VALUES ('org_b', '2026-01-01')`,
	} {
		if _, err := h.db.Exec(inside, sql); err == nil {
			t.Errorf("a tenant may: %s", sql)
		}
	}
	other := postgres.WithOrganization(context.Background(), "org_b")
	m, err := h.Month(other, organization)
	if err != nil || m.Spent != 0 {
		t.Errorf("another organization sees %+v, %v", m, err)
	}
	entries, _, err := h.Entries(other, organization, time.Now().UTC().AddDate(0, 0, 1-time.Now().UTC().Day()), "", 10)
	if err != nil || len(entries) != 0 {
		t.Errorf("another organization sees %+v, %v", entries, err)
	}
}

// A reserve that is cut off leaves nothing that waits for anybody.
func TestReserveThatIsCutOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1000)
	ctx, cancel := context.WithCancel(pays(t, "job_1"))
	cancel()
	if _, err := h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 10}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := h.sums(t); got != "0/0" {
		t.Error(got)
	}
}

// Who is stopped while the money is put aside gives it back: the statement is not cut
// off, since it may be too late for that.
func TestReserveThatIsStopped(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1000)
	first, err := h.Reserve(pays(t, "job_1"), budget.Tokens, "fake", budget.Units{Input: 10})
	if err != nil {
		t.Fatal(err)
	}
	first.Release(t.Context())
	lock, err := h.db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), `SELECT FROM ledger_months FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(pays(t, "job_1"))
	stopped := make(chan error)
	go func() {
		_, err := h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 10})
		stopped <- err
	}()
	for waiting := false; !waiting; {
		if err := h.db.QueryRow(t.Context(), `
			SELECT EXISTS (
				SELECT FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	select {
	case err := <-stopped:
		t.Errorf("it did not wait for the database: %v", err)
		return
	case <-time.After(100 * time.Millisecond):
	}
	if err := lock.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := h.sums(t); got != "0/0" {
		t.Error(got)
	}
	var entries int
	if err := h.db.QueryRow(t.Context(), `SELECT count(*) FROM ledger WHERE organization_id = $1 AND state = 'released'`, organization).Scan(&entries); err != nil || entries != 2 {
		t.Errorf("%d entries, %v", entries, err)
	}
}
