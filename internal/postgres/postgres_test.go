package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

func accounts(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t)
	_, err := pool.Exec(t.Context(), `
		CREATE TABLE accounts (name TEXT PRIMARY KEY, amount BIGINT NOT NULL);
		INSERT INTO accounts VALUES ('a', 100), ('b', 100)`)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func amounts(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	var text string
	err := pool.QueryRow(t.Context(), `SELECT string_agg(name || amount, ' ' ORDER BY name) FROM accounts`).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// F24: two transactions take the same rows in opposite order; the one that
// Postgres chooses as the victim runs again.
func TestDeadlockRunsAgain(t *testing.T) {
	t.Parallel()
	pool := accounts(t)
	var met sync.WaitGroup
	met.Add(2)
	var runs atomic.Int64
	won := make(chan struct{})
	win := sync.OnceFunc(func() { close(won) })
	move := func(from, to string) error {
		defer win()
		first := true
		return postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
			if !first {
				<-won // who was refused may be quicker than the other to wake, and meet it once more
			}
			runs.Add(1)
			if _, err := tx.Exec(t.Context(), `UPDATE accounts SET amount = amount - 1 WHERE name = $1`, from); err != nil {
				return err
			}
			if first {
				first = false
				met.Done()
				met.Wait()
			}
			_, err := tx.Exec(t.Context(), `UPDATE accounts SET amount = amount + 1 WHERE name = $1`, to)
			return err
		})
	}
	var all sync.WaitGroup
	for _, pair := range [][2]string{{"a", "b"}, {"b", "a"}} {
		all.Go(func() {
			if err := move(pair[0], pair[1]); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := amounts(t, pool); got != "a100 b100" || runs.Load() != 3 {
		t.Errorf("%s after %d runs", got, runs.Load())
	}
}

func TestSerializationFailureRunsAgain(t *testing.T) {
	t.Parallel()
	pool := accounts(t)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), `SET TRANSACTION ISOLATION LEVEL SERIALIZABLE`); err != nil {
					return err
				}
				var sum int64
				if err := tx.QueryRow(t.Context(), `SELECT sum(amount) FROM accounts`).Scan(&sum); err != nil {
					return err
				}
				_, err := tx.Exec(t.Context(), `UPDATE accounts SET amount = $1 WHERE name = 'a'`, sum)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := amounts(t, pool); got != "a400 b100" { // 200, 300, 400: one after the other
		t.Error(got)
	}
}

func TestTransactionThatNeverSucceedsGivesUp(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	runs := 0
	err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		runs++
		_, err := tx.Exec(t.Context(), `DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$`)
		return err
	})
	if !fault.Is(err, fault.Unavailable) || runs != 5 {
		t.Errorf("%v after %d runs", err, runs)
	}
}

// What fn refuses is rolled back, told as it is, and not tried again.
func TestRefusalRollsBack(t *testing.T) {
	t.Parallel()
	pool := accounts(t)
	refusal := errors.New("no")
	err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `UPDATE accounts SET amount = 0`); err != nil {
			return err
		}
		return refusal
	})
	if !errors.Is(err, refusal) || fault.KindOf(err) != fault.Internal {
		t.Errorf("%v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), `UPDATE accounts SET amount = 0`); err != nil {
				return err
			}
			panic("ouch")
		})
	}()
	if got := amounts(t, pool); got != "a100 b100" {
		t.Error(got)
	}
	if n := pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections are not given back", n)
	}
}

