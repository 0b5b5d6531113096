package auth

import (
	"context"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
)

// memberPage is a part of the people, and on the first page the open invitations.
type memberPage struct {
	Items       []account.Member     `json:"items"`
	Invitations []account.Invitation `json:"invitations" doc:"the open ones, the newest first; on the first page only"`
	NextCursor  string               `json:"next_cursor,omitempty" doc:"cursor of the next page; absent on the last one"`
}

func (s *server) members(ctx context.Context, in *struct {
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"100" doc:"how many at most"`
},
) (*struct{ Body memberPage }, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	found, next, err := account.Members(ctx, s.DB, p.Organization, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	page := memberPage{Items: append([]account.Member{}, found...), Invitations: []account.Invitation{}, NextCursor: next}
	if in.Cursor == "" {
		open, err := account.Invitations(ctx, s.DB, p.Organization)
		if err != nil {
			return nil, err
		}
		page.Invitations = append(page.Invitations, open...)
	}
	return &struct{ Body memberPage }{page}, nil
}

func (s *server) invite(ctx context.Context, in *struct {
	Body struct {
		Email string       `json:"email" maxLength:"254" example:"bob@example.com"`
		Role  account.Role `json:"role" enum:"root,owner,author,learner"`
		Name  string       `json:"name,omitempty" maxLength:"100" doc:"what you call them; they choose their own"`
	}
},
) (*edge.Single[account.Invitation], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return edge.One(s.Desk.Invite(ctx, p, in.Body.Email, in.Body.Role, in.Body.Name))
}

func (s *server) uninvite(ctx context.Context, in *struct {
	Invitation string `path:"invitation" maxLength:"64"`
},
) (*struct{}, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return nil, s.Desk.Uninvite(ctx, p, in.Invitation)
}

type ByUser struct {
	User string `path:"user" maxLength:"64"`
}

func (s *server) changeRole(ctx context.Context, in *struct {
	ByUser
	Body struct {
		Role account.Role `json:"role" enum:"root,owner,author,learner"`
	}
},
) (*edge.Single[account.Member], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return edge.One(account.ChangeRole(ctx, s.DB, p, in.User, in.Body.Role))
}

func (s *server) removeMember(ctx context.Context, in *ByUser) (*struct{}, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return nil, account.RemoveMember(ctx, s.DB, p, in.User)
}
