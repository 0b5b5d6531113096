package account_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// oneCredential is a database that holds the credential "known" and is read in no
// time: the fake clock of synctest cannot wait for a socket.
type oneCredential struct {
	postgres.Querier
	hash  string
	reads atomic.Int64
}

func (o *oneCredential) QueryRow(_ context.Context, _ string, args ...any) pgx.Row {
	o.reads.Add(1)
	return foundRow{args[0] == "known", o.hash}
}

type foundRow struct {
	found bool
	hash  string
}

var scopes = []string{account.Chat}

func (r foundRow) Scan(into ...any) error {
	if !r.found {
		return pgx.ErrNoRows
	}
	*into[0].(*string), *into[1].(*string), *into[2].(*[]string), *into[3].(*bool) = "org_x", r.hash, scopes, false
	return nil
}

// counted counts what a hasher does; each takes 40 ms of the fake clock.
type counted struct {
	account.PasswordHasher
	verified, dummies atomic.Int64
}

func (c *counted) Verify(ctx context.Context, password, hash string) (ok, rehash bool, err error) {
	c.verified.Add(1)
	time.Sleep(40 * time.Millisecond)
	return c.PasswordHasher.Verify(ctx, password, hash)
}

func (c *counted) Dummy(ctx context.Context, password string) error {
	c.dummies.Add(1)
	time.Sleep(40 * time.Millisecond)
	return c.PasswordHasher.Dummy(ctx, password)
}

type bench struct {
	*account.Verifier
	hasher *counted
	db     *oneCredential
}

const rightSecret = "the right secret"

// newBench makes a verifier whose clients are named by the value of clientKey.
func newBench(t testing.TB) *bench {
	h := newHasher(t, account.HashOptions{Cost: cheap})
	hash, err := h.Hash(context.Background(), rightSecret)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{hasher: &counted{PasswordHasher: h}, db: &oneCredential{hash: hash}}
	b.Verifier = account.NewVerifier(b.db, b.hasher, func(ctx context.Context) string {
		client, _ := ctx.Value(clientKey{}).(string)
		return client
	})
	return b
}

type clientKey struct{}

func from(ctx context.Context, client string) context.Context {
	return context.WithValue(ctx, clientKey{}, client)
}

// check wants a kind; -1 is no error.
func (b *bench) check(t *testing.T, ctx context.Context, authID, secret string, want fault.Kind) {
	t.Helper()
	p, err := b.Check(ctx, authID, secret)
	switch {
	case want == none && (err != nil || p.User != authID || p.Organization != "org_x" || len(p.Scopes) != 1 || !p.Credential()):
		t.Errorf("%s with %q: %+v, %v", authID, secret, p, err)
	case want != none && (!fault.Is(err, want) || p.User != "" || p.Organization != ""):
		t.Errorf("%s with %q: %+v, %v; want %v", authID, secret, p, err, want)
	}
}

const none fault.Kind = -1

// A secret is hashed once a minute, whatever comes in between.
func TestSecretIsHashedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for range 50 {
			b.check(t, t.Context(), "known", rightSecret, none)
		}
		b.check(t, t.Context(), "known", "a wrong secret", fault.Unauthenticated)
		b.check(t, t.Context(), "known", rightSecret, none)
		if n := b.hasher.verified.Load(); n != 2 { // the right one, and the wrong one
			t.Errorf("%d hashes", n)
		}
		time.Sleep(account.Remembered + time.Second)
		for range 50 {
			b.check(t, t.Context(), "known", rightSecret, none)
		}
		if n := b.hasher.verified.Load(); n != 3 {
			t.Errorf("%d hashes after a minute", n)
		}
		if n := b.db.reads.Load(); n != 102 {
			t.Errorf("%d reads: every request must read the row", n)
		}
	})
}

