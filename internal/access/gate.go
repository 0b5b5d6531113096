// Package access stands between requests and accounts: it finds out from a cookie
// or an Authorization header who asks, and whether an operation's policy lets them.
package access

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// Gate is the edge.Gate of every public function.
type Gate struct {
	Tokens
	db postgres.Querier
}

// New makes a gate. The pool may be one that sees no organisation by itself.
func New(db postgres.Querier, tokens Tokens) *Gate { return &Gate{Tokens: tokens, db: db} }

// Admit implements edge.Gate.
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
	return context.WithCancel(ctx)
}

func (g *Gate) who(r *http.Request) (account.Principal, error) {
	if kind, value, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(kind, "Bearer") {
		return g.bearer(r.Context(), strings.TrimSpace(value))
	}
	if secret, ok := g.Cookie(r); ok {
		return account.SignedIn(r.Context(), g.db, secret)
	}
	return account.Principal{}, fault.New(fault.Unauthenticated, "Sign in first.")
}

func (g *Gate) bearer(ctx context.Context, value string) (account.Principal, error) {
	secret, ok := g.FromToken(value)
	if !ok {
		return account.Principal{}, fault.New(fault.Unauthenticated, "This token is not valid. Sign in again.")
	}
	return account.SignedIn(ctx, g.db, secret)
}

// check tells whether the policy lets p.
func check(p account.Principal, need edge.Policy) error {
	switch {
	case p.Credential() && (need.Scope == "" || !slices.Contains(p.Scopes, need.Scope)):
		return fault.New(fault.Denied, "This API credential may not do that.")
	case !p.Credential() && !p.Role.AtLeast(account.Role(need.Role)):
		return fault.New(fault.Denied, "Your role does not allow that.")
	}
	return nil
}
