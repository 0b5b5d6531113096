package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Admit lets functions' database users work as the two roles that the migrations
// make: tenants as lectern_tenant; systems as lectern_system and, in the name of an
// organisation, as lectern_tenant. Done again it changes nothing. Users that do not
// exist are named, all at once, and nobody is admitted then.
//
// Who migrates needs CREATEROLE, or the admin option on the two roles.
func Admit(ctx context.Context, pool *pgxpool.Pool, tenants, systems []string) error {
	rows, err := pool.Query(ctx, `
		SELECT wanted
		FROM unnest($1::text[] || $2::text[]) AS wanted
		WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)`, tenants, systems)
	if err != nil {
		return err
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	var wrong []error
	for _, user := range missing {
		wrong = append(wrong, fmt.Errorf("the database has no user %q: make it first", user))
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	for _, user := range tenants {
		if err := admit(ctx, pool, "lectern_tenant", user); err != nil {
			return err
		}
	}
	for _, user := range systems {
		if err := admit(ctx, pool, "lectern_tenant, lectern_system", user); err != nil {
			return err
		}
	}
	return nil
}

// admit makes a user a member of roles; a grant takes no parameters.
func admit(ctx context.Context, pool *pgxpool.Pool, roles, user string) error {
	if _, err := pool.Exec(ctx, "GRANT "+roles+" TO "+pgx.Identifier{user}.Sanitize()); err != nil {
		return fmt.Errorf("let %q work as %s: %w", user, roles, err)
	}
	return nil
}
