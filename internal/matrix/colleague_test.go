package matrix

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/account"
)

// F80 and F81: what a person talks about with the tutor is theirs alone. For others of
// the same organisation, owners and programs included, it is not there: they cannot
// tell it from what does not exist, and change nothing.
func TestColleaguesFindNoSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	colleagues := w.principals(t, w.victim)
	colleagues = append(colleagues, principal{name: "another owner", role: account.Owner, as: w.signedIn(t, w.person(t, w.victim, "second", account.Owner))})
	before := w.state(t, w.victim.id)
	tried := 0
	for _, o := range w.operations(t) {
		if !strings.Contains(o.Path, "{session}") && !strings.Contains(o.Path, "{memory}") {
			continue
		}
		others, none := w.whole(t, o, &w.victim), w.whole(t, o, &w.victim)
		none.path = w.path(t, o, unknown(w.victim.ids))
		for _, p := range colleagues {
			if p.name == "victim's owner" || o.Policy.verdict(p) != 0 {
				continue
			}
			others.as, none.as = p.as, p.as
			for _, header := range []map[string]string{nil, {"Last-Event-ID": w.victim.ids["message"] + ".0"}} {
				others.header, none.header = header, header
				a, b := w.ask(t, others), w.ask(t, none)
				if a.status != 404 || strings.Contains(a.body, secret(w.victim.name)) {
					t.Errorf("%s: %s gets %d: %.300s", o.ID, p.name, a.status, a.body)
				}
				if diff := cmp.Diff(told(a, w.victim.ids), told(b, unknown(w.victim.ids))); diff != "" {
					t.Errorf("%s: %s can tell what exists from what does not:\n%s", o.ID, p.name, diff)
				}
				tried++
			}
		}
	}
	if tried < 60 {
		t.Errorf("only %d tries", tried)
	}
	for _, p := range colleagues { // what they list is their own
		if p.name == "victim's owner" || p.role == "" {
			continue
		}
		for _, path := range []string{"/v1/chat/sessions", "/v1/chat/memories"} {
			if a := w.ask(t, request{method: "GET", path: path, as: p.as}); strings.Contains(a.body, w.victim.ids["session"]) || strings.Contains(a.body, secret(w.victim.name)) {
				t.Errorf("%s: %s sees %.300s", path, p.name, a.body)
			}
		}
	}
	if diff := cmp.Diff(before, w.state(t, w.victim.id)); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
}
