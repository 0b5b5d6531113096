package budget_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// house is a ledger on a database of its own. Statements of the ledger run inside
// the wall, as the organization that pays; those of the test see everything.
type house struct {
	*budget.Ledger
	db *pgxpool.Pool
}

// newHouse has a price at which a token costs a micro-dollar in and two out.
func newHouse(t testing.TB, hard int64) *house {
	t.Helper()
	db := pgtest.New(t)
	prices, err := budget.LoadPrices(`{
		"fake": {"kind": "tokens", "input": 1, "output": 2, "max_output": 1000},
		"hum": {"kind": "speech", "input": 10, "output": 100},
		"studio": {"kind": "render", "input": 24}}`)
	if err != nil {
		t.Fatal(err)
	}
	return &house{&budget.Ledger{DB: db, Prices: prices, Defaults: budget.Limits{Soft: hard / 2, Hard: hard}}, db}
}

const organization = "org_local"

// pays gives a context in which the local organization pays, for a job.
func pays(t testing.TB, job string) context.Context {
	t.Helper()
	return budget.With(account.With(t.Context(), account.Local),
		budget.Payer{Organization: organization, User: account.Local.User, Subject: job})
}

// sums gives "reserved/spent" of the organization over all months, after it has
// compared them with the entries.
func (h *house) sums(t testing.TB) string {
	t.Helper()
	var reserved, spent, entriesReserved, entriesSpent int64
	err := h.db.QueryRow(context.WithoutCancel(t.Context()), `
		SELECT
			(SELECT coalesce(sum(reserved_micros), 0) FROM ledger_months),
			(SELECT coalesce(sum(spent_micros), 0) FROM ledger_months),
			(SELECT coalesce(sum(reserved_micros) FILTER (WHERE state = 'reserved'), 0) FROM ledger),
			(SELECT coalesce(sum(micros), 0) FROM ledger)`).Scan(&reserved, &spent, &entriesReserved, &entriesSpent)
	if err != nil {
		t.Fatal(err)
	}
	if reserved != entriesReserved || spent != entriesSpent {
		t.Errorf("the months say %d reserved and %d spent, their entries %d and %d", reserved, spent, entriesReserved, entriesSpent)
	}
	return fmt.Sprintf("%d/%d", reserved, spent)
}

func (h *house) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := h.db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}