// A secret that is not the remembered one is not taken for it.
func TestWhatIsRememberedIsOneSecretOfOneCredential(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.check(t, t.Context(), "known", rightSecret, none)
		for _, secret := range []string{"", "the right secre", "the right secret ", "the right secret\x00", "The right secret"} {
			b.check(t, t.Context(), "known", secret, fault.Unauthenticated)
		}
		b.check(t, t.Context(), "unknown", rightSecret, fault.Unauthenticated)
		// The same id with another hash, as after a restore: nothing is remembered of it.
		other, err := b.hasher.Hash(t.Context(), "another secret")
		if err != nil {
			t.Fatal(err)
		}
		b.db.hash = other
		b.check(t, t.Context(), "known", rightSecret, fault.Unauthenticated)
	})
}

// Calls that come together before anything is remembered pay one hash, and it does
// not die with the first of them.
func TestFirstCallsShareOneHash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		leaving, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := b.Check(leaving, "known", rightSecret); !errors.Is(err, context.Canceled) {
				t.Errorf("who left: %v", err)
			}
		})
		synctest.Wait()
		for range 200 {
			all.Go(func() { b.check(t, t.Context(), "known", rightSecret, none) })
		}
		synctest.Wait()
		leave()
		all.Wait()
		if n := b.hasher.verified.Load(); n != 1 {
			t.Errorf("%d hashes", n)
		}
	})
}

// Who comes with another secret or for another id while the right one is hashed has
// no part in its outcome, nor has the right one in theirs.
func TestOnlyTheSameSecretSharesAHash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var all sync.WaitGroup
		for _, first := range []bool{true, false} {
			right := func() { b.check(t, t.Context(), "known", rightSecret, none) }
			if first {
				all.Go(right)
			}
			synctest.Wait()
			all.Go(func() { b.check(t, t.Context(), "known", "a wrong secret", fault.Unauthenticated) })
			all.Go(func() { b.check(t, t.Context(), "unknown", rightSecret, fault.Unauthenticated) })
			synctest.Wait()
			if !first {
				all.Go(right)
			}
			all.Wait()
			time.Sleep(account.Remembered + time.Second)
		}
	})
}

// Unknown and known auth_ids get the same answer for the same price, also when they
// are throttled.
func TestUnknownCredentialsCannotBeTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for range 12 {
			type result struct {
				err  string
				took time.Duration
			}
			var got [2]result
			for i, authID := range []string{"known", "unknown"} {
				began := time.Now()
				_, err := b.Check(t.Context(), authID, "a wrong secret")
				got[i] = result{fmt.Sprintf("%v %v %v", fault.KindOf(err), err, fault.Message(err)), time.Since(began)}
			}
			if got[0] != got[1] {
				t.Errorf("known %+v, unknown %+v", got[0], got[1])
			}
		}
		if known, unknown := b.hasher.verified.Load(), b.hasher.dummies.Load(); known != 10 || unknown != 10 {
			t.Errorf("%d hashes for the known one, %d for the unknown", known, unknown)
		}
	})
}

func TestWrongSecretsAreThrottledBeforeTheyCostAHash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.check(t, t.Context(), "known", rightSecret, none)
		for i := range 1000 {
			want := fault.Unauthenticated
			if i >= 10 {
				want = fault.Exhausted
			}
			// Each is another secret from another client: only the auth_id is the same.
			_, err := b.Check(from(t.Context(), fmt.Sprint(i)), "known", fmt.Sprint("guess ", i))
			e, _ := errors.AsType[*fault.Error](err)
			if e == nil || e.Kind != want || e.Kind == fault.Exhausted && e.RetryAfter < time.Second {
				t.Fatalf("guess %d: %v", i, err)
			}
		}
		if n := b.hasher.verified.Load(); n != 11 {
			t.Errorf("%d hashes", n)
		}
		// Its owner gets in all the while, also when the secret is to be hashed again.
		b.check(t, t.Context(), "known", rightSecret, none)
		time.Sleep(account.Remembered + time.Second)
		for i := range 40 {
			_, _ = b.Check(t.Context(), "known", fmt.Sprint("late guess ", i))
		}
		b.check(t, t.Context(), "known", rightSecret, none)
		// It refills.
		time.Sleep(2 * time.Second)
		b.check(t, t.Context(), "known", "a guess", fault.Unauthenticated)
		b.check(t, t.Context(), "known", "a guess more", fault.Exhausted)
	})
}

