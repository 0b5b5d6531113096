package auth

import (
	"context"

	"lectern.dev/lectern/internal/account"
)

type signIn struct {
	Caller
	Body struct {
		Email    string `json:"email" maxLength:"254" example:"ann@example.com"`
		Password string `json:"password" maxLength:"256"`
	}
}

func (s *server) signIn(ctx context.Context, in *signIn) (*session, error) {
	return s.begun(s.Desk.SignIn(ctx, s.visitor(ctx, in.Caller), in.Body.Email, in.Body.Password))
}

func (s *server) signInByLink(ctx context.Context, in *byLink) (*session, error) {
	return s.begun(s.Desk.SignInByLink(ctx, s.visitor(ctx, in.Caller), account.Secret(in.Body.Token)))
}

// signOut ends what the request carries; who carries nothing is signed out already.
func (s *server) signOut(ctx context.Context, in *struct{ Caller }) (*ended, error) {
	for _, secret := range s.carried(in.Caller) {
		if err := account.End(ctx, s.DB, secret); err != nil {
			return nil, err
		}
	}
	return s.over(), nil
}

type reset struct {
	Caller
	Body struct {
		Email string `json:"email" maxLength:"254" example:"ann@example.com"`
	}
}

func (s *server) reset(ctx context.Context, in *reset) (*struct{}, error) {
	return nil, s.Desk.Reset(ctx, s.visitor(ctx, in.Caller), in.Body.Email)
}

type redeemReset struct {
	Caller
	Body struct {
		Token    string `json:"token" maxLength:"100" doc:"of the link"`
		Password string `json:"password" maxLength:"256" doc:"8 to 256 characters, none of the common ones; every byte counts"`
	}
}

func (s *server) redeemReset(ctx context.Context, in *redeemReset) (*session, error) {
	return s.begun(s.Desk.RedeemReset(ctx, s.visitor(ctx, in.Caller), account.Secret(in.Body.Token), in.Body.Password))
}

type changePassword struct {
	Caller
	Body struct {
		Current string `json:"current" maxLength:"256" doc:"the present password"`
		New     string `json:"new" maxLength:"256" doc:"8 to 256 characters, none of the common ones; every byte counts"`
	}
}

func (s *server) changePassword(ctx context.Context, in *changePassword) (*session, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return s.begun(s.Desk.ChangePassword(ctx, s.visitor(ctx, in.Caller), p, in.Body.Current, in.Body.New))
}

type takeAddress struct {
	Caller
	Body struct {
		Email    string `json:"email" maxLength:"254" example:"ann@example.com"`
		Password string `json:"password" maxLength:"256" doc:"8 to 256 characters, none of the common ones; every byte counts"`
	}
}

func (s *server) takeAddress(ctx context.Context, in *takeAddress) (*session, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return s.begun(s.Desk.TakeAddress(ctx, s.visitor(ctx, in.Caller), p, in.Body.Email, in.Body.Password))
}

func (s *server) signIns(ctx context.Context, _ *struct{}) (*struct{ Body devices }, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	found, err := account.Devices(ctx, s.DB, p)
	if err != nil {
		return nil, err
	}
	return &struct{ Body devices }{devices{Items: append([]account.Device{}, found...)}}, nil
}

// devices is all of them on one page: there are at most 100.
type devices struct {
	Items      []account.Device `json:"items"`
	NextCursor string           `json:"next_cursor,omitempty" doc:"always absent"`
}

func (s *server) endSignIn(ctx context.Context, in *struct {
	SignIn string `path:"sign_in" maxLength:"64"`
},
) (*struct{}, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return nil, account.EndOne(ctx, s.DB, p, in.SignIn)
}

func (s *server) signOutEverywhere(ctx context.Context, _ *struct{}) (*ended, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	if err := account.EndAll(ctx, s.DB, p); err != nil {
		return nil, err
	}
	return s.over(), nil
}
