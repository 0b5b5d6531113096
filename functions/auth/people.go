package auth

import (
	"context"
	"net/http"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
)

// people adds the operations of signing up, in and out, and of members.
func (s *server) people(api *edge.API) {
	edge.Register(api, members, operation(http.MethodGet, "get-me", "/v1/auth/me", "Read who you are", "With your organisation.", http.StatusOK), s.me)
}

func (s *server) me(ctx context.Context, _ *struct{}) (*struct{ Body account.Profile }, error) {
	p, err := who(ctx)
	if err != nil {
		return nil, err
	}
	profile, err := account.GetProfile(ctx, s.DB, p)
	if err != nil {
		return nil, err
	}
	return &struct{ Body account.Profile }{profile}, nil
}
