package accesstest

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/postgres"
)

// Key is what cookies and tokens are made with.
const Key = "a key of the cookies, 32 bytes at least"

// Quick is a hash that costs next to nothing.
var Quick = account.HashCost{MemoryKiB: 8, Iterations: 1, Lanes: 1}

// Gate is the real one, with the means to pass it.
type Gate struct {
	*access.Gate
	Hasher *account.Hasher

	t   testing.TB
	all *pgxpool.Pool
}

// New makes a gate on a pool that sees what functions see; all sees everything.
func New(t testing.TB, all *pgxpool.Pool, seen postgres.Querier) *Gate {
	t.Helper()
	tokens, err := access.NewTokens(access.Cookies{Keys: []string{Key}})
	if err != nil {
		t.Fatal(err)
	}
	hasher, err := account.NewHasher(account.HashOptions{Cost: Quick})
	if err != nil {
		t.Fatal(err)
	}
	return &Gate{Gate: access.New(seen, tokens, hasher), Hasher: hasher, t: t, all: all}
}

// Person makes one of the local organisation and gives the Authorization of their
// sign-in.
func (g *Gate) Person(user string, role account.Role) string {
	g.t.Helper()
	_, err := g.all.Exec(g.t.Context(), `INSERT INTO users (user_id, organization_id, name, role) VALUES ($1, 'org_local', 'P', $2)`, user, role)
	if err != nil {
		g.t.Fatal(err)
	}
	return g.SignIn(user)
}

// SignIn gives the Authorization of a sign-in of somebody who is there.
func (g *Gate) SignIn(user string) string {
	g.t.Helper()
	secret, err := account.Begin(g.t.Context(), g.all, user, "")
	if err != nil {
		g.t.Fatal(err)
	}
	token, err := g.NewToken(secret)
	if err != nil {
		g.t.Fatal(err)
	}
	return "Bearer " + token
}

// Program makes an API credential of an organisation and gives what it is called
// with: its id, a dot, and its secret. An id of "" is made.
func (g *Gate) Program(organization, id string, scopes ...string) string {
	g.t.Helper()
	c := account.NewCredential{AuthID: id, Label: "test", Scopes: scopes}
	secret, err := c.SetSecret(g.t.Context(), g.Hasher, "")
	if err != nil {
		g.t.Fatal(err)
	}
	made, err := c.Insert(g.t.Context(), g.all, organization, account.Local.User)
	if err != nil {
		g.t.Fatal(err)
	}
	return made.ID + "." + string(secret)
}
