package idempotency_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/idempotency"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

type made struct {
	Number int64
	hidden string // is told the first time only
}

// desk counts how often the change was made, in either way.
type desk struct {
	t    *testing.T
	db   *pgxpool.Pool
	runs atomic.Int64
	fail error
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, db: pgtest.As(t, pgtest.New(t), postgres.Tenant)}
	return d
}

var ways = map[string]func(d *desk, ctx context.Context, key string, request any) (*made, error){
	"write": func(d *desk, ctx context.Context, key string, request any) (*made, error) {
		return idempotency.Write(ctx, d.db, "count", idempotency.Keyed{Key: key}, request, func(pgx.Tx, account.Principal) (*made, error) { return d.change() })
	},
	"once": func(d *desk, ctx context.Context, key string, request any) (*made, error) {
		return idempotency.Once(ctx, d.db, "count", idempotency.Keyed{Key: key}, request, func(account.Principal) (*made, error) { return d.change() })
	},
}

func (d *desk) change() (*made, error) {
	if d.fail != nil {
		return nil, d.fail
	}
	return &made{d.runs.Add(1), "a secret"}, nil
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			ctx := account.With(t.Context(), account.Local)
			want := func(number int64, hidden, key string, request any) {
				t.Helper()
				got, err := way(d, ctx, key, request)
				if err != nil || got.Number != number || got.hidden != hidden {
					t.Errorf("%q with %v: %+v, %v", key, request, got, err)
				}
			}
			want(1, "a secret", "", "a")
			want(2, "a secret", "", "a") // without a key it is made again
			want(3, "a secret", "k", "a")
			want(3, "", "k", "a")
			want(4, "a secret", "other", "a")
			if _, err := way(d, ctx, "k", "b"); !fault.Is(err, fault.Conflict) {
				t.Errorf("another request: %v", err)
			}
			colleague := account.Local
			colleague.User = "user_other"
			if got, err := way(d, account.With(ctx, colleague), "k", "b"); err != nil || got.Number != 5 {
				t.Errorf("somebody else's key: %+v, %v", got, err)
			}
			// What failed may be tried again.
			d.fail = errors.New("no")
			if _, err := way(d, ctx, "new", "a"); !errors.Is(err, d.fail) {
				t.Error(err)
			}
			d.fail = nil
			want(6, "a secret", "new", "a")
			// A day later a key is free.
			if _, err := d.db.Exec(ctx, `UPDATE idempotency SET created_at = now() - interval '25 hours' WHERE organization_id = 'org_local'`); err != nil {
				t.Fatal(err)
			}
			want(7, "a secret", "k", "b")
		})
	}
}

// Requests that come together make one change.
func TestKeysAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ctx := account.With(t.Context(), account.Local)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got, err := ways["write"](d, ctx, "k", "a"); err != nil || got.Number != 1 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	all.Wait()
	if n := d.runs.Load(); n != 1 {
		t.Errorf("%d changes", n)
	}
}

// Who has not been let in writes nothing.
func TestNobodyWrites(t *testing.T) {
	t.Parallel()
	for name, way := range ways {
		d := newDesk(t)
		for _, key := range []string{"", "k"} {
			if _, err := way(d, t.Context(), key, "a"); !fault.Is(err, fault.Unauthenticated) || d.runs.Load() != 0 {
				t.Errorf("%s with %q: %v", name, key, err)
			}
		}
	}
}
