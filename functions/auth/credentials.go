package auth

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/idempotency"
	"lectern.dev/lectern/internal/postgres"
)

// credentials adds the operations of an organisation's API credentials.
func (s *server) credentials(api *edge.API) {
	edge.Register(api, owners, orNotFound(edge.Operation(http.MethodGet, "list-credentials", "/v1/auth/credentials", "List API credentials",
		"Newest first, also those that are revoked or over. Their secrets are kept nowhere.", http.StatusOK)), s.listCredentials)
	edge.Register(api, owners, orNotFound(edge.Operation(http.MethodPost, "create-credential", "/v1/auth/credentials", "Make an API credential",
		"The answer shows its secret, once. A program sends `Authorization: Bearer <id>.<secret>`, or Basic with the id as its name. "+
			"Sent again with its Idempotency-Key the request is refused with 409, which names the credential: when its answer was lost, revoke it and make another.",
		http.StatusCreated)), s.createCredential)
	edge.Register(api, owners, edge.Operation(http.MethodDelete, "revoke-credential", "/v1/auth/credentials/{credential}", "Revoke an API credential",
		"For ever: its next request is refused, and its open streams end within seconds. It stays in the list.", http.StatusNoContent), s.revokeCredential)
}

// orNotFound declares what a path without an id would not: there may be no such
// organisation.
func orNotFound(op huma.Operation) huma.Operation {
	op.Errors = append(op.Errors, http.StatusNotFound)
	return op
}

// OfOrganization lets a root work for a client.
type OfOrganization struct {
	Organization string `query:"organization" maxLength:"64" doc:"Another organisation's id: for root only; absent: your own"`
}

// scope gives who asks, and the organisation whose credentials they ask for, with a
// ctx that sees its rows.
func (s *server) scope(ctx context.Context, o OfOrganization) (_ context.Context, p account.Principal, organization string, err error) {
	if p, err = account.Who(ctx); err != nil {
		return nil, p, "", err
	}
	if o.Organization == "" || o.Organization == p.Organization {
		return ctx, p, p.Organization, nil
	}
	if p.Role != account.Root {
		return nil, p, "", fault.New(fault.Denied, "Only the operator may work for another organisation.")
	}
	ctx = postgres.WithOrganization(ctx, o.Organization)
	if _, err := account.GetOrganization(ctx, s.DB, o.Organization); err != nil {
		return nil, p, "", err
	}
	return ctx, p, o.Organization, nil
}

type credentialPage edge.List[account.Credential] // named as in the document

func (s *server) listCredentials(ctx context.Context, in *struct {
	OfOrganization
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
},
) (*struct{ Body credentialPage }, error) {
	ctx, _, organization, err := s.scope(ctx, in.OfOrganization)
	if err != nil {
		return nil, err
	}
	found, next, err := account.ListCredentials(ctx, s.DB, organization, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return &struct{ Body credentialPage }{credentialPage(edge.ListOf(found, next))}, nil
}

type credentialFields struct {
	Label     string     `json:"label" minLength:"1" maxLength:"100" doc:"What it is for, for those who read the list"`
	Scopes    []string   `json:"scopes" minItems:"1" maxItems:"3" enum:"chat,courses:read,courses:write" doc:"What it may do"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When it ends; absent: never"`
	Password  string     `json:"password,omitempty" maxLength:"256" doc:"A secret that an operator chooses for a client: for root only; absent: 256 random bits"`
}

type createCredential struct {
	idempotency.Keyed
	OfOrganization
	Body credentialFields
}

// createdCredential is the answer that shows the secret.
type createdCredential struct {
	Location string `header:"Location"`
	Cache    string `header:"Cache-Control"`
	Body     struct {
		Credential account.Credential `json:"credential"`
		Secret     string             `json:"secret" doc:"Shown this once"`
	}
}

func (s *server) createCredential(ctx context.Context, in *createCredential) (*createdCredential, error) {
	ctx, p, organization, err := s.scope(ctx, in.OfOrganization)
	if err != nil {
		return nil, err
	}
	chosen := in.Body.Password
	if chosen != "" && p.Role != account.Root {
		return nil, fault.New(fault.Denied, "Only the operator may choose a secret. Leave the password out and a strong one is made.")
	}
	if err := s.Desk.AllowSecret(ctx, organization); err != nil {
		return nil, err
	}
	made := account.NewCredential{Label: in.Body.Label, Scopes: in.Body.Scopes, ExpiresAt: in.Body.ExpiresAt}
	secret, err := made.SetSecret(ctx, s.Hasher, chosen)
	if err != nil {
		return nil, err
	}
	// What is kept of the request is a fast hash: a chosen password must not be in it.
	request := *in
	request.Body.Password = ""
	fresh := false
	// The key belongs to the organisation that the credential is made in.
	p.Organization = organization
	created, err := idempotency.Write(account.With(ctx, p), s.DB, "create-credential", in.Keyed, request, func(tx pgx.Tx, p account.Principal) (*account.Credential, error) {
		fresh = true
		c, err := made.Insert(ctx, tx, organization, p.User)
		return &c, err
	})
	if err != nil {
		return nil, err
	}
	if !fresh {
		return nil, fault.New(fault.Conflict, "This request has made the credential %s already, and its secret is shown once. "+
			"If you do not have it, revoke that credential and make another with a new Idempotency-Key.", created.ID)
	}
	answer := &createdCredential{Location: "/v1/auth/credentials", Cache: "no-store"}
	answer.Body.Credential, answer.Body.Secret = *created, string(secret)
	return answer, nil
}

func (s *server) revokeCredential(ctx context.Context, in *struct {
	OfOrganization
	Credential string `path:"credential" maxLength:"64"`
},
) (*struct{}, error) {
	ctx, p, organization, err := s.scope(ctx, in.OfOrganization)
	if err != nil {
		return nil, err
	}
	return nil, account.RevokeCredential(ctx, s.DB, organization, in.Credential, p.User)
}
