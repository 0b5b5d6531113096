package account_test

import (
	"context"
	"encoding/base64"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
)

// cheap is the least that Argon2id can cost.
var cheap = account.HashCost{MemoryKiB: 8, Iterations: 1, Lanes: 1}

func newHasher(t testing.TB, o account.HashOptions) *account.Hasher {
	t.Helper()
	h, err := account.NewHasher(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// F63: what was set is what is asked for, byte by byte.
func TestPasswordsCountByteByByte(t *testing.T) {
	t.Parallel()
	h := newHasher(t, account.HashOptions{Cost: cheap})
	long := strings.Repeat("x", 255)
	for name, c := range map[string]struct{ set, other string }{
		"space before":          {" correct horse", "correct horse"},
		"space after":           {"correct horse ", "correct horse"},
		"newline after":         {"correct horse\n", "correct horse"},
		"case":                  {"Correct Horse", "correct horse"},
		"composed, decomposed":  {"caf\u00e9 au lait", "cafe\u0301 au lait"},
		"compatibility forms":   {"\ufb01nest hour", "finest hour"},
		"NUL":                   {"correct\x00horse", "correct\x00house"},
		"emoji with skin":       {"wave \U0001F44B\U0001F3FD wave", "wave \U0001F44B wave"},
		"72 bytes and more":     {strings.Repeat("a", 72) + "b", strings.Repeat("a", 72) + "c"},
		"the 256th character":   {long + "y", long + "z"},
		"a megabyte's last one": {strings.Repeat("m", 1<<20) + "1", strings.Repeat("m", 1<<20) + "2"},
		"empty":                 {"", " "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hash, err := h.Hash(t.Context(), c.set)
			if err != nil {
				t.Fatal(err)
			}
			if ok, rehash, err := h.Verify(t.Context(), c.set, hash); !ok || rehash || err != nil {
				t.Errorf("the same: %t, %t, %v", ok, rehash, err)
			}
			if ok, rehash, err := h.Verify(t.Context(), c.other, hash); ok || rehash || err != nil {
				t.Errorf("another: %t, %t, %v", ok, rehash, err)
			}
		})
	}
}

func TestPasswordsOfAnyBytes(t *testing.T) {
	t.Parallel()
	h := newHasher(t, account.HashOptions{Cost: cheap})
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "password")
		b := append([]byte(nil), a...)
		if len(b) > 0 {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "place")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		} else {
			b = append(b, 0)
		}
		hash, err := h.Hash(context.Background(), string(a))
		if err != nil {
			t.Fatal(err)
		}
		if ok, _, err := h.Verify(context.Background(), string(a), hash); !ok || err != nil {
			t.Fatalf("the same: %t, %v", ok, err)
		}
		if ok, _, err := h.Verify(context.Background(), string(b), hash); ok || err != nil {
			t.Fatalf("one bit off: %t, %v", ok, err)
		}
	})
}

func TestSaltIsNew(t *testing.T) {
	t.Parallel()
	h := newHasher(t, account.HashOptions{Cost: cheap})
	a, _ := h.Hash(t.Context(), "correct horse")
	b, _ := h.Hash(t.Context(), "correct horse")
	if a == b || !strings.HasPrefix(a, "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Errorf("%s and %s", a, b)
	}
}

// F64: a hash that would cost too much, or that is not one, costs nothing.
func TestForeignHashesAreRefused(t *testing.T) { // not parallel: it measures what is allocated
	h := newHasher(t, account.HashOptions{Cost: cheap})
	salt, key := base64.RawStdEncoding.EncodeToString(make([]byte, 16)), base64.RawStdEncoding.EncodeToString(make([]byte, 32))
	phc := func(version, cost, salt, key string) string {
		return "$argon2id$v=" + version + "$" + cost + "$" + salt + "$" + key
	}
	bytes := func(n int) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }
	for name, hash := range map[string]string{
		"4 GiB":                   phc("19", "m=4194304,t=1,p=1", salt, key),
		"more than the budget":    phc("19", "m=131080,t=1,p=1", salt, key),
		"4 billion passes":        phc("19", "m=8,t=4294967295,p=1", salt, key),
		"much memory, many":       phc("19", "m=131072,t=9,p=1", salt, key),
		"no pass":                 phc("19", "m=8,t=0,p=1", salt, key),
		"no lane":                 phc("19", "m=8,t=1,p=0", salt, key),
		"255 lanes":               phc("19", "m=19456,t=2,p=255", salt, key),
		"too little memory":       phc("19", "m=7,t=1,p=1", salt, key),
		"no memory":               phc("19", "m=0,t=1,p=1", salt, key),
		"wrong version":           phc("16", "m=8,t=1,p=1", salt, key),
		"no salt":                 phc("19", "m=8,t=1,p=1", "", key),
		"short salt":              phc("19", "m=8,t=1,p=1", bytes(7), key),
		"long salt":               phc("19", "m=8,t=1,p=1", bytes(65), key),
		"no key":                  phc("19", "m=8,t=1,p=1", salt, ""),
		"short key":               phc("19", "m=8,t=1,p=1", salt, bytes(15)),
		"long key":                phc("19", "m=8,t=1,p=1", salt, bytes(65)),
		"a megabyte":              phc("19", "m=8,t=1,p=1", salt, bytes(1<<20)),
		"padded":                  phc("19", "m=8,t=1,p=1", salt+"==", key),
		"more behind the cost":    phc("19", "m=8,t=1,p=1x", salt, key),
		"more behind the version": phc("19x", "m=8,t=1,p=1", salt, key),
		"a sign":                  phc("19", "m=+8,t=1,p=1", salt, key),
		"leading zeros":           phc("19", "m=008,t=1,p=1", salt, key),
		"spaces":                  phc("19", "m= 8,t=1,p=1", salt, key),
		"other order":             phc("19", "t=1,m=8,p=1", salt, key),
		"Argon2i":                 "$argon2i$v=19$m=8,t=1,p=1$" + salt + "$" + key,
		"bcrypt":                  "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"empty":                   "",
		"the password itself":     "correct horse",
		"behind a prefix":         "x" + phc("19", "m=8,t=1,p=1", salt, key),
		"with a part more":        phc("19", "m=8,t=1,p=1", salt, key) + "$",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			ok, rehash, err := h.Verify(t.Context(), "correct horse", hash)
			runtime.ReadMemStats(&after)
			if ok || rehash || err == nil || fault.KindOf(err) != fault.Internal {
				t.Errorf("%t, %t, %v", ok, rehash, err)
			}
			if spent := after.TotalAlloc - before.TotalAlloc; spent > 1<<20 {
				t.Errorf("%d bytes were allocated", spent)
			}
			if err != nil && hash != "" && strings.Contains(err.Error(), hash) {
				t.Error("the error repeats the hash")
			}
		})
	}
}

