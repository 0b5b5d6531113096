package matrix

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/account"
)

// F82: a field that an operation does not declare is refused, in every object of every
// body and whatever its name: each that any answer has, each column of the database,
// and some that frameworks know.
func TestUndeclaredFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	operations := w.operations(t)
	names := w.fieldNames(t)
	if len(names) < 100 {
		t.Fatalf("only %d names", len(names))
	}
	as := w.signedIn(t, account.Local.User) // whom nothing else refuses
	before := w.state(t, "")
	for _, o := range operations {
		if o.body() == nil {
			continue
		}
		t.Run(o.ID, func(t *testing.T) {
			r := w.whole(t, o, &w.operator)
			r.as = as
			for _, at := range objects(r.body, nil) {
				w.refusesFields(t, o, r, at, names)
			}
			if diff := cmp.Diff(before, w.state(t, "")); diff != "" {
				t.Errorf("something changed:\n%s", diff)
				before = w.state(t, "")
			}
		})
	}
}

// refusesFields: with all of them at once, each is named in the answer.
func (w *world) refusesFields(t *testing.T, o operation, r request, at leaf, names []string) {
	t.Helper()
	object := lookUp(r.body, at).(map[string]any)
	declared := w.declared(o.body(), at)
	filled := maps.Clone(object)
	var added []string
	for _, name := range names {
		if !slices.Contains(declared, name) {
			filled[name] = "root"
			added = append(added, name)
		}
	}
	r.body = with(r.body, at, filled)
	a := w.ask(t, r)
	if a.status/100 != 4 {
		t.Fatalf("with fields that nobody knows in %v: %d: %.300s", at, a.status, a.body)
	}
	if o.foreign() { // its errors name one field only
		isProblem(t, o, a)
		return
	}
	var p struct {
		Errors []struct{ Location string }
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatal(err)
	}
	refused := map[string]bool{}
	for _, e := range p.Errors {
		refused[e.Location[strings.LastIndexByte(e.Location, '.')+1:]] = true
	}
	for _, name := range added {
		if !refused[name] {
			t.Errorf("%q in %v is not refused", name, at)
		}
	}
}

// declared are the properties that the schema has at a place.
func (w *world) declared(s *schema, at leaf) []string {
	s = w.document.resolve(s)
	if len(at) == 0 {
		return slices.Collect(maps.Keys(s.Properties))
	}
	if s.is("array") {
		return w.declared(s.Items, at[1:])
	}
	return w.declared(s.Properties[at[0]], at[1:])
}

func lookUp(v any, at leaf) any {
	for _, name := range at {
		switch inner := v.(type) {
		case map[string]any:
			v = inner[name]
		case []any:
			v = inner[0]
		}
	}
	return v
}

// fieldNames are the names of everything that could be worth setting.
func (w *world) fieldNames(t *testing.T) []string {
	t.Helper()
	names := map[string]bool{"admin": true, "is_admin": true, "__proto__": true, "constructor": true, "$schema": true, "Role": true, "ID": true}
	for _, s := range w.document.Components.Schemas {
		for name := range s.Properties {
			names[name] = true
		}
	}
	rows, err := w.Pool().Query(t.Context(), `SELECT DISTINCT column_name FROM information_schema.columns WHERE table_schema = 'public'`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names[name] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(names))
}

// F82: what is declared is not for everybody. An owner who is no operator's gives
// nobody the operator's role, chooses no secret, and works for no other organisation.
func TestDeclaredFieldsAreNotForEverybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.signedIn(t, w.stranger.people[account.Owner])
	before := w.state(t, "")
	credential := map[string]any{"label": "x", "scopes": []string{account.Chat}}
	for name, r := range map[string]request{
		"invites a root":              {method: "POST", path: "/v1/auth/members", body: map[string]any{"email": "root@example.com", "role": "root"}},
		"makes a member root":         {method: "PATCH", path: "/v1/auth/members/" + w.stranger.ids["user"], body: map[string]any{"role": "root"}},
		"makes themselves root":       {method: "PATCH", path: "/v1/auth/members/" + w.stranger.people[account.Owner], body: map[string]any{"role": "root"}},
		"chooses a secret":            {method: "POST", path: "/v1/auth/credentials", body: with(credential, leaf{"password"}, wellKnown["password"])},
		"makes another's credential":  {method: "POST", path: "/v1/auth/credentials?organization=" + w.victim.id, body: credential},
		"reads others' credentials":   {method: "GET", path: "/v1/auth/credentials?organization=" + w.victim.id},
		"revokes another's":           {method: "DELETE", path: "/v1/auth/credentials/" + w.victim.ids["credential"] + "?organization=" + w.victim.id},
		"raises their own budget":     {method: "PUT", path: "/v1/organizations/" + w.stranger.id + "/budget", body: map[string]any{"soft_micros": 1, "hard_micros": 1}},
		"reads who else is there":     {method: "GET", path: "/v1/organizations"},
		"sends another organisation":  {method: "POST", path: "/v1/courses", body: map[string]any{"title": "x"}, header: map[string]string{"X-Organization": w.victim.id, "Idempotency-Key": "k"}},
		"is another by a header only": {method: "GET", path: "/v1/auth/me", header: map[string]string{"X-Goog-Authenticated-User-Email": "root", "X-Forwarded-User": account.Local.User}},
	} {
		r.as = owner
		a := w.ask(t, r)
		if len(r.header) > 0 { // these are asked as themselves
			if strings.Contains(a.body, w.victim.id) || strings.Contains(a.body, account.Local.User) {
				t.Errorf("who %s gets %d: %.300s", name, a.status, a.body)
			}
			continue
		}
		if a.status != 403 && a.status != 404 && a.status != 422 {
			t.Errorf("who %s gets %d: %.300s", name, a.status, a.body)
		}
	}
	after := w.state(t, "")
	for _, own := range []string{"courses", "idempotency"} { // one course is made, their own
		delete(before, own)
		delete(after, own)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
}
