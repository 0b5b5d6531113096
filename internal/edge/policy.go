package edge

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Policy says who may call an operation. Every operation is registered with one;
// its zero value lets nobody in.
type Policy struct {
	Everyone bool   // who asks does not matter, and is not looked up
	Role     string // the least role that a person needs: "learner", "author", "owner" or "root"; "": no person may
	Scope    string // what an API credential must be allowed; "": no credential may
}

// Gate stands before every operation. It belongs to the function: the edge knows
// no people.
type Gate interface {
	// Admit finds out who asks, checks the policy, and puts them into the context;
	// it says Unauthenticated or Denied.
	Admit(r *http.Request, need Policy) (context.Context, error)
	// Hold gives a context for a long answer: it ends within 5 s after who asks has
	// been signed out, revoked or given another role. Call the function when the
	// answer is over.
	Hold(ctx context.Context) (context.Context, context.CancelFunc)
}

// policyExtension is where the document names an operation's policy.
const policyExtension = "x-lectern-policy"

// declare writes the policy into the operation's document.
func (p Policy) declare(op *huma.Operation) {
	if op.Extensions == nil {
		op.Extensions = map[string]any{}
	}
	switch {
	case p.Everyone:
		op.Extensions[policyExtension] = map[string]string{"who": "everyone"}
		op.Security = []map[string][]string{}
		return
	case p.Role != "":
		op.Security = append(op.Security, map[string][]string{"cookie": {}}, map[string][]string{"token": {}})
	}
	if p.Scope != "" {
		op.Security = append(op.Security, map[string][]string{"credential": {}}, map[string][]string{"basic": {}})
	}
	op.Extensions[policyExtension] = map[string]string{"role": p.Role, "scope": p.Scope}
}

// challenge answers who is not let in, and says how to be (RFC 6750, section 3).
func (p Policy) challenge(w http.ResponseWriter, r *http.Request, err error) {
	_, said := r.Header["Authorization"]
	problem := ProblemOf(r.Context(), err)
	challenge := ""
	switch {
	case problem.Status == http.StatusUnauthorized && said:
		challenge = bearerChallenge + `, error="invalid_token"`
	case problem.Status == http.StatusForbidden && said && p.Scope != "":
		challenge = bearerChallenge + `, error="insufficient_scope", scope="` + p.Scope + `"`
	}
	if challenge != "" {
		problem.header = http.Header{"Www-Authenticate": {challenge}}
	}
	Failed(r.Context(), err)
	writeProblem(r.Context(), w, problem)
}

// bearerChallenge does not offer Basic, though it is taken: browsers would open a
// window and ask for a password.
const bearerChallenge = `Bearer realm="lectern"`

// securitySchemes are the ways to say who one is.
func securitySchemes() map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{
		"cookie":     {Type: "apiKey", In: "cookie", Name: "__Host-lectern", Description: "Set by sign-in"},
		"token":      {Type: "http", Scheme: "bearer", Description: "The session token that sign-in gives"},
		"credential": {Type: "http", Scheme: "bearer", Description: "An organisation's API credential: <auth_id>.<secret>"},
		"basic":      {Type: "http", Scheme: "basic", Description: "An organisation's API credential: auth_id and secret"},
	}
}
