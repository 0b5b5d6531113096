package account_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// later moves all clocks of the throttles on.
func later(t *testing.T, db postgres.Querier, d time.Duration) {
	t.Helper()
	if _, err := db.Exec(t.Context(), `UPDATE throttles SET until = until - $1::interval`, d); err != nil {
		t.Fatal(err)
	}
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	throttle := account.Throttle{DB: pgtest.As(t, db, postgres.System)}
	ask := account.Ask{Key: account.ThrottleKey("test", "ann"), Rate: account.Rate{Burst: 3, Every: time.Minute}}
	wait := func(asks ...account.Ask) time.Duration {
		t.Helper()
		err := throttle.Allow(t.Context(), asks...)
		if err == nil {
			return 0
		}
		known, ok := err.(*fault.Error)
		if !ok || known.Kind != fault.Exhausted || known.RetryAfter < time.Second {
			t.Fatal(err)
		}
		return known.RetryAfter
	}
	begun := time.Now() // what has passed since makes the wait shorter
	for i := range 3 {
		if wait(ask) > 0 {
			t.Fatalf("refused at %d of 3", i)
		}
	}
	for range 3 { // a refusal costs nothing
		if w := wait(ask); w < 55*time.Second-time.Since(begun) || w > time.Minute {
			t.Fatalf("wait %s", w)
		}
	}
	other := account.Ask{Key: account.ThrottleKey("test", "bob"), Rate: account.Rate{Burst: 1, Every: time.Minute}}
	if wait(other, ask) == 0 {
		t.Error("one of two is exhausted, and both were allowed")
	}
	if wait(other) > 0 {
		t.Error("what was refused together was counted")
	}
	later(t, db, time.Minute)
	if wait(ask) > 0 || wait(ask) == 0 {
		t.Error("a minute does not bring one piece")
	}
	later(t, db, time.Hour)
	for range 3 { // an hour brings no more than the burst
		if wait(ask) > 0 {
			t.Fatal("refused after an hour")
		}
	}
	if wait(ask) == 0 {
		t.Error("more than the burst after an hour")
	}
	if err := throttle.GiveBack(t.Context(), ask); err != nil || wait(ask) > 0 || wait(ask) == 0 {
		t.Error("what is given back is not one piece", err)
	}
	later(t, db, time.Hour)
	if removed, err := account.Expire(t.Context(), throttle.DB); err != nil || removed != 2 {
		t.Errorf("%d rows removed, %v", removed, err)
	}
}

// However many ask at once, in whatever order, nobody gets more than there is, and
// nobody waits for the other for ever.
func TestThrottleUnderConcurrency(t *testing.T) {
	t.Parallel()
	throttle := account.Throttle{DB: pgtest.As(t, pgtest.New(t), postgres.System)}
	rate := account.Rate{Burst: 20, Every: time.Hour}
	var allowed atomic.Int64
	var done sync.WaitGroup
	for i := range 100 {
		done.Go(func() {
			asks := []account.Ask{{Key: "shared a", Rate: rate}, {Key: "shared b", Rate: rate}, {Key: fmt.Sprint("own ", i), Rate: rate}}
			if i%2 == 0 {
				asks[0], asks[1] = asks[1], asks[0]
			}
			switch err := throttle.Allow(t.Context(), asks...); {
			case err == nil:
				allowed.Add(1)
			case !fault.Is(err, fault.Exhausted):
				t.Error(err)
			}
		})
	}
	done.Wait()
	if n := allowed.Load(); n > 20 || n < 10 { // two that meet on two rows may both be refused, never both allowed
		t.Errorf("%d of 20 were allowed", n)
	}
}

// What is known only afterwards is taken afterwards: it may leave less than nothing,
// which is waited for. A refusal says which of several allowances it was.
func TestThrottleOfWhatWasUsed(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	throttle := account.Throttle{DB: pgtest.As(t, db, postgres.System)}
	tokens := account.Ask{Key: account.ThrottleKey("tokens", "ann"), Rate: account.Rate{Burst: 100, Every: time.Second}}
	requests := account.Ask{Key: account.ThrottleKey("requests", "ann"), Rate: account.Rate{Burst: 1000, Every: time.Second}}
	try := func() *account.Refusal {
		t.Helper()
		refusal, err := throttle.Try(t.Context(), requests, tokens)
		if err != nil {
			t.Fatal(err)
		}
		return refusal
	}
	take := func(n int64) {
		t.Helper()
		if err := throttle.Take(t.Context(), n, tokens); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	take(98) // the first of all: there is no row yet
	if r := try(); r != nil {
		t.Fatalf("99 of 100: %+v", r)
	}
	take(50)
	if r := try(); r == nil || r.Key != tokens.Key || r.Wait < 45*time.Second-time.Since(begun) || r.Wait > 51*time.Second {
		t.Errorf("149 of 100: %+v", r)
	}
	later(t, db, time.Minute)
	if r := try(); r != nil {
		t.Errorf("a minute later: %+v", r)
	}
}
