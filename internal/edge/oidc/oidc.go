// Package oidc knows who calls a private function: it verifies the OIDC token that
// Cloud Tasks, Eventarc and Cloud Scheduler send with every request. It stands beside
// the platform's own check (IAM), so that one wrong permission opens nothing.
package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	coreos "github.com/coreos/go-oidc/v3/oidc"

	"lectern.dev/lectern/internal/fault"
)

// Config says whose tokens are taken.
type Config struct {
	Audiences []string `env:"OIDC_AUDIENCE, required"`                                           // this function's own URLs, as who calls names it: Cloud Run gives it two
	Callers   []string `env:"OIDC_CALLERS, required"`                                            // e-mails of the service accounts that may call
	Issuer    string   `env:"OIDC_ISSUER, default=https://accounts.google.com"`                  // who signs
	JWKSURL   string   `env:"OIDC_JWKS_URL, default=https://www.googleapis.com/oauth2/v3/certs"` // where its public keys are
	// BehindIAM is for a Cloud Run service that requires authentication: the platform
	// verifies the signature and then takes it out of the token, so that nobody behind
	// it can. The claims are checked here all the same. A token that has its signature
	// is verified in any case. It must be false where everybody may call.
	BehindIAM bool `env:"OIDC_BEHIND_IAM, default=false"`
}

const (
	maxToken = 8 << 10         // bytes; Google's are below 1 KiB
	skew     = 5 * time.Minute // by which two clocks may differ
)

// Verifier implements edge.Callers.
type Verifier struct {
	tokens    *coreos.IDTokenVerifier
	keys      *keys
	audiences []string
	callers   []string
	now       func() time.Time
}

// New checks the settings. The keys are fetched when they are first needed.
func New(c Config) (*Verifier, error) {
	var wrong []error
	if len(c.Audiences) == 0 || slices.Contains(c.Audiences, "") {
		wrong = append(wrong, errors.New("OIDC_AUDIENCE is empty, or one of its addresses is"))
	}
	if c.Issuer == "" {
		wrong = append(wrong, errors.New("OIDC_ISSUER is empty"))
	}
	if len(c.Callers) == 0 {
		wrong = append(wrong, errors.New("OIDC_CALLERS is empty"))
	}
	for _, caller := range c.Callers {
		if name, host, ok := strings.Cut(caller, "@"); !ok || name == "" || host == "" || strings.TrimSpace(caller) != caller {
			wrong = append(wrong, fmt.Errorf("OIDC_CALLERS: %q is not the e-mail of a service account", caller))
		}
	}
	if !trustworthy(c.JWKSURL) {
		wrong = append(wrong, fmt.Errorf("OIDC_JWKS_URL: %q is not an https address", c.JWKSURL))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	v := &Verifier{keys: newKeys(c.JWKSURL, c.BehindIAM, http.DefaultTransport), audiences: c.Audiences, callers: c.Callers, now: time.Now}
	// The library knows one audience; see caller.
	v.tokens = coreos.NewVerifier(c.Issuer, v.keys, &coreos.Config{SkipClientIDCheck: true, SupportedSigningAlgs: []string{coreos.RS256}})
	return v, nil
}

// trustworthy tells whether keys from this address are those of who it names.
func trustworthy(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && u.Hostname() == "127.0.0.1")
}

// Admit implements edge.Callers.
func (v *Verifier) Admit(r *http.Request) error {
	raw, err := bearer(r)
	if err != nil {
		return err
	}
	if v.keys.behindIAM && signatureRemoved(raw) && len(r.Header.Values(serverlessHeader)) > 0 {
		return refused(errors.New("the platform has verified another token than this one"))
	}
	email, err := v.caller(r.Context(), raw)
	if err != nil {
		return err
	}
	if !slices.Contains(v.callers, email) {
		return fault.Wrap(fault.Denied, fmt.Errorf("the caller is %q", email), "This service account may not call this function.")
	}
	return nil
}

// serverlessHeader may carry the token that the platform verifies; then it leaves
// Authorization as the caller wrote it.
const serverlessHeader = "X-Serverless-Authorization"

// bearer finds the one token of a request.
func bearer(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", fault.New(fault.Unauthenticated, "This function is for the platform: the request carries no token.")
	}
	kind, raw, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || !strings.EqualFold(kind, "Bearer") || len(raw) > maxToken {
		return "", refused(errors.New("the Authorization header is not one bearer token"))
	}
	return raw, nil
}

// caller verifies a token and gives the e-mail in it.
func (v *Verifier) caller(ctx context.Context, raw string) (string, error) {
	ctx, unreachable := watch(ctx)
	token, err := v.tokens.Verify(ctx, raw)
	switch {
	case *unreachable != nil:
		return "", fault.Wrap(fault.Unavailable, *unreachable, "The keys of who signs the callers' tokens cannot be fetched right now.")
	case err != nil:
		return "", refused(err)
	case !slices.ContainsFunc(token.Audience, func(audience string) bool { return slices.Contains(v.audiences, audience) }):
		return "", refused(fmt.Errorf("the token is for %q", token.Audience))
	case token.IssuedAt.After(v.now().Add(skew)):
		return "", refused(fmt.Errorf("the token will be issued at %v", token.IssuedAt))
	}
	var claims struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
	}
	if err := token.Claims(&claims); err != nil {
		return "", refused(err)
	}
	if !claims.Verified {
		return "", refused(errors.New("the e-mail of the token is not verified"))
	}
	return claims.Email, nil
}

func refused(why error) error {
	return fault.Wrap(fault.Unauthenticated, why, "The token of the caller is not valid for this function.")
}
