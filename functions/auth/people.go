package auth

import (
	"context"
	"net/http"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
)

// people adds the operations of signing up, in and out, and of members.
func (s *server) people(api *edge.API) {
	edge.Register(api, everyone, edge.Operation(http.MethodPost, "sign-up", "/v1/auth/sign-up", "Sign up",
		"Makes an organisation with you as its owner, or joins the one that has invited you: then you are signed in. Without an invitation the answer is the same whether the address has an account already or not: the letter to it tells.", http.StatusCreated), s.signUp)
	edge.Register(api, everyone, edge.Operation(http.MethodPost, "confirm-sign-up", "/v1/auth/sign-up/confirm", "Confirm an address",
		"With the token of the link in the letter; it works once, for 30 minutes. You are signed in.", http.StatusOK), s.confirm)
	edge.Register(api, everyone, edge.Operation(http.MethodPost, "sign-in", "/v1/auth/sign-in", "Sign in",
		"Sets the cookie and gives a token for other origins. It lasts 30 days after its last use, 90 in all. The sign-in whose cookie came along ends.", http.StatusOK), s.signIn)
	edge.Register(api, everyone, edge.Operation(http.MethodPost, "sign-in-by-link", "/v1/auth/sign-in/link", "Sign in with a link",
		"With the token of a link that signs in once: a Lectern that starts on a laptop prints one.", http.StatusOK), s.signInByLink)
	edge.Register(api, everyone, edge.Operation(http.MethodPost, "sign-out", "/v1/auth/sign-out", "Sign out",
		"Ends the sign-in that comes along, if there is one, and takes the cookie away.", http.StatusNoContent), s.signOut)
	edge.Register(api, everyone, edge.Operation(http.MethodPost, "reset-password", "/v1/auth/resets", "Ask for a new password",
		"Sends a letter to the address. The answer is the same whether it has an account or not.", http.StatusAccepted), s.reset)
	edge.Register(api, everyone, edge.Operation(http.MethodPost, "redeem-reset", "/v1/auth/resets/redeem", "Choose a new password",
		"With the token of the link in the letter; it works once, for 30 minutes. You are signed in here and signed out everywhere else.", http.StatusOK), s.redeemReset)

	edge.Register(api, members, edge.Operation(http.MethodGet, "get-me", "/v1/auth/me", "Read who you are", "With your organisation.", http.StatusOK), s.me)
	edge.Register(api, members, edge.Operation(http.MethodPatch, "update-me", "/v1/auth/me", "Change your name", "Others see it at once.", http.StatusOK), s.updateMe)
	edge.Register(api, members, edge.Operation(http.MethodPost, "change-password", "/v1/auth/password", "Change your password",
		"You get a new sign-in; all others end, and links that were sent to you.", http.StatusOK), s.changePassword)
	edge.Register(api, roots, edge.Operation(http.MethodPost, "take-address", "/v1/auth/address", "Take an address and a password",
		"For an operator who has neither, such as the owner of a Lectern on a laptop, who signs in with a printed link. You get a new sign-in, and sign in with both from now on.", http.StatusOK), s.takeAddress)
	edge.Register(api, members, edge.Operation(http.MethodGet, "list-sign-ins", "/v1/auth/sign-ins", "List where you are signed in", "The last used first.", http.StatusOK), s.signIns)
	edge.Register(api, members, edge.Operation(http.MethodDelete, "end-sign-in", "/v1/auth/sign-ins/{sign_in}", "Sign out a device", "Its next request is refused.", http.StatusNoContent), s.endSignIn)
	edge.Register(api, members, edge.Operation(http.MethodPost, "sign-out-everywhere", "/v1/auth/sign-out-everywhere", "Sign out everywhere",
		"Here too. The next request of each device is refused.", http.StatusNoContent), s.signOutEverywhere)

	edge.Register(api, owners, edge.Operation(http.MethodGet, "list-members", "/v1/auth/members", "List members", "In the order in which they came, with the open invitations.", http.StatusOK), s.members)
	edge.Register(api, owners, edge.Operation(http.MethodPost, "invite-member", "/v1/auth/members", "Invite a member",
		"Sends the address a link, which works once, for 30 minutes. An earlier one to it ends. Nobody can give a role above their own.", http.StatusCreated), s.invite)
	edge.Register(api, owners, edge.Operation(http.MethodPatch, "change-role", "/v1/auth/members/{user}", "Change a member's role",
		"It holds at their next request. The last owner stays one.", http.StatusOK), s.changeRole)
	edge.Register(api, owners, edge.Operation(http.MethodDelete, "remove-member", "/v1/auth/members/{user}", "Remove a member",
		"Their next request is refused. What they have made stays. The last owner stays.", http.StatusNoContent), s.removeMember)
	edge.Register(api, owners, edge.Operation(http.MethodDelete, "take-back-invitation", "/v1/auth/invitations/{invitation}", "Take an invitation back",
		"Its link stops working.", http.StatusNoContent), s.uninvite)
}

func (s *server) me(ctx context.Context, _ *struct{}) (*edge.Single[account.Profile], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return edge.One(account.GetProfile(ctx, s.DB, p))
}

func (s *server) updateMe(ctx context.Context, in *struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"100"`
	}
},
) (*edge.Single[account.Profile], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return edge.One(account.Rename(ctx, s.DB, p, in.Body.Name))
}
