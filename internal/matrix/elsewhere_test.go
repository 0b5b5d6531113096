package matrix

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/account"
)

// F80: an id of another organisation gets nobody anything where it is not the address
// either: in a query, in any text of a body, or in a header. What they do may work, but
// on their own.
func TestIDsElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	operations := w.operations(t)
	before := w.state(t, w.victim.id)
	for _, o := range operations {
		t.Run(o.ID, func(t *testing.T) {
			for _, r := range w.elsewhere(t, o) {
				r.as = w.signedIn(t, w.stranger.people[account.Owner]) // some end all sign-ins
				a := w.ask(t, r)
				if a.status >= 500 {
					t.Errorf("%s with %v and %v: %d: %.300s", r.path, r.body, r.header, a.status, a.body)
				}
				if strings.Contains(a.body, secret(w.victim.name)) {
					t.Errorf("%s with %v and %v tells %.300s", r.path, r.body, r.header, a.body)
				}
			}
			if diff := cmp.Diff(before, w.state(t, w.victim.id)); diff != "" {
				t.Errorf("something of another organisation changed:\n%s", diff)
				before = w.state(t, w.victim.id)
			}
		})
	}
}

// elsewhere are requests about what is the stranger's own, with an id of the victim in
// one other place.
func (w *world) elsewhere(t *testing.T, o operation) (all []request) {
	t.Helper()
	own := w.whole(t, o, &w.stranger)
	path, _, _ := strings.Cut(own.path, "?")
	for _, p := range o.Parameters {
		for _, id := range w.foreign(p.Name) {
			r := own
			switch p.In {
			case "query":
				r.path = path + "?" + url.Values{p.Name: {id}}.Encode()
			case "header":
				r.header = map[string]string{p.Name: id}
			default:
				continue
			}
			all = append(all, r)
		}
	}
	for _, at := range leaves(own.body, nil) {
		for _, id := range w.foreign("") {
			r := own
			r.body = with(own.body, at, id)
			all = append(all, r)
		}
	}
	return all
}

// foreign are the victim's ids, or what of the victim's fits a header.
func (w *world) foreign(name string) []string {
	switch name {
	case "If-Match", "If-None-Match":
		return []string{w.victim.etag, "*"}
	case "Last-Event-ID":
		return []string{"0", "1", w.victim.ids["job"], w.victim.ids["message"] + ".0", w.victim.ids["message"] + ".1"}
	}
	return slices.Sorted(maps.Values(w.victim.ids))
}

// A key under which somebody has written is another key for everybody else.
func TestIdempotencyKeysAreOnesOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	create := func(as string) string {
		return idOf(t, w.must(t, request{
			method: http.MethodPost, path: "/v1/courses", as: as, body: map[string]any{"title": "The same"},
			header: map[string]string{"Idempotency-Key": "the same key"},
		}))
	}
	made := map[string]string{}
	for _, h := range []tenant{w.victim, w.stranger, w.operator} {
		for _, p := range w.principals(t, h) {
			if p.role == account.Learner || p.role == "" && !slices.Contains(p.scopes, account.WriteCourses) {
				continue
			}
			id := create(p.as)
			if whose, ok := made[id]; ok {
				t.Errorf("%s got the answer of %s", p.name, whose)
			}
			made[id] = p.name
			if again := create(p.as); again != id {
				t.Errorf("%s made a second course", p.name)
			}
		}
	}
}
