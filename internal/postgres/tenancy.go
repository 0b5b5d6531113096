package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Role says whom a pool's statements are run as when their ctx names no
// organisation. With one, they always run as lectern_tenant, which sees and writes
// that organisation's rows and no other: row-level security stands behind the
// conditions of every query. Migrations make both database roles.
type Role int

const (
	// Tenant sees nothing outside an organisation: for functions that people call.
	Tenant Role = iota
	// System sees every organisation: for functions that queues, events and the
	// scheduler call, and for signing in.
	System
	// Owner is whoever the URL names: for migrations and tests.
	Owner
)

var roleNames = [...]string{"lectern_tenant", "lectern_system", "none"}

type organizationKey struct{}

// WithOrganization makes every statement under ctx, in every pool, one of that
// organisation. account.With does it for who is asking.
func WithOrganization(ctx context.Context, organization string) context.Context {
	return context.WithValue(ctx, organizationKey{}, organization)
}

// AnyOrganization makes statements under ctx run as whatever a connection was last
// used for, which saves a round trip: for the functions of the database that look
// up who comes with a secret, and for nothing else.
func AnyOrganization(ctx context.Context) context.Context {
	return context.WithValue(ctx, organizationKey{}, whichever)
}

// whichever is no organisation's id: those have no star.
const whichever = "*"

// scope is what a connection is set to.
type scope struct{ role, organization string }

const scopeKey = "lectern.scope"

// prepare sets a connection that leaves the pool to the scope of ctx. Most of the
// time it is set to that already, and nothing is sent.
func (r Role) prepare(ctx context.Context, conn *pgx.Conn) (bool, error) {
	want := scope{role: roleNames[r]}
	organization, _ := ctx.Value(organizationKey{}).(string)
	state := conn.PgConn().CustomData()
	is, set := state[scopeKey].(scope)
	switch {
	case organization == whichever && (set || r == Owner):
		return true, nil
	case organization != "" && organization != whichever:
		want = scope{roleNames[Tenant], organization}
	case r == Owner && !set:
		return true, nil // as it was opened
	}
	if is == want && set {
		return true, nil
	}
	delete(state, scopeKey) // unknown until both are set
	_, err := conn.Exec(ctx, `SELECT set_config('role', $1, false), set_config('lectern.organization', $2, false)`, want.role, want.organization)
	if err != nil {
		return false, err
	}
	state[scopeKey] = want
	return true, nil
}
