package access

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/postgres"
)

// admitted is a database that knows who is still admitted, and nothing else.
type admitted struct {
	postgres.Querier
	mu    sync.Mutex
	roles map[string]account.Role
	asked int
	down  error
}

func (a *admitted) Query(ctx context.Context, _ string, args ...any) (pgx.Rows, error) {
	var down error
	a.change(func() { a.asked++; down = a.down })
	if errors.Is(down, context.DeadlineExceeded) {
		<-ctx.Done()
	}
	if down != nil {
		return nil, down
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	rows := &rolesOf{}
	for _, id := range args[0].([]string) {
		if role, ok := a.roles[id]; ok {
			rows.all = append(rows.all, [2]string{id, string(role)})
		}
	}
	return rows, nil
}

func (a *admitted) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *admitted) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// rolesOf are rows of an id and a role.
type rolesOf struct {
	pgx.Rows
	all [][2]string
	at  int
}

func (r *rolesOf) Next() bool { r.at++; return r.at <= len(r.all) }
func (r *rolesOf) Close()     {}
func (r *rolesOf) Err() error { return nil }

// CommandTag implements pgx.Rows.
func (r *rolesOf) CommandTag() pgconn.CommandTag { return pgconn.CommandTag{} }

func (r *rolesOf) Scan(to ...any) error {
	*to[0].(*string), *to[1].(*account.Role) = r.all[r.at-1][0], account.Role(r.all[r.at-1][1])
	return nil
}

var (
	ann  = account.Principal{Organization: "o", User: "ann", SignIn: "in_ann", Role: account.Author}
	bob  = account.Principal{Organization: "o", User: "bob", SignIn: "in_bob", Role: account.Learner}
	cred = account.Principal{Organization: "o", User: "cred_1", Scopes: []string{account.ReadCourses}}
)

func everybody() *admitted {
	return &admitted{roles: map[string]account.Role{"in_ann": account.Author, "in_bob": account.Learner, "cred_1": ""}}
}

// watched is a gate in a bubble of synctest, whose poller is gone when the test ends.
func watched(t *testing.T) (*admitted, *Gate) {
	t.Cleanup(func() { time.Sleep(2 * askEvery) })
	db := everybody()
	return db, newGate(db, Tokens{}, nil)
}

func TestWhoIsNoLongerAdmittedIsLetGo(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(*admitted){
		"signed out or deleted": func(a *admitted) { delete(a.roles, "in_ann") },
		"another role":          func(a *admitted) { a.roles["in_ann"] = account.Learner },
		"a higher role":         func(a *admitted) { a.roles["in_ann"] = account.Owner },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				db, g := watched(t)
				hold := func(p account.Principal) context.Context {
					ctx, release := g.Hold(account.With(t.Context(), p))
					t.Cleanup(release)
					return ctx
				}
				one, two, other, program := hold(ann), hold(ann), hold(bob), hold(cred)
				time.Sleep(time.Minute)
				for _, ctx := range []context.Context{one, two, other, program} {
					if ctx.Err() != nil {
						t.Fatal("somebody is let go for nothing")
					}
				}
				if n := db.count(); n > 31 {
					t.Errorf("%d queries in a minute for four streams", n)
				}
				db.change(func() { act(db) })
				began := time.Now()
				<-one.Done()
				<-two.Done()
				if took := time.Since(began); took > 5*time.Second || !errors.Is(context.Cause(one), ErrNotAdmitted) {
					t.Errorf("let go after %v: %v", took, context.Cause(one))
				}
				time.Sleep(time.Minute)
				if other.Err() != nil || program.Err() != nil {
					t.Error("others are let go too")
				}
				db.change(func() { delete(db.roles, "cred_1") })
				began = time.Now()
				<-program.Done()
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("the program was let go after %v", took)
				}
			})
		})
	}
}

// Nothing is asked about nobody, and the one who asks is gone then.
func TestNothingRunsForNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, g := watched(t)
		for range 3 {
			_, release := g.Hold(account.With(t.Context(), ann))
			_, again := g.Hold(account.With(t.Context(), ann))
			time.Sleep(11 * time.Second)
			release()
			release() // twice does no harm
			again()
			before := db.count()
			time.Sleep(time.Hour)
			if n := db.count() - before; n != 0 {
				t.Errorf("%d queries while nobody is held", n)
			}
			if ids, asking := g.held.whom(); asking {
				t.Errorf("%v are remembered", ids)
			}
		}
		if n := db.count(); n != 15 {
			t.Errorf("%d queries in three times 11 s", n)
		}
		// Who is nobody is not held: their answer ends with the request.
		ctx, release := g.Hold(t.Context())
		defer release()
		if time.Sleep(time.Minute); ctx.Err() != nil || db.count() != 15 {
			t.Error("nobody is held")
		}
	})
}

// A database that is down, or that hangs, throws nobody out; once it is back it is believed.
func TestAnOutageLetsNobodyGo(t *testing.T) {
	t.Parallel()
	for _, down := range []error{errors.New("down"), context.DeadlineExceeded} {
		synctest.Test(t, func(t *testing.T) {
			db, g := watched(t)
			ctx, release := g.Hold(account.With(t.Context(), ann))
			t.Cleanup(release)
			db.change(func() { db.down = down; delete(db.roles, "in_ann") })
			time.Sleep(10 * time.Minute)
			if ctx.Err() != nil {
				t.Error("an outage ended a stream")
			}
			db.change(func() { db.down = nil })
			began := time.Now()
			<-ctx.Done()
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("let go %v after the outage", took)
			}
		})
	}
}

// A held context ends with its request too, and holds come and go at the same time.
func TestHoldsComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, g := watched(t)
		parent, leave := context.WithCancel(account.With(t.Context(), ann))
		ctx, release := g.Hold(parent)
		leave()
		<-ctx.Done()
		release()
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				for range 20 {
					ctx, release := g.Hold(account.With(t.Context(), []account.Principal{ann, bob, cred}[i%3]))
					time.Sleep(time.Duration(i) * 37 * time.Millisecond)
					if ctx.Err() != nil {
						t.Error("let go for nothing")
					}
					release()
				}
			})
		}
		all.Wait()
		time.Sleep(time.Minute)
		if ids, asking := g.held.whom(); asking {
			t.Errorf("%v are still held", ids)
		}
	})
}
