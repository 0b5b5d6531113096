package account_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/mail"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// pausing waits after a password has been found right, as a slow machine would.
type pausing struct {
	account.PasswordHasher
	paused        atomic.Bool
	right, onward chan struct{}
}

func (p *pausing) Verify(ctx context.Context, password, hash string) (ok, rehash bool, err error) {
	ok, rehash, err = p.PasswordHasher.Verify(ctx, password, hash)
	if p.paused.CompareAndSwap(false, true) {
		close(p.right)
		<-p.onward
	}
	return ok, rehash, err
}

// letters counts what is sent.
type letters struct{ sent []mail.Message }

func (l *letters) Send(_ context.Context, m mail.Message) error {
	l.sent = append(l.sent, m)
	return nil
}

const password = "nine owls on a fence"

func hasher(t testing.TB, cost account.HashCost) *account.Hasher {
	t.Helper()
	h, err := account.NewHasher(account.HashOptions{Cost: cost})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// desk is one at which ann@example.com, the local owner, has a password.
func desk(t testing.TB, db *pgxpool.Pool, h account.PasswordHasher, post mail.Sender) *account.Desk {
	t.Helper()
	d, err := account.NewDesk(account.Parts{DB: pgtest.As(t, db, postgres.System), Hasher: h, Mail: post, PublicURL: "https://lectern.example/", VerifyEmail: true})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(t.Context(), `
		WITH u AS (UPDATE users SET email = 'ann@example.com', address = 'ann@example.com' WHERE user_id = 'user_local')
		INSERT INTO passwords (user_id, hashed_password) VALUES ('user_local', $1)`, hash)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Who has shown the old password while it was being changed is not signed in.
func TestAnOldPasswordIsOverTaken(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	slow := &pausing{PasswordHasher: hasher(t, account.HashCost{MemoryKiB: 8, Iterations: 1, Lanes: 1}), right: make(chan struct{}), onward: make(chan struct{})}
	d := desk(t, db, slow, &letters{})
	outcome := make(chan error, 1)
	go func() {
		_, err := d.SignIn(t.Context(), account.Visitor{Network: "thief"}, "ann@example.com", password)
		outcome <- err
	}()
	<-slow.right
	if _, err := d.ChangePassword(t.Context(), account.Visitor{}, account.Local, password, "ten owls on a fence"); err != nil {
		t.Fatal(err)
	}
	close(slow.onward)
	if err := <-outcome; !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the old password signs in after its change: %v", err)
	}
	var n int
	if err := db.QueryRow(t.Context(), `SELECT count(*) FROM sign_ins`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d sign-ins, %v", n, err)
	}
}

// A hash of an older cost is made anew by who knows the password.
func TestAnOldHashIsRenewed(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	desk(t, db, hasher(t, account.HashCost{MemoryKiB: 8, Iterations: 1, Lanes: 1}), &letters{})
	today, err := account.NewDesk(account.Parts{
		DB: pgtest.As(t, db, postgres.System), Mail: &letters{}, PublicURL: "https://lectern.example",
		Hasher: hasher(t, account.HashCost{MemoryKiB: 16, Iterations: 2, Lanes: 1}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := today.SignIn(t.Context(), account.Visitor{}, "ann@example.com", password); err != nil {
			t.Fatal(err)
		}
		var hash string
		if err := db.QueryRow(t.Context(), `SELECT hashed_password FROM passwords WHERE hashed_password LIKE '$argon2id$v=19$m=16,t=2,p=1$%'`).Scan(&hash); err != nil {
			t.Fatal(err)
		}
	}
}

// A link in a letter leads to the public address, once.
func TestLettersLeadHome(t *testing.T) {
	t.Parallel()
	post := &letters{}
	d := desk(t, pgtest.New(t), hasher(t, account.HashCost{MemoryKiB: 8, Iterations: 1, Lanes: 1}), post)
	if err := d.Reset(t.Context(), account.Visitor{}, "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	if len(post.sent) != 1 || post.sent[0].To != "ann@example.com" {
		t.Fatalf("%+v", post.sent)
	}
	for _, wrong := range []string{"", "lectern.example", "ftp://lectern.example", "https://", "https://a@lectern.example", "https://lectern.example?x=1", "https://lectern.example#x"} {
		if _, err := account.NewDesk(account.Parts{PublicURL: wrong}); err == nil {
			t.Errorf("%q is taken for the public address", wrong)
		}
	}
}

// BenchmarkSignIn is a sign-in at the cost of production: at most 100 ms.
func BenchmarkSignIn(b *testing.B) {
	db := pgtest.New(b)
	d := desk(b, db, hasher(b, account.Today), &letters{})
	known, err := d.SignIn(b.Context(), account.Visitor{}, "ann@example.com", password)
	if err != nil {
		b.Fatal(err)
	}
	visitor := account.Visitor{Device: known.Device}
	var longest time.Duration
	for b.Loop() {
		begin := time.Now()
		if _, err := d.SignIn(b.Context(), visitor, "ann@example.com", password); err != nil {
			b.Fatal(err)
		}
		longest = max(longest, time.Since(begin))
	}
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms-longest")
}
