package auth

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/access/accesstest"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/mail"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// rig is the handler on a real database, in the role that it has in production.
type rig struct {
	http.Handler
	t      testing.TB
	db     *pgxpool.Pool // sees everything
	deps   Deps
	api    *edge.API
	tokens access.Tokens
	mail   *mailbox
}

const (
	key      = "a key of this environment, long enough"
	public   = "https://lectern.example"
	password = "nine owls on a fence"
)

// generous limits are never reached.
var generous = account.Limits{
	Account: lavish, Device: lavish, Network: lavish, SignUps: lavish, Letters: lavish, Mail: lavish,
	Resets: lavish, Links: lavish, Invites: lavish, Secrets: lavish, Strangers: lavish,
}

var lavish = account.Rate{Burst: 1_000_000, Every: time.Microsecond}

func newRig(t testing.TB, change ...func(*account.Parts)) *rig {
	t.Helper()
	r := &rig{t: t, db: pgtest.New(t), mail: &mailbox{}}
	hasher, err := account.NewHasher(account.HashOptions{Cost: accesstest.Quick})
	if err != nil {
		t.Fatal(err)
	}
	if r.tokens, err = access.NewTokens(access.Cookies{Keys: []string{key}}); err != nil {
		t.Fatal(err)
	}
	db := pgtest.As(t, r.db, postgres.System)
	parts := account.Parts{DB: db, Hasher: hasher, Mail: r.mail, PublicURL: public, VerifyEmail: true, Limits: generous}
	for _, c := range change {
		c(&parts)
	}
	desk, err := account.NewDesk(parts)
	if err != nil {
		t.Fatal(err)
	}
	r.deps = Deps{
		DB: db, Gate: access.New(db, r.tokens, parts.Hasher), Hasher: parts.Hasher, Desk: desk,
		Ledger: &budget.Ledger{DB: db, Defaults: budget.Limits{Soft: 4_000_000, Hard: 5_000_000}},
	}
	r.api, r.Handler = newAPI(r.deps), New(r.deps)
	return r
}

// mailbox keeps letters.
type mailbox struct {
	mu      sync.Mutex
	letters []mail.Message
	err     error
}

func (b *mailbox) Send(_ context.Context, m mail.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.letters = append(b.letters, m)
	}
	return b.err
}

// last is the newest letter to an address.
func (b *mailbox) last(t testing.TB, to string) mail.Message {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.letters) - 1; i >= 0; i-- {
		if b.letters[i].To == to {
			return b.letters[i]
		}
	}
	t.Fatalf("no letter to %s", to)
	return mail.Message{}
}

// token is that of the link in the newest letter to an address; "" when it has none.
func (b *mailbox) token(t testing.TB, to string) string {
	t.Helper()
	_, rest, _ := strings.Cut(b.last(t, to).Text, "?token=")
	token, _, _ := strings.Cut(rest, "\n")
	return token
}

// browser keeps cookies, as browsers do.
type browser struct {
	*rig
	cookies map[string]string
	address string // of its network
	agent   string
}

func (r *rig) browser() *browser {
	return &browser{rig: r, cookies: map[string]string{}, address: "192.0.2.1", agent: "Owl/1.0"}
}

// do sends a request; body is marshalled unless it is a string, headers come in pairs.
func (b *browser) do(method, path string, body any, headers ...string) edgetest.Answer {
	b.t.Helper()
	q := edgetest.Request(b.t, method, path, body, headers...)
	q.RemoteAddr = b.address + ":1234"
	q.Header.Set("User-Agent", b.agent)
	for name, value := range b.cookies {
		q.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	a := edgetest.Send(b.t, b, q)
	for _, c := range a.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return a
}

type fields map[string]any

// signUp makes an organisation with its owner, who is signed in in the browser.
func (r *rig) signUp(email string) *browser {
	r.t.Helper()
	b := r.browser()
	b.do("POST", "/v1/auth/sign-up", fields{"email": email, "password": password, "name": "Ann", "organization": "Owls"}).Want(201)
	b.do("POST", "/v1/auth/sign-up/confirm", fields{"token": r.mail.token(r.t, email)}).Want(200)
	return b
}

// join makes a member of the browser's organisation, signed in in a browser of theirs.
func (b *browser) join(email string, role account.Role) *browser {
	b.t.Helper()
	b.do("POST", "/v1/auth/members", fields{"email": email, "role": role}).Want(201)
	other := b.browser()
	other.do("POST", "/v1/auth/sign-up", fields{"password": password, "name": "Bob", "invitation": b.mail.token(b.t, email)}).Want(201)
	other.signIn(email, password).Want(200)
	return other
}

func (b *browser) signIn(email, password string) edgetest.Answer {
	b.t.Helper()
	return b.do("POST", "/v1/auth/sign-in", fields{"email": email, "password": password})
}

func (b *browser) me() account.Profile {
	b.t.Helper()
	return edgetest.Into[account.Profile](b.do("GET", "/v1/auth/me", nil).Want(200))
}

// count counts rows.
func (r *rig) count(sql string, args ...any) (n int) {
	r.t.Helper()
	if err := r.db.QueryRow(context.WithoutCancel(r.t.Context()), sql, args...).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.db.Exec(r.t.Context(), sql, args...); err != nil {
		r.t.Fatal(err)
	}
}
