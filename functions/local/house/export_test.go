package house

import (
	"context"
	"net/url"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/gcp/issuer"
)

// Inside is an address of the inner server.
func (h *House) Inside(path string) *url.URL { return h.inside(path) }

// Issuer signs for the accounts that call private functions.
func (h *House) Issuer() *issuer.Issuer { return h.issuer }

// Tokens make cookies.
func (h *House) Tokens() access.Tokens { return h.tokens }

// SweepOnce is what the scheduler does at intervals.
func (h *House) SweepOnce(ctx context.Context) error { return h.sweepOnce(ctx) }