// Hashes of earlier days are still taken, and renewed.
func TestEarlierCostsAskForANewHash(t *testing.T) {
	t.Parallel()
	today := newHasher(t, account.HashOptions{Cost: account.HashCost{MemoryKiB: 32, Iterations: 2, Lanes: 1}})
	for _, cost := range []account.HashCost{
		cheap,
		{MemoryKiB: 32, Iterations: 1, Lanes: 1},
		{MemoryKiB: 64, Iterations: 2, Lanes: 1},
		{MemoryKiB: 32, Iterations: 2, Lanes: 2},
	} {
		hash, err := newHasher(t, account.HashOptions{Cost: cost}).Hash(t.Context(), "correct horse")
		if err != nil {
			t.Fatal(err)
		}
		if ok, rehash, err := today.Verify(t.Context(), "correct horse", hash); !ok || !rehash || err != nil {
			t.Errorf("%+v: %t, %t, %v", cost, ok, rehash, err)
		}
		if ok, rehash, err := today.Verify(t.Context(), "wrong horse", hash); ok || rehash || err != nil {
			t.Errorf("%+v, wrong: %t, %t, %v", cost, ok, rehash, err)
		}
	}
}

// More hashes than the memory allows wait a short time, and are then told to come
// again.
func TestHashesKeepToTheirBudget(t *testing.T) {
	t.Parallel()
	heavy := account.HashCost{MemoryKiB: 1 << 10, Iterations: 200, Lanes: 1} // one fills the budget
	h := newHasher(t, account.HashOptions{Cost: heavy, BudgetMiB: 1, Wait: time.Millisecond})
	var all sync.WaitGroup
	faults := make(chan error, 32)
	for range cap(faults) {
		all.Go(func() {
			_, err := h.Hash(t.Context(), "correct horse")
			faults <- err
		})
	}
	all.Wait()
	close(faults)
	made, refused := 0, 0
	for err := range faults {
		e, unavailable := errors.AsType[*fault.Error](err)
		switch {
		case err == nil:
			made++
		case unavailable && e.Kind == fault.Unavailable && e.RetryAfter > 0:
			refused++
		default:
			t.Error(err)
		}
	}
	if made == 0 || refused == 0 {
		t.Errorf("%d were made, %d refused", made, refused)
	}
	if _, err := h.Hash(t.Context(), "correct horse"); err != nil {
		t.Errorf("once they are over: %v", err)
	}
}

func TestWhoHasLeftIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHasher(t, account.HashOptions{Cost: cheap})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Hash(ctx, "correct horse")
	_, _, verify := h.Verify(ctx, "correct horse", "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	for _, err := range []error{err, verify, h.Dummy(ctx, "correct horse")} {
		if !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
	}
}

func TestHasherThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]account.HashOptions{
		"a hash larger than the budget": {BudgetMiB: 16},
		"no memory":                     {Cost: account.HashCost{MemoryKiB: 4, Iterations: 1, Lanes: 1}},
		"a cost that is not read again": {Cost: account.HashCost{MemoryKiB: 1 << 20, Iterations: 1, Lanes: 1}, BudgetMiB: 4096},
	} {
		if _, err := account.NewHasher(o); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// OWASP's minimum is 19 MiB and two passes, with one lane.
func TestTodaysCostIsEnough(t *testing.T) {
	t.Parallel()
	if c := account.Today; c.MemoryKiB < 19<<10 || c.Iterations < 2 || c.Lanes < 1 {
		t.Errorf("%+v", c)
	}
}

func BenchmarkHash(b *testing.B) {
	h := newHasher(b, account.HashOptions{})
	hash, err := h.Hash(b.Context(), "correct horse")
	if err != nil {
		b.Fatal(err)
	}
	for name, run := range map[string]func() error{
		"hash":   func() error { _, err := h.Hash(b.Context(), "correct horse"); return err },
		"verify": func() error { _, _, err := h.Verify(b.Context(), "correct horse", hash); return err },
		"dummy":  func() error { return h.Dummy(b.Context(), "correct horse") },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
