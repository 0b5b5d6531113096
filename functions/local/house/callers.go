package house

import (
	"context"

	"lectern.dev/lectern/internal/edge/oidc"
	"lectern.dev/lectern/internal/gcp/issuer"
)

// The service accounts of this machine, which exist nowhere else.
const (
	queueAccount     = "queue@lectern.invalid"
	eventsAccount    = "events@lectern.invalid"
	schedulerAccount = "scheduler@lectern.invalid"
)

// openIssuer makes who signs for the three accounts; its key ends with the process.
func (h *House) openIssuer(context.Context) error {
	h.issuer = &issuer.Issuer{URL: h.audience()}
	return nil
}

// audience is whom tokens are for: the origin of the inner server, as a queue names
// a worker.
func (h *House) audience() string { return h.inside("").String() }

// callers lets one of the accounts call a function, and nobody else.
func (h *House) callers(account string) (*oidc.Verifier, error) {
	return oidc.New(oidc.Config{
		Audiences: []string{h.audience()}, Callers: []string{account},
		Issuer: h.issuer.URL, JWKSURL: h.inside("/.well-known/jwks.json").String(),
	})
}
