// Package account knows organisations, their people and API credentials, and who
// is asking.
package account

import (
	"context"
	"slices"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// Role says what a person may do inside an organisation.
type Role string

// The roles, from most to least. A role may do all that those after it may.
const (
	Root    Role = "root" // only in the operator's organisation
	Owner   Role = "owner"
	Author  Role = "author"
	Learner Role = "learner"
)

var ranks = []Role{Learner, Author, Owner, Root}

// AtLeast tells whether r may do what least may. An unknown role may nothing, and
// nobody may what an unknown role may.
func (r Role) AtLeast(least Role) bool {
	need := slices.Index(ranks, least)
	return need >= 0 && slices.Index(ranks, r) >= need
}

// The scopes that an API credential can have.
const (
	Chat         = "chat"
	ReadCourses  = "courses:read"
	WriteCourses = "courses:write"
)

// Principal is who is asking. Every query carries its Organization.
type Principal struct {
	Organization string
	User         string   // a person's id, or a credential's auth_id
	Role         Role     // "" for a credential
	Scopes       []string // of a credential; nil for a person
	SignIn       string   // of a person; "" for a credential
}

// Credential tells whether a program asks, with an organisation's API credential.
func (p Principal) Credential() bool { return p.SignIn == "" && p.Role == "" }

// Local is the owner of a Lectern on a laptop; functions/local makes it.
var Local = Principal{Organization: "org_local", User: "user_local", Role: Owner}

type principalKey struct{}

// With puts the principal into ctx; functions do it once, at the edge. Every
// statement under ctx sees that organisation alone.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(postgres.WithOrganization(ctx, p.Organization), principalKey{}, p)
}

// From gives the principal of ctx; ok is false when nobody has been authenticated.
func From(ctx context.Context) (p Principal, ok bool) {
	p, ok = ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// Who is From behind a gate; it says Unauthenticated when nobody has been let in.
func Who(ctx context.Context) (Principal, error) {
	p, ok := From(ctx)
	if !ok {
		return p, fault.New(fault.Unauthenticated, "Sign in first.")
	}
	return p, nil
}
