package auth

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
)

// Caller lets an operation see the request itself: cookies and the browser's words
// are no parameters of the API.
type Caller struct{ request *http.Request }

// Resolve implements huma.Resolver.
func (c *Caller) Resolve(ctx huma.Context) []error {
	c.request, _ = humago.Unwrap(ctx)
	return nil
}

// visitor is what a request tells about who has not shown who they are.
func (s *server) visitor(ctx context.Context, c Caller) account.Visitor {
	v := account.Visitor{
		Network: edge.ClientNetwork(ctx).String(),
		Browser: c.request.UserAgent(),
		Device:  s.Gate.Device(c.request),
	}
	v.SignIn, _ = s.Gate.Cookie(c.request)
	return v
}

// carried gives the secrets of the sign-ins that a request carries.
func (s *server) carried(c Caller) (secrets []account.Secret) {
	if secret, ok := s.Gate.Cookie(c.request); ok {
		secrets = append(secrets, secret)
	}
	if kind, token, ok := strings.Cut(c.request.Header.Get("Authorization"), " "); ok && strings.EqualFold(kind, "Bearer") {
		if secret, ok := s.Gate.FromToken(strings.TrimSpace(token)); ok {
			secrets = append(secrets, secret)
		}
	}
	return secrets
}

// session is the answer to every way of signing in.
type session struct {
	SetCookie []string `header:"Set-Cookie"`
	Body      signedIn
}

type signedIn struct {
	Token string          `json:"token" doc:"For pages of other origins and programs: Authorization: Bearer <token>. Pages of this origin use the cookie."`
	User  account.Profile `json:"user"`
}

func (s *server) begun(begun account.Session, err error) (*session, error) {
	if err != nil {
		return nil, err
	}
	cookie, err := s.Gate.NewCookie(begun.Secret)
	if err != nil {
		return nil, err
	}
	answer := &session{SetCookie: []string{cookie.String()}, Body: signedIn{User: begun.Profile}}
	if answer.Body.Token, err = s.Gate.NewToken(begun.Secret); err != nil {
		return nil, err
	}
	if begun.Device != "" {
		device, err := s.Gate.NewDevice(begun.Device)
		if err != nil {
			return nil, err
		}
		answer.SetCookie = append(answer.SetCookie, device.String())
	}
	return answer, nil
}

// ended is the answer that takes the cookie away.
type ended struct {
	SetCookie []string `header:"Set-Cookie"`
}

func (s *server) over() *ended { return &ended{[]string{s.Gate.NoCookie().String()}} }
