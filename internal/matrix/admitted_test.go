package matrix

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/account"
)

// hard are operations that need a secret of a letter or of a person: that they succeed
// is shown where they live.
var hard = []string{"confirm-sign-up", "sign-in-by-link", "redeem-reset", "change-password"}

// before is what an operation needs to have happened.
var before = map[string][]request{
	"sign-in":          {{method: http.MethodPost, path: "/v1/auth/sign-up", body: newcomer("somebody@example.com")}},
	"resume-job":       {{method: http.MethodDelete, path: "/v1/jobs/{job}"}},
	"start-generation": {{method: http.MethodDelete, path: "/v1/jobs/{job}"}, {method: http.MethodDelete, path: "/v1/sources/{source}"}},
}

// Who is admitted gets in: no 401, no 403, and nothing that is our fault. Each
// operation succeeds for the least of them.
func TestAdmitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	operations := w.operations(t)
	for _, o := range operations {
		t.Run(o.ID, func(t *testing.T) {
			succeeded, answers := false, []string(nil)
			h := w.settle(t, "home"+letters(o.ID)) // some operations leave nothing to go on with
			for _, prepare := range before[o.ID] {
				prepare.path = w.path(t, operation{ID: o.ID, Path: prepare.path}, h.ids)
				prepare.as = w.signedIn(t, h.people[account.Owner])
				w.must(t, prepare)
			}
			people := w.principals(t, h)
			if o.Policy.Who == "everyone" {
				people = []principal{{name: "anonymous", nobody: true}}
			}
			if o.Policy.Role == string(account.Root) {
				people = append(people, w.principals(t, w.operator)...)
			}
			for _, p := range people {
				if o.Policy.verdict(p) != 0 {
					continue
				}
				r := w.whole(t, o, &h)
				r.as = p.as
				a := w.ask(t, r)
				if a.status >= 500 || o.Policy.Who != "everyone" && (a.status == http.StatusUnauthorized || a.status == http.StatusForbidden) {
					t.Errorf("%s gets %d: %.300s", p.name, a.status, a.body)
				}
				succeeded = succeeded || a.status/100 == 2
				answers = append(answers, fmt.Sprintf("%s gets %d: %.300s", p.name, a.status, a.body))
			}
			if !succeeded && !slices.Contains(hard, o.ID) {
				t.Errorf("it succeeds for nobody:\n%s", strings.Join(answers, "\n"))
			}
		})
	}
}

// letters is a name without what ids have none of.
func letters(name string) string {
	return string(slices.DeleteFunc([]byte(name), func(c byte) bool { return c < 'a' || c > 'z' }))
}
