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

type scopeKey struct{}

// scope is what a connection is set to.
type scope struct{ role, organization string }

// whichever stands in a ctx for any scope.
type whichever struct{}

// WithOrganization makes every statement under ctx, in every pool, one of that
// organisation. account.With does it for who is asking. An empty name is that of an
// organisation without rows, never all of them. The ctx that takes a connection
// from the pool counts: a transaction stays in the scope in which it was begun.
func WithOrganization(ctx context.Context, organization string) context.Context {
	return context.WithValue(ctx, scopeKey{}, scope{roleNames[Tenant], organization})
}

// AnyOrganization makes statements under ctx run as whatever a connection was last
// used for, which saves a round trip: for the functions of the database that look
// up who comes with a secret, and for nothing else.
func AnyOrganization(ctx context.Context) context.Context {
	return context.WithValue(ctx, scopeKey{}, whichever{})
}

// setTo is where a connection remembers its scope.
const setTo = "lectern.scope"

// prepare sets a connection that leaves the pool to the scope of ctx. Most of the
// time it is set to that already, and nothing is sent. A connection that could not
// be set is closed.
func (r Role) prepare(ctx context.Context, conn *pgx.Conn) (bool, error) {
	state := conn.PgConn().CustomData()
	is, used := state[setTo].(scope)
	want := scope{role: roleNames[r]}
	switch asked := ctx.Value(scopeKey{}).(type) {
	case scope:
		want = asked
	case whichever:
		if used || r == Owner {
			return true, nil
		}
	default:
		if r == Owner && !used {
			return true, nil // as it was opened
		}
	}
	if used && is == want {
		return true, nil
	}
	delete(state, setTo) // unknown until both are set
	// Outside of any transaction, so that nothing can roll it back.
	_, err := conn.Exec(ctx, `SELECT set_config('role', $1, false), set_config('lectern.organization', $2, false)`, want.role, want.organization)
	switch {
	case err == nil:
		state[setTo] = want
		return true, nil
	case used && conn.IsClosed() && ctx.Err() == nil:
		return false, nil // it died while it was idle: the next one, or a new one, may live
	}
	return false, err
}

// AnyOfPool undoes WithOrganization: statements under ctx run as the pool's own role
// again. For the few that serve who is asking but touch what tenants never see, such
// as passwords; each says itself which organisation it is about.
func AnyOfPool(ctx context.Context) context.Context {
	return context.WithValue(ctx, scopeKey{}, nil)
}
