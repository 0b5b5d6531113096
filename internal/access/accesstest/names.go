// Package accesstest lets people and programs in, for the tests of functions: by
// their name alone, or through the real gate.
package accesstest

import (
	"context"
	"net/http"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
)

// Names is an edge.Gate that believes who one says to be: the Authorization is the
// name of one of its principals, "" where there is none. It checks no policy.
type Names map[string]account.Principal

// Admit implements edge.Gate.
func (n Names) Admit(q *http.Request, _ edge.Policy) (context.Context, error) {
	p, ok := n[q.Header.Get("Authorization")]
	if !ok {
		return nil, fault.New(fault.Unauthenticated, "Sign in first.")
	}
	return account.With(q.Context(), p), nil
}

// Hold implements edge.Gate; nobody is let go.
func (Names) Hold(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}