// A new instance knows no secret yet: who guesses there from one place, all the time,
// does not keep the owner out.
func TestGuesserDoesNotKeepTheOwnerOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		bad, good := from(t.Context(), "192.0.2.1"), from(t.Context(), "192.0.2.2")
		for i := range 600 { // a minute
			_, _ = b.Check(bad, "known", fmt.Sprint("guess ", i))
			time.Sleep(100 * time.Millisecond)
		}
		b.check(t, good, "known", rightSecret, none)
	})
}

func TestClientThatGuessesIsThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		bad, good := from(t.Context(), "192.0.2.1"), from(t.Context(), "192.0.2.2")
		exhausted := 0
		for i := range 60 {
			if _, err := b.Check(bad, fmt.Sprint("id", i), "a guess"); fault.Is(err, fault.Exhausted) {
				exhausted++
			}
		}
		if exhausted < 30 || b.hasher.dummies.Load() > 30 {
			t.Errorf("%d of 60 were refused, %d cost a hash", exhausted, b.hasher.dummies.Load())
		}
		b.check(t, bad, "known", rightSecret, fault.Exhausted)
		b.check(t, good, "known", rightSecret, none)
		b.check(t, bad, "known", rightSecret, none) // now it is known to be right
	})
}

// Guessing from everywhere at everything leaves time for others.
func TestAllGuessesTogetherAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.check(t, t.Context(), "known", rightSecret, none)
		var all sync.WaitGroup
		for i := range 5000 {
			all.Go(func() { _, _ = b.Check(from(t.Context(), fmt.Sprint(i)), fmt.Sprint("id", i), "a guess") })
		}
		all.Wait()
		if n := b.hasher.dummies.Load(); n == 0 || n > 50 {
			t.Errorf("%d hashes", n)
		}
		b.check(t, t.Context(), "known", rightSecret, none)
	})
}

// Who is right uses nothing of the allowance: many programs stand behind one address.
func TestRightSecretsAreNotThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for range 100 {
			b.db.hash, _ = b.hasher.Hash(t.Context(), rightSecret) // as if it were another credential
			b.check(t, from(t.Context(), "192.0.2.1"), "known", rightSecret, none)
		}
		if n := b.hasher.verified.Load(); n != 100 {
			t.Errorf("%d hashes", n)
		}
	})
}

// What cannot be an auth_id or a secret costs neither a read nor a hash.
func TestImpossibleCredentialsCostNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, authID := range []string{"", "Known", "a.b", "a b", "a:b", "known\x00", "kn\u00f6wn", "\xff", string(make([]byte, 65))} {
		b.check(t, t.Context(), authID, rightSecret, fault.Unauthenticated)
	}
	b.check(t, t.Context(), "known", string(make([]byte, 1025)), fault.Unauthenticated)
	if b.db.reads.Load() != 0 || b.hasher.verified.Load() != 0 || b.hasher.dummies.Load() != 0 {
		t.Errorf("%d reads, %d hashes", b.db.reads.Load(), b.hasher.verified.Load()+b.hasher.dummies.Load())
	}
}

// What a streamed call pays beside the read of its row. The issue asks for 5 µs.
func BenchmarkCheckRemembered(b *testing.B) {
	v := newBench(b)
	if _, err := v.Check(b.Context(), "known", rightSecret); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Check(b.Context(), "known", rightSecret); err != nil {
			b.Fatal(err)
		}
	}
}
