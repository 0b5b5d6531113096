package access

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

const (
	oldKey = "the key of last month, 32 bytes at least"
	newKey = "the key of this month, 32 bytes at least"
)

func tokens(t testing.TB, keys ...string) Tokens {
	t.Helper()
	made, err := NewTokens(Cookies{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// counted counts what the gate asks the database.
type counted struct {
	postgres.Querier
	asked atomic.Int64
}

func (c *counted) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	c.asked.Add(1)
	return c.Querier.QueryRow(ctx, sql, args...)
}

// rig is a gate on a real database, which it sees as a tenant.
type rig struct {
	*Gate
	t  testing.TB
	db *pgxpool.Pool // of the owner
	q  *counted
}

func newRig(t testing.TB) *rig {
	t.Helper()
	db := pgtest.New(t)
	q := &counted{Querier: pgtest.As(t, db, postgres.Tenant)}
	return &rig{Gate: New(q, tokens(t, newKey), hasher(t)), t: t, db: db, q: q}
}

func hasher(t testing.TB) *account.Hasher {
	t.Helper()
	h, err := account.NewHasher(account.HashOptions{Cost: account.HashCost{MemoryKiB: 8, Iterations: 1, Lanes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.db.Exec(r.t.Context(), sql, args...); err != nil {
		r.t.Fatal(err)
	}
}

// person makes one with a role and signs them in.
func (r *rig) person(role account.Role) account.Secret {
	r.t.Helper()
	user := "user_" + string(role)
	r.exec(`INSERT INTO users (user_id, organization_id, name, role) VALUES ($1, 'org_local', 'P', $2) ON CONFLICT DO NOTHING`, user, role)
	secret, err := account.Begin(r.t.Context(), r.db, user, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return secret
}

// credential makes one with scopes, and a secret that an operator chose.
func (r *rig) credential(authID, chosen string, scopes ...string) account.Secret {
	r.t.Helper()
	c := account.NewCredential{AuthID: authID, Label: "test", Scopes: scopes}
	secret, err := c.SetSecret(r.t.Context(), hasher(r.t), chosen)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := c.Insert(r.t.Context(), r.db, account.Local.Organization, account.Local.User); err != nil {
		r.t.Fatal(err)
	}
	return secret
}

func (r *rig) cookie(secret account.Secret) *http.Cookie {
	r.t.Helper()
	c, err := r.NewCookie(secret)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *rig) bearer(secret account.Secret) string {
	r.t.Helper()
	token, err := r.NewToken(secret)
	if err != nil {
		r.t.Fatal(err)
	}
	return "Bearer " + token
}

// asks is a request with a cookie and Authorization headers.
func asks(cookie *http.Cookie, authorization ...string) *http.Request {
	q := httptest.NewRequest("GET", "/", nil)
	if cookie != nil {
		q.AddCookie(cookie)
	}
	if authorization != nil {
		q.Header["Authorization"] = authorization
	}
	return q
}

// admit gives the user who is admitted, or the kind of the refusal.
func admit(g *Gate, q *http.Request, need edge.Policy) (user string, refused fault.Kind) {
	ctx, err := g.Admit(q, need)
	if err != nil {
		return "", fault.KindOf(err)
	}
	p, _ := account.From(ctx)
	return p.User, -1
}

var learners = edge.Policy{Role: string(account.Learner), Scope: account.ReadCourses}

func long(n int) string { return strings.Repeat("A", n) }