// Each way in which the database can be out of reach is Unavailable, which is
// tried again; our own mistakes are not.
func TestKindsOfErrors(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	open := func(t *testing.T, o postgres.Options) *pgxpool.Pool {
		o.Role = postgres.Owner
		pool, err := postgres.Open(t.Context(), url, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return pool
	}
	for name, c := range map[string]struct {
		want fault.Kind
		run  func(t *testing.T) error
	}{
		"no server": {fault.Unavailable, func(t *testing.T) error {
			pool, err := postgres.Open(t.Context(), "postgres:///x?host="+t.TempDir(), postgres.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			_, err = pool.Exec(t.Context(), `SELECT 1`)
			return err
		}},
		"connection killed in a statement": {fault.Unavailable, func(t *testing.T) error {
			_, err := open(t, postgres.Options{}).Exec(t.Context(), `SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)`)
			return err
		}},
		"connection killed in a transaction": {fault.Unavailable, func(t *testing.T) error {
			pool := open(t, postgres.Options{})
			return postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
				var pid int
				if err := tx.QueryRow(t.Context(), `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
					return err
				}
				if _, err := pool.Exec(t.Context(), `SELECT pg_terminate_backend($1)`, pid); err != nil {
					return err
				}
				for { // until the server has seen it
					if _, err := tx.Exec(t.Context(), `SELECT 1`); err != nil {
						return err
					}
				}
			})
		}},
		"connection that died between two statements": {fault.Unavailable, func(t *testing.T) error {
			conn, err := open(t, postgres.Options{}).Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Release()
			if err := conn.Conn().PgConn().Conn().Close(); err != nil {
				t.Fatal(err)
			}
			_, err = conn.Exec(t.Context(), `SELECT 1`)
			_, again := conn.Exec(t.Context(), `SELECT 1`)
			if !fault.Is(postgres.Fault(again), fault.Unavailable) {
				t.Errorf("the second statement: %v", again)
			}
			return err
		}},
		"pool closed": {fault.Unavailable, func(t *testing.T) error {
			pool := open(t, postgres.Options{})
			pool.Close()
			_, err := pool.Exec(t.Context(), `SELECT 1`)
			return err
		}},
		"statement timeout": {fault.Unavailable, func(t *testing.T) error {
			_, err := open(t, postgres.Options{StatementTimeout: 50 * time.Millisecond}).Exec(t.Context(), `SELECT pg_sleep(5)`)
			return err
		}},
		"ctx over": {fault.Unavailable, func(t *testing.T) error {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := open(t, postgres.Options{}).Exec(ctx, `SELECT pg_sleep(5)`)
			return err
		}},
		"pool exhausted": {fault.Unavailable, func(t *testing.T) error {
			pool := open(t, postgres.Options{MaxConns: 1})
			conn, err := pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Release()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err = pool.Exec(ctx, `SELECT 1`)
			return err
		}},
		"lock not free": {fault.Unavailable, func(t *testing.T) error {
			pool := open(t, postgres.Options{})
			return pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), `LOCK organizations`); err != nil {
					return err
				}
				_, err := pool.Exec(t.Context(), `SELECT FROM organizations FOR UPDATE NOWAIT`)
				return err
			})
		}},
		"nothing found": {fault.NotFound, func(t *testing.T) error {
			var n int
			return open(t, postgres.Options{}).QueryRow(t.Context(), `SELECT 1 WHERE false`).Scan(&n)
		}},
		"U+0000": {fault.Invalid, func(t *testing.T) error {
			_, err := open(t, postgres.Options{}).Exec(t.Context(), `SELECT $1::text`, "a\x00b")
			return err
		}},
		"U+0000 in JSON": {fault.Invalid, func(t *testing.T) error {
			_, err := open(t, postgres.Options{}).Exec(t.Context(), `SELECT $1::jsonb`, `"\u0000"`)
			return err
		}},
		"our own mistake": {fault.Internal, func(t *testing.T) error {
			_, err := open(t, postgres.Options{}).Exec(t.Context(), `SELECT nonsense`)
			return err
		}},
		"a constraint": {fault.Internal, func(t *testing.T) error {
			_, err := open(t, postgres.Options{}).Exec(t.Context(), `INSERT INTO organizations VALUES ('org_local', 'again')`)
			return err
		}},
		"a kind that is there already": {fault.Denied, func(*testing.T) error {
			return fmt.Errorf("wrapped: %w", fault.New(fault.Denied, "No."))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.run(t)
			if err == nil {
				t.Fatal("no error")
			}
			got := postgres.Fault(err)
			if fault.KindOf(got) != c.want {
				t.Errorf("%v is %v, want %v", err, fault.KindOf(got), c.want)
			}
			if c.want == fault.Unavailable && (strings.Contains(fault.Message(got), "SQL") || !errors.Is(got, err) && got != err) {
				t.Errorf("people read %q; the cause is lost or told", fault.Message(got))
			}
		})
	}
	if postgres.Fault(nil) != nil {
		t.Error("nil is an error")
	}
}

func TestOpenDialsAtFirstUse(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), "postgres://nobody@127.0.0.1:1/x", postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pool.Close()
	if _, err := postgres.Open(t.Context(), "postgres://%zz", postgres.Options{}); err == nil {
		t.Error("a malformed URL is taken")
	}
}
