package matrix

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/account"
)

// principal is a column of the matrix.
type principal struct {
	name   string
	role   account.Role
	scopes []string // of a credential
	nobody bool     // stands for nobody, or not any more
	guess  bool     // counts as one who guesses secrets, and is slowed down
	as     string   // Authorization
}

// principals are all who may come from a tenant. Each has been there before: a
// credential that is not known yet counts as a guess.
func (w *world) principals(t *testing.T, h tenant) (all []principal) {
	t.Helper()
	for role, user := range h.people {
		all = append(all, principal{name: h.name + "'s " + string(role), role: role, as: w.signedIn(t, user)})
	}
	slices.SortFunc(all, func(a, b principal) int { return cmp.Compare(a.name, b.name) })
	for _, scope := range everyScope {
		all = append(all, principal{name: h.name + "'s credential for " + scope, scopes: []string{scope}, as: "Bearer " + h.credentials[scope]})
	}
	id, secret, _ := strings.Cut(h.credentials[account.ReadCourses], ".")
	all = append(all, principal{
		name: h.name + "'s credential by Basic", scopes: []string{account.ReadCourses},
		as: "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret)),
	})
	for _, p := range all {
		if a := w.ask(t, request{method: http.MethodGet, path: "/v1/courses", as: p.as}); a.status >= 500 || a.status == http.StatusTooManyRequests {
			t.Fatalf("%s gets %d: %s", p.name, a.status, a.body)
		}
	}
	return all
}

// nobodies are who was let in once, by h, and who never was.
func (w *world) nobodies(t *testing.T, h tenant) []principal {
	t.Helper()
	owner := w.signedIn(t, h.people[account.Owner])
	signedOut := w.signedIn(t, h.people[account.Owner])
	w.must(t, request{method: http.MethodPost, path: "/v1/auth/sign-out", as: signedOut})
	deleted := w.person(t, h, "deleted", account.Owner)
	member := w.signedIn(t, deleted)
	w.must(t, request{method: http.MethodDelete, path: "/v1/auth/members/" + deleted, as: owner})
	return []principal{
		{name: "anonymous", nobody: true},
		{name: "somebody with a wrong token", nobody: true, as: "Bearer x"},
		{name: "a revoked sign-in", nobody: true, as: signedOut},
		{name: "a deleted member", nobody: true, as: member},
		{name: "a revoked credential", nobody: true, as: "Bearer " + h.credentials[revoked], guess: true},
		{name: "an expired credential", nobody: true, as: "Bearer " + h.credentials[expired], guess: true},
	}
}

// verdict is the status with which the policy refuses a principal; 0: it does not.
func (p *policy) verdict(who principal) int {
	switch {
	case p.Who == "everyone":
		return 0
	case who.nobody:
		return http.StatusUnauthorized
	case who.role != "" && who.role.AtLeast(account.Role(p.Role)),
		who.role == "" && p.Scope != "" && slices.Contains(who.scopes, p.Scope):
		return 0
	}
	return http.StatusForbidden
}
