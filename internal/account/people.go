package account

import (
	"context"

	"lectern.dev/lectern/internal/postgres"
)

// Organization is whom courses and budgets belong to.
type Organization struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Operator bool   `json:"operator" doc:"the organisation that runs this Lectern"`
}

// Profile is a person as they see themselves.
type Profile struct {
	ID           string       `json:"id"`
	Email        string       `json:"email"`
	Name         string       `json:"name"`
	Role         Role         `json:"role" enum:"root,owner,author,learner"`
	Organization Organization `json:"organization"`
}

const profileColumns = `u.user_id, u.email, u.name, u.role, o.organization_id, o.name, o.operator`

// GetProfile reads who p is.
func GetProfile(ctx context.Context, q postgres.Querier, p Principal) (Profile, error) {
	return readProfile(ctx, q, `
		SELECT `+profileColumns+`
		FROM users u JOIN organizations o USING (organization_id)
		WHERE u.organization_id = $1 AND u.user_id = $2`, p.Organization, p.User)
}

// Rename gives p another name.
func Rename(ctx context.Context, q postgres.Querier, p Principal, name string) (Profile, error) {
	name, err := cleanName(name, "body.name")
	if err != nil {
		return Profile{}, err
	}
	return readProfile(ctx, q, `
		UPDATE users u
		SET name = $3, updated_at = now()
		FROM organizations o
		WHERE u.organization_id = $1 AND u.user_id = $2 AND o.organization_id = u.organization_id
		RETURNING `+profileColumns, p.Organization, p.User, name)
}

// profileOf reads who has just been signed in, and is in no organisation's scope yet.
func profileOf(ctx context.Context, q postgres.Querier, secret Secret) (Profile, error) {
	return readProfile(ctx, q, `
		SELECT `+profileColumns+`
		FROM sign_ins s JOIN users u USING (user_id) JOIN organizations o ON o.organization_id = u.organization_id
		WHERE s.token_hash = $1`, secret.Hash())
}

func readProfile(ctx context.Context, q postgres.Querier, sql string, args ...any) (f Profile, err error) {
	err = q.QueryRow(ctx, sql, args...).
		Scan(&f.ID, &f.Email, &f.Name, &f.Role, &f.Organization.ID, &f.Organization.Name, &f.Organization.Operator)
	return f, postgres.Fault(err)
}

// EnsureOrganization makes an organisation with a known id, unless it is there.
func EnsureOrganization(ctx context.Context, q postgres.Querier, o Organization) error {
	_, err := q.Exec(ctx, `
		INSERT INTO organizations (organization_id, name, operator)
		VALUES ($1, $2, $3)
		ON CONFLICT (organization_id) DO NOTHING`, o.ID, o.Name, o.Operator)
	return postgres.Fault(err)
}

// EnsurePerson makes a person with a known id, who has no password yet, unless they
// are there.
func EnsurePerson(ctx context.Context, q postgres.Querier, organization, user, name string, role Role) error {
	_, err := q.Exec(ctx, `
		INSERT INTO users (user_id, organization_id, name, role)
		VALUES ($1, $2, $3, $4)
		ON CONFLICT (user_id) DO NOTHING`, user, organization, name, role)
	return postgres.Fault(err)
}
