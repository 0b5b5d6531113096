package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// walled is a database with some organisations, each of which has as many courses
// as its number says, and who opens pools on it.
type walled struct {
	url   string
	owner *pgxpool.Pool
	names []string
}

func newWalled(t testing.TB, organizations int) *walled {
	w := &walled{url: pgtest.URL(t)}
	w.owner = w.open(t, postgres.Owner, 4)
	for i := range organizations {
		name := fmt.Sprintf("org_%d", i+1)
		w.names = append(w.names, name)
		_, err := w.owner.Exec(context.Background(), `
			WITH o AS (INSERT INTO organizations (organization_id, name) VALUES ($1, $1))
			INSERT INTO courses (course_id, organization_id, title, created_by)
			SELECT 'crs_' || $1 || '_' || n, $1, 'Birds', 'user' FROM generate_series(1, $2::int) AS n`, name, i+1)
		if err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *walled) open(t testing.TB, role postgres.Role, conns int32) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(context.Background(), w.url, postgres.Options{MaxConns: conns, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// look is whose courses are seen, and as whom.
func look(ctx context.Context, q postgres.Querier) (string, error) {
	var seen string
	err := q.QueryRow(ctx, `
		SELECT current_user || ': ' || coalesce(string_agg(organization_id || '=' || n, ' ' ORDER BY organization_id), 'nothing')
		FROM (SELECT organization_id, count(*) AS n FROM courses GROUP BY organization_id) c`).Scan(&seen)
	return seen, err
}

func mustSee(t *testing.T, ctx context.Context, q postgres.Querier, want string) {
	t.Helper()
	if got, err := look(ctx, q); err != nil || got != want {
		t.Errorf("seen %q (%v), want %q", got, err, want)
	}
}

const all = "org_1=1 org_2=2"

// One connection serves all scopes, one after the other.
func TestScopeFollowsTheContext(t *testing.T) {
	t.Parallel()
	w := newWalled(t, 2)
	one, two := postgres.WithOrganization(t.Context(), "org_1"), postgres.WithOrganization(t.Context(), "org_2")
	for name, c := range map[string]struct {
		role    postgres.Role
		without string
	}{
		"tenant": {postgres.Tenant, "lectern_tenant: nothing"},
		"system": {postgres.System, "lectern_system: " + all},
		"owner":  {postgres.Owner, "lectern: " + all},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := w.open(t, c.role, 1)
			for range 2 {
				mustSee(t, t.Context(), pool, c.without)
				mustSee(t, one, pool, "lectern_tenant: org_1=1")
				mustSee(t, postgres.AnyOrganization(t.Context()), pool, "lectern_tenant: org_1=1")
				mustSee(t, two, pool, "lectern_tenant: org_2=2")
				mustSee(t, postgres.AnyOfPool(two), pool, c.without)
				mustSee(t, postgres.WithOrganization(one, "org_2"), pool, "lectern_tenant: org_2=2")
				for _, nobody := range []string{"", "*", "none", "org_", "org_1' OR true --", "ORG_1"} {
					mustSee(t, postgres.WithOrganization(t.Context(), nobody), pool, "lectern_tenant: nothing")
				}
			}
		})
		t.Run(name+" at first", func(t *testing.T) {
			t.Parallel()
			mustSee(t, postgres.AnyOrganization(t.Context()), w.open(t, c.role, 1), c.without)
		})
	}
}

// Many people of several organisations share a few connections, while statements
// fail, transactions break off, people go away, workers panic and servers die:
// nobody ever sees a row of another organisation.
func TestScopesDoNotMixUnderLoad(t *testing.T) {
	t.Parallel()
	const organizations = 5
	w := newWalled(t, organizations)
	for name, role := range map[string]postgres.Role{"tenant": postgres.Tenant, "system": postgres.System} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := w.open(t, role, 3)
			var looked atomic.Int64
			var people sync.WaitGroup
			for i := range 20 {
				organization := i % organizations
				people.Go(func() {
					me := person{
						pool: pool, looked: &looked, random: rand.New(rand.NewPCG(1, uint64(i))),
						ctx:  postgres.WithOrganization(t.Context(), w.names[organization]),
						want: fmt.Sprintf("lectern_tenant: %s=%d", w.names[organization], organization+1),
					}
					for range 60 {
						if err := me.act(); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			people.Wait()
			if looked.Load() < 300 {
				t.Errorf("only %d looks succeeded", looked.Load())
			}
		})
	}
}

// person does something at random, and looks.
type person struct {
	pool   *pgxpool.Pool
	ctx    context.Context
	want   string
	looked *atomic.Int64
	random *rand.Rand
}

func (p *person) look(ctx context.Context, q postgres.Querier) error {
	got, err := look(ctx, q)
	if err != nil {
		return nil // an answer that does not come shows nothing
	}
	p.looked.Add(1)
	if got != p.want {
		return fmt.Errorf("seen %q, want %q", got, p.want)
	}
	return nil
}

var errGone = errors.New("gone")

func (p *person) act() (err error) {
	switch p.random.IntN(8) {
	case 0: // a statement that fails
		_, _ = p.pool.Exec(p.ctx, `SELECT 1 / 0`)
	case 1: // somebody who goes away while the connection is set, or after
		ctx, cancel := context.WithTimeout(p.ctx, time.Duration(p.random.IntN(1500))*time.Microsecond)
		defer cancel()
		return p.look(ctx, p.pool)
	case 2: // a transaction that breaks off
		gone := pgx.BeginFunc(p.ctx, p.pool, func(tx pgx.Tx) error {
			err = p.look(p.ctx, tx)
			return errGone
		})
		if err == nil && gone == nil {
			err = errors.New("the transaction did not break off")
		}
		return err
	case 3: // one that fails inside
		_ = pgx.BeginFunc(p.ctx, p.pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(p.ctx, `INSERT INTO courses (course_id, organization_id, title, created_by) VALUES (gen_random_uuid()::text, 'org_local', 'Stolen', 'me')`)
			if err == nil {
				panic("a row of another organisation was written")
			}
			return err
		})
	case 4: // a panic
		func() {
			defer func() { _ = recover() }()
			_ = pgx.BeginFunc(p.ctx, p.pool, func(pgx.Tx) error { panic("ouch") })
		}()
	case 5: // a server that dies
		if p.random.IntN(4) == 0 {
			_, _ = p.pool.Exec(p.ctx, `SELECT pg_terminate_backend(pg_backend_pid())`)
		}
	case 6: // nobody in particular looks up a secret
		_, _ = p.pool.Exec(postgres.AnyOrganization(context.WithoutCancel(p.ctx)), `SELECT FROM find_sign_in('\x00')`)
	}
	return p.look(p.ctx, p.pool)
}

// A connection that died while it was idle is replaced when its scope is set, not
// told to whoever asks next.
func TestDeadConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	w := newWalled(t, 2)
	pool := w.open(t, postgres.Tenant, 3)
	var held []*pgxpool.Conn
	for range 3 {
		conn, err := pool.Acquire(postgres.WithOrganization(t.Context(), "org_1"))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	for _, conn := range held {
		pid := conn.Conn().PgConn().PID()
		conn.Release()
		if _, err := w.owner.Exec(t.Context(), `SELECT pg_terminate_backend($1, 60000)`, pid); err != nil {
			t.Fatal(err)
		}
	}
	mustSee(t, postgres.WithOrganization(t.Context(), "org_2"), pool, "lectern_tenant: org_2=2")
}

// What a transaction sets for itself ends with it; what was set before it stays,
// however it ends.
func TestScopeOutlivesTransactions(t *testing.T) {
	t.Parallel()
	w := newWalled(t, 2)
	pool := w.open(t, postgres.System, 1)
	one := postgres.WithOrganization(t.Context(), "org_1")
	for _, end := range []string{`COMMIT`, `ROLLBACK`, `SELECT 1 / 0`, `SET LOCAL ROLE lectern_tenant`, `SAVEPOINT s`} {
		_ = pgx.BeginFunc(one, pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(one, end)
			return err
		})
		mustSee(t, one, pool, "lectern_tenant: org_1=1")
		mustSee(t, t.Context(), pool, "lectern_system: "+all)
	}
	// The ctx that began a transaction counts, not that of its statements.
	err := pgx.BeginFunc(one, pool, func(tx pgx.Tx) error {
		mustSee(t, t.Context(), tx, "lectern_tenant: org_1=1")
		mustSee(t, postgres.WithOrganization(t.Context(), "org_2"), tx, "lectern_tenant: org_1=1")
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A function's own user, who may be nothing but lectern_tenant, gets no further
// with any statement: that is what stands behind an injection.
func TestLoginOfATenantCannotClimb(t *testing.T) {
	t.Parallel()
	w := newWalled(t, 2)
	const login = "courses_of_a_test"
	for _, sql := range []string{
		`CREATE ROLE ` + login + ` LOGIN`,
		`GRANT lectern_tenant TO ` + login,
	} {
		if _, err := w.owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _, _ = w.owner.Exec(context.Background(), `DROP ROLE `+login) })
	w.url = strings.Replace(w.url, "user=lectern", "user="+login, 1)
	pool := w.open(t, postgres.Tenant, 1)
	one := postgres.WithOrganization(t.Context(), "org_1")
	mustSee(t, one, pool, "lectern_tenant: org_1=1")
	mustSee(t, t.Context(), pool, "lectern_tenant: nothing")
	if err := refusedAs(t.Context(), w.open(t, postgres.System, 1), `SELECT 1`, "42501"); err != nil {
		t.Errorf("a pool that would be lectern_system: %v", err)
	}
	for sql, code := range map[string]string{
		`SET ROLE lectern_system`:                                              "42501",
		`SET ROLE lectern`:                                                     "42501",
		`SET SESSION AUTHORIZATION lectern`:                                    "42501",
		`SET row_security = off; SELECT FROM courses`:                          "42501",
		`ALTER TABLE courses DISABLE ROW LEVEL SECURITY`:                       "42501",
		`ALTER TABLE courses NO FORCE ROW LEVEL SECURITY`:                      "42501",
		`DROP POLICY tenant ON courses`:                                        "42501",
		`CREATE POLICY mine ON courses USING (true)`:                           "42501",
		`GRANT lectern_system TO ` + login:                                     "42501",
		`ALTER ROLE ` + login + ` BYPASSRLS`:                                   "42501",
		`CREATE TABLE public.mine (n INT)`:                                     "42501",
		`CREATE SCHEMA mine`:                                                   "42501",
		`CREATE FUNCTION public.mine() RETURNS INT LANGUAGE sql AS 'SELECT 1'`: "42501",
		`CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`: "42501",
		`CREATE EXTENSION dblink`:                              "42501",
		`SELECT FROM goose_db_version`:                         "42501",
		`DELETE FROM goose_db_version`:                         "42501",
		`SELECT FROM passwords`:                                "42501",
		`SELECT FROM links`:                                    "42501",
		`SELECT hashed_password FROM credentials`:              "42501",
		`TRUNCATE courses CASCADE`:                             "42501",
		`COPY courses TO PROGRAM 'cat'`:                        "42501",
		`SELECT pg_read_file('/etc/passwd')`:                   "42501",
		`SELECT lo_import('/etc/passwd')`:                      "42501",
		`UPDATE organizations SET operator = true`:             "42501",
		`UPDATE budgets SET hard_micros = 9223372036854775807`: "42501",
		`UPDATE courses SET organization_id = 'org_2'`:         "42501",
		`INSERT INTO courses (course_id, organization_id, title, created_by) VALUES ('x', 'org_2', 'x', 'x')`: "42501",
	} {
		if err := refusedAs(one, pool, sql, code); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	mustSee(t, one, pool, "lectern_tenant: org_1=1")
}

// refusedAs runs SQL as an attacker would, on a connection of its own, and wants
// an error of that code.
func refusedAs(ctx context.Context, pool *pgxpool.Pool, sql, code string) error {
	conn, err := pool.Acquire(ctx)
	if err == nil {
		defer func() {
			_ = conn.Conn().Close(context.Background())
			conn.Release()
		}()
		_, err = conn.Conn().PgConn().Exec(ctx, sql).ReadAll()
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != code {
		return fmt.Errorf("got %v, want code %s", err, code)
	}
	return nil
}

// BenchmarkAcquire is what a connection costs that is in its scope already, and one
// that has to be set to another organisation.
func BenchmarkAcquire(b *testing.B) {
	w := newWalled(b, 2)
	for name, c := range map[string]struct {
		role postgres.Role
		ctx  []context.Context
	}{
		"unscoped": {postgres.Owner, []context.Context{b.Context()}},
		"same":     {postgres.Tenant, []context.Context{postgres.WithOrganization(b.Context(), "org_1")}},
		"another":  {postgres.Tenant, []context.Context{postgres.WithOrganization(b.Context(), "org_1"), postgres.WithOrganization(b.Context(), "org_2")}},
	} {
		b.Run(name, func(b *testing.B) {
			pool := w.open(b, c.role, 1)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				conn, err := pool.Acquire(c.ctx[i%len(c.ctx)])
				if err != nil {
					b.Fatal(err)
				}
				conn.Release()
			}
		})
	}
}
