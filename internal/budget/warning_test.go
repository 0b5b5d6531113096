package budget_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/mail"
)

// post keeps letters, or fails.
type post struct {
	mu      sync.Mutex
	letters []mail.Message
	err     error
}

func (p *post) Send(_ context.Context, m mail.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.letters = append(p.letters, m)
	}
	return p.err
}

// From the soft limit on the organization is warned: once a month, in the log, in
// the API and by a letter to its owners.
func TestSoftLimitWarns(t *testing.T) { // not parallel: it reads the log
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	h := newHouse(t, 1000)
	h.exec(t, `UPDATE users SET email = 'Owner@example.org', address = 'owner@example.org'`)
	h.exec(t, `INSERT INTO users (user_id, organization_id, name, role, email, address) VALUES ('user_l', 'org_local', 'L', 'learner', 'l@example.org', 'l@example.org')`)
	letters := &post{}
	spend := func(n int64) budget.Month {
		t.Helper()
		r, err := h.Reserve(pays(t, ""), budget.Tokens, "fake", budget.Units{Input: n})
		if err != nil {
			t.Fatal(err)
		}
		r.Settle(pays(t, ""), budget.Units{Input: n})
		m, err := h.Month(pays(t, ""), organization)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	tell := func(want int) {
		t.Helper()
		if n, err := h.Tell(t.Context(), letters); n != want || (err != nil) != (letters.err != nil) {
			t.Errorf("%d letters, %v", n, err)
		}
	}
	if m := spend(499); m.Warning != "" {
		t.Error(m.Warning)
	}
	tell(0)
	if m := spend(1); !strings.Contains(m.Warning, "$0.0005 of this month's $0.001") {
		t.Error(m.Warning)
	}
	spend(100)
	if n := strings.Count(log.String(), "soft limit"); n != 1 || !strings.Contains(log.String(), organization) {
		t.Errorf("%d warnings: %s", n, log.String())
	}
	letters.err = fault.New(fault.Unavailable, "no mail server")
	tell(0)
	letters.err = nil
	tell(1)
	tell(0)
	if l := letters.letters[0]; l.To != "Owner@example.org" || !strings.Contains(l.Text, "$0.0006 of the $0.001") {
		t.Errorf("%+v", l)
	}
	h.exec(t, `UPDATE ledger_months SET month = month - interval '1 month'`)
	if m := spend(1); m.Warning != "" {
		t.Errorf("a new month begins with %q", m.Warning)
	}
}
