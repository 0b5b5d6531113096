// Package access stands between requests and accounts: it finds out from a cookie
// or an Authorization header who asks, and whether an operation's policy lets them.
package access

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// Credentials tell whose an API credential is; an *account.Verifier does.
type Credentials interface {
	Check(ctx context.Context, authID, secret string) (account.Principal, error)
}

// Gate is the edge.Gate of every public function.
type Gate struct {
	Tokens
	db          postgres.Querier
	credentials Credentials
	held        held
}

// New makes a gate. The pool may be one that sees no organisation by itself; hasher
// is the process's.
func New(db postgres.Querier, tokens Tokens, hasher account.PasswordHasher) *Gate {
	return newGate(db, tokens, account.NewVerifier(db, hasher, network))
}

func newGate(db postgres.Querier, tokens Tokens, credentials Credentials) *Gate {
	return &Gate{Tokens: tokens, db: db, credentials: credentials, held: held{db: db}}
}

// network names the client for the throttle of secrets that are wrong.
func network(ctx context.Context) string {
	if n := edge.ClientNetwork(ctx); n.IsValid() {
		return n.String()
	}
	return ""
}

// Admit implements edge.Gate. Who asks is told by the Authorization header or, when
// there is none, by the cookie: a header that is wrong is not made good by a cookie
// that is right.
func (g *Gate) Admit(r *http.Request, need edge.Policy) (context.Context, error) {
	if need.Everyone {
		return r.Context(), nil
	}
	p, err := g.who(r)
	if err != nil {
		return nil, err
	}
	if err := check(p, need); err != nil {
		return nil, err
	}
	return account.With(r.Context(), p), nil
}

// Hold implements edge.Gate.
func (g *Gate) Hold(ctx context.Context) (context.Context, context.CancelFunc) {
	p, ok := account.From(ctx)
	if !ok {
		return context.WithCancel(ctx)
	}
	return g.held.add(ctx, p)
}

func (g *Gate) who(r *http.Request) (account.Principal, error) {
	if values, said := r.Header["Authorization"]; said {
		a, err := parseAuthorization(values)
		switch {
		case err != nil:
			return account.Principal{}, fault.Wrap(fault.Unauthenticated, err, "The Authorization header cannot be read: send one, with Bearer and a token, or Basic with an auth_id and its secret.")
		case a.authID != "":
			return g.credentials.Check(r.Context(), a.authID, a.secret)
		}
		return g.signedIn(r.Context(), a.token, g.FromToken)
	}
	switch cookies := r.CookiesNamed(g.name()); len(cookies) {
	case 0:
		return account.Principal{}, fault.New(fault.Unauthenticated, "Sign in first.")
	case 1:
		return g.signedIn(r.Context(), cookies[0].Value, func(value string) (account.Secret, bool) { return g.decode(g.name(), value) })
	}
	return account.Principal{}, fault.Wrap(fault.Unauthenticated, errors.New("several cookies of our name"), "You are not signed in any more. Sign in again.")
}

// signedIn asks the database only about a secret that we have wrapped ourselves.
func (g *Gate) signedIn(ctx context.Context, value string, unwrap func(string) (account.Secret, bool)) (account.Principal, error) {
	secret, ok := unwrap(value)
	if !ok {
		return account.Principal{}, fault.New(fault.Unauthenticated, "You are not signed in any more. Sign in again.")
	}
	return account.SignedIn(ctx, g.db, secret)
}

// check tells whether the policy lets p. A person is judged by their role, an API
// credential by its scopes, and never one by the other's measure.
func check(p account.Principal, need edge.Policy) error {
	switch {
	case p.Credential() && (need.Scope == "" || !slices.Contains(p.Scopes, need.Scope)):
		return fault.New(fault.Denied, "This API credential may not do that.")
	case !p.Credential() && !p.Role.AtLeast(account.Role(need.Role)):
		return fault.New(fault.Denied, "Your role does not allow that.")
	}
	return nil
}
