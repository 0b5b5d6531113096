package auth

import (
	"context"

	"lectern.dev/lectern/internal/account"
)

type signUp struct {
	Caller
	Body struct {
		Email        string `json:"email,omitempty" maxLength:"254" example:"ann@example.com" doc:"With an invitation: its address, or absent"`
		Password     string `json:"password" maxLength:"256" example:"nine owls on a fence" doc:"8 to 256 characters, none of the common ones; every byte counts"`
		Name         string `json:"name" maxLength:"100" example:"Ann" doc:"yours"`
		Organization string `json:"organization,omitempty" maxLength:"100" example:"Owls" doc:"the name of the one that is made, whose owner you will be"`
		Invitation   string `json:"invitation,omitempty" maxLength:"100" doc:"joins the organisation that has invited you instead: the token of its link"`
	}
}

type signUpState struct {
	Status account.SignUpState `json:"status" enum:"letter_sent,ready" doc:"letter_sent: open the link in the letter; ready: sign in"`
}

func (s *server) signUp(ctx context.Context, in *signUp) (*struct{ Body signUpState }, error) {
	b := in.Body
	state, err := s.Desk.SignUp(ctx, s.visitor(ctx, in.Caller), account.Newcomer{
		Email: b.Email, Password: b.Password, Name: b.Name, Organization: b.Organization, Invitation: account.Secret(b.Invitation),
	})
	if err != nil {
		return nil, err
	}
	return &struct{ Body signUpState }{signUpState{state}}, nil
}

// byLink is a request that a link's secret opens.
type byLink struct {
	Caller
	Body struct {
		Token string `json:"token" maxLength:"100" doc:"of the link"`
	}
}

func (s *server) confirm(ctx context.Context, in *byLink) (*session, error) {
	return s.begun(s.Desk.Confirm(ctx, s.visitor(ctx, in.Caller), account.Secret(in.Body.Token)))
}
