// Package account knows organisations, their people, and who is asking.
package account

import "context"

// Role says what a person may do inside an organisation.
type Role string

// The roles, from most to least.
const (
	Root    Role = "root" // the operator's organisation
	Owner   Role = "owner"
	Author  Role = "author"
	Learner Role = "learner"
)

// Principal is who is asking. Every query carries its Organization.
type Principal struct {
	Organization string
	User         string
	Role         Role
}

// BuiltIn is the organisation and owner that migrations create. Until people
// can sign in, every request is theirs.
var BuiltIn = Principal{Organization: "org_local", User: "user_local", Role: Owner}

type principalKey struct{}

// With puts the principal into ctx; functions do it once, at the edge.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From gives the principal of ctx; ok is false when nobody has been authenticated.
func From(ctx context.Context) (p Principal, ok bool) {
	p, ok = ctx.Value(principalKey{}).(Principal)
	return p, ok
}
