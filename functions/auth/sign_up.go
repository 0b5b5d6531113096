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
	Status account.SignUpState `json:"status" enum:"letter_sent,ready,signed_in" doc:"letter_sent: open the link in the letter; ready: sign in; signed_in: an invitation was accepted"`
	Token  string              `json:"token,omitempty" doc:"with signed_in, as sign-in gives it"`
	User   *account.Profile    `json:"user,omitempty" doc:"with signed_in"`
}

// signedUp carries cookies when who has signed up is signed in.
type signedUp struct {
	SetCookie []string `header:"Set-Cookie"`
	Body      signUpState
}

func (s *server) signUp(ctx context.Context, in *signUp) (*signedUp, error) {
	b := in.Body
	state, begun, err := s.Desk.SignUp(ctx, s.visitor(ctx, in.Caller), account.Newcomer{
		Email: b.Email, Password: b.Password, Name: b.Name, Organization: b.Organization, Invitation: account.Secret(b.Invitation),
	})
	if err != nil {
		return nil, err
	}
	if state != account.Entered {
		return &signedUp{Body: signUpState{Status: state}}, nil
	}
	entered, err := s.begun(begun, nil)
	if err != nil {
		return nil, err
	}
	return &signedUp{entered.SetCookie, signUpState{state, entered.Body.Token, &entered.Body.User}}, nil
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
