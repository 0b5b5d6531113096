package auth

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/access/accesstest"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// office is the API of budgets, with an operator's root and a client's owner and
// learner.
type office struct {
	*server
	http.Handler
	signedIn map[string]string // their Authorization, by user
}

func newOffice(t *testing.T) *office {
	t.Helper()
	all := pgtest.New(t)
	_, err := all.Exec(t.Context(), `
		WITH o AS (INSERT INTO organizations (organization_id, name, operator) VALUES ('org_op', 'Operator', true), ('org_a', 'A', false))
		INSERT INTO users (user_id, organization_id, name, role)
		VALUES ('user_root', 'org_op', 'Root', 'root'), ('user_owner', 'org_a', 'Owner', 'owner'), ('user_learner', 'org_a', 'Learner', 'learner')`)
	if err != nil {
		t.Fatal(err)
	}
	db := pgtest.As(t, all, postgres.System)
	gate := accesstest.New(t, all, db)
	prices, err := budget.LoadPrices(`{"=1+1": {"kind": "tokens", "input": 1, "output": 1}}`)
	if err != nil {
		t.Fatal(err)
	}
	d := Deps{
		DB: db, Gate: gate.Gate,
		Ledger: &budget.Ledger{DB: db, Prices: prices, Defaults: budget.Limits{Soft: 4_000_000, Hard: 5_000_000}},
	}
	o := &office{&server{d}, New(d), map[string]string{}}
	for _, user := range []string{"user_root", "user_owner", "user_learner"} {
		o.signedIn[user] = gate.SignIn(user)
	}
	return o
}

// ask sends a request as a user, and gives status, header and body.
func (o *office) ask(t *testing.T, user, method, path, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	var sent any
	if body != "" {
		sent = body
	}
	a := edgetest.Send(t, o, edgetest.Request(t, method, path, sent, append(header, "Authorization", o.signedIn[user])...))
	return a.Code, a.Header(), a.Body.String()
}

// spend settles n entries of a micro-dollar each for the client.
func (o *office) spend(t *testing.T, n int) {
	t.Helper()
	ctx := budget.With(context.WithoutCancel(t.Context()), budget.Payer{Organization: "org_a", User: "@user", Subject: "-job"})
	for range n {
		r, err := o.Ledger.Reserve(ctx, budget.Tokens, "=1+1", budget.Units{Input: 5})
		if err != nil {
			t.Fatal(err)
		}
		r.Settle(ctx, budget.Units{Input: 1})
	}
}

func TestBudgetIsRead(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.spend(t, 2)
	status, _, body := o.ask(t, "user_learner", http.MethodGet, "/v1/budget", "")
	var m budget.Month
	if err := json.Unmarshal([]byte(body), &m); err != nil || status != http.StatusOK {
		t.Fatalf("%d: %s", status, body)
	}
	if m.Spent != 2 || m.Left != 4_999_998 || m.USD.Left != "4.999998" || m.USD.Hard != "5.00" || len(m.Use) != 4 || m.Use[0].Input != 2 {
		t.Errorf("%+v", m)
	}
	if _, _, body := o.ask(t, "user_root", http.MethodGet, "/v1/budget", ""); !strings.Contains(body, `"spent_micros":0`) {
		t.Errorf("another organisation's spending is seen: %s", body)
	}
}

func TestLedgerIsRead(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.spend(t, 3)
	status, header, body := o.ask(t, "user_owner", http.MethodGet, "/v1/budget/ledger", "")
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/csv") || !strings.Contains(header.Get("Content-Disposition"), ".csv") {
		t.Fatalf("%d %v", status, header)
	}
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows[1:] {
		if row[4] != "'=1+1" || row[11] != "'@user" || row[12] != "'-job" || row[10] != "0.000001" {
			t.Errorf("%q", row)
		}
	}
	seen := map[string]bool{}
	for cursor, pages := "", 0; ; pages++ {
		_, header, body := o.ask(t, "user_owner", http.MethodGet, "/v1/budget/ledger?limit=2&cursor="+cursor, "", "Accept", "application/json")
		var page ledgerPage
		if err := json.Unmarshal([]byte(body), &page); err != nil || header.Get("Content-Type") != "application/json" {
			t.Fatalf("%v: %s", err, body)
		}
		for _, e := range page.Items {
			seen[e.ID] = true
		}
		if cursor = page.NextCursor; cursor == "" {
			if pages != 1 || len(seen) != 3 {
				t.Errorf("%d entries on %d pages", len(seen), pages+1)
			}
			break
		}
	}
	for path, want := range map[string]int{
		"/v1/budget/ledger?month=2020-01": http.StatusOK, "/v1/budget/ledger?month=2020-13": http.StatusUnprocessableEntity,
		"/v1/budget/ledger?month=2020": http.StatusUnprocessableEntity,
	} {
		if status, _, body := o.ask(t, "user_owner", http.MethodGet, path, ""); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, body := o.ask(t, "user_owner", http.MethodGet, "/v1/budget/ledger?cursor=nonsense", "", "Accept", "application/json"); status != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", status, body)
	}
}

func TestOperatorSetsBudgets(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.spend(t, 1)
	set := func(user, organization string, soft, hard int64) (int, string) {
		status, _, body := o.ask(t, user, http.MethodPut, "/v1/organizations/"+organization+"/budget", fmt.Sprintf(`{"soft_micros":%d,"hard_micros":%d}`, soft, hard))
		return status, body
	}
	if status, body := set("user_root", "org_a", 10, 20); status != http.StatusOK || !strings.Contains(body, `"set_by":"user_root"`) {
		t.Errorf("%d %s", status, body)
	}
	if _, _, body := o.ask(t, "user_owner", http.MethodGet, "/v1/budget", ""); !strings.Contains(body, `"hard_micros":20`) {
		t.Error(body)
	}
	for _, c := range []struct {
		user, organization string
		soft, hard         int64
		want               int
	}{
		{"user_root", "org_a", 21, 20, http.StatusUnprocessableEntity},
		{"user_root", "org_a", -1, 20, http.StatusUnprocessableEntity},
		{"user_root", "org_none", 1, 20, http.StatusNotFound},
		{"user_owner", "org_a", 1, 1_000_000, http.StatusForbidden},
		{"user_learner", "org_a", 1, 1_000_000, http.StatusForbidden},
	} {
		if status, body := set(c.user, c.organization, c.soft, c.hard); status != c.want {
			t.Errorf("%+v: %d %s", c, status, body)
		}
	}
	var ids []string
	for cursor := ""; ; {
		_, _, body := o.ask(t, "user_root", http.MethodGet, "/v1/organizations?limit=2&cursor="+cursor, "")
		var page organizationPage
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(body)
		}
		for _, a := range page.Items {
			ids = append(ids, fmt.Sprint(a.ID, a.Hard, a.Spent))
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if got := strings.Join(ids, " "); got != "org_a20 1 org_local5000000 0 org_op5000000 0" {
		t.Error(got)
	}
	if status, _, _ := o.ask(t, "user_owner", http.MethodGet, "/v1/organizations", ""); status != http.StatusForbidden {
		t.Error(status)
	}
}
