package account_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

func begin(t testing.TB, db postgres.Querier) account.Secret {
	t.Helper()
	secret, err := account.Begin(t.Context(), db, account.Local.User, "Owl/1.0")
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// ages are the seconds since the use of the only sign-in, and until its end.
func ages(t *testing.T, db *pgxpool.Pool) (seen, left time.Duration) {
	t.Helper()
	var s, l float64
	err := db.QueryRow(t.Context(), `
		SELECT extract(epoch FROM now() - seen_at), extract(epoch FROM expires_at - now())
		FROM sign_ins`).Scan(&s, &l)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(s * float64(time.Second)), time.Duration(l * float64(time.Second))
}

// A sign-in lives on by being used, to 90 days in all, and is written at most every
// 5 minutes; the pool is one that sees no organisation by itself.
func TestASignInThatIsUsedGoesOn(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	secret := begin(t, db)
	tenants := pgtest.As(t, db, postgres.Tenant)
	age := func(d time.Duration) {
		t.Helper()
		if _, err := db.Exec(t.Context(), `UPDATE sign_ins SET created_at = created_at - $1::interval, seen_at = seen_at - $1::interval, expires_at = expires_at - $1::interval`, d); err != nil {
			t.Fatal(err)
		}
	}
	used := func() {
		t.Helper()
		if p, err := account.SignedIn(t.Context(), tenants, secret); err != nil || p.User != account.Local.User || p.Organization != account.Local.Organization || p.SignIn == "" {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	noted := func() bool { // beside the request
		t.Helper()
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			if seen, _ := ages(t, db); seen < time.Minute {
				return true
			}
			time.Sleep(10 * time.Millisecond)
		}
		return false
	}
	age(4 * time.Minute)
	used()
	time.Sleep(50 * time.Millisecond)
	if seen, _ := ages(t, db); seen < 4*time.Minute {
		t.Error("it is written within 5 minutes")
	}
	for range 4 {
		age(20 * 24 * time.Hour)
		used()
		if !noted() {
			t.Fatal("its use was not noted")
		}
	}
	if _, left := ages(t, db); left > 11*24*time.Hour || left < 9*24*time.Hour { // 80 of 90 days are over
		t.Errorf("it lasts %s more", left)
	}
	age(11 * 24 * time.Hour)
	if _, err := account.SignedIn(t.Context(), tenants, secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("after 91 days of use: %v", err)
	}
}

func TestASignInThatIsNotUsedEnds(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	secret := begin(t, db)
	if _, err := db.Exec(t.Context(), `UPDATE sign_ins SET expires_at = now()`); err != nil {
		t.Fatal(err)
	}
	if _, err := account.SignedIn(t.Context(), db, secret); !fault.Is(err, fault.Unauthenticated) {
		t.Error(err)
	}
	living := begin(t, db)
	if removed, err := account.Expire(t.Context(), pgtest.As(t, db, postgres.System)); err != nil || removed != 1 {
		t.Errorf("%d removed, %v", removed, err)
	}
	if _, err := account.SignedIn(t.Context(), db, living); err != nil {
		t.Error(err)
	}
}

func TestAPersonHasAHundredDevices(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	first := begin(t, db)
	second := begin(t, db)
	for range 99 {
		begin(t, db)
	}
	if _, err := account.SignedIn(t.Context(), db, first); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the oldest of 101: %v", err)
	}
	if _, err := account.SignedIn(t.Context(), db, second); err != nil {
		t.Errorf("the next: %v", err)
	}
	p, err := account.SignedIn(t.Context(), db, second)
	if err != nil {
		t.Fatal(err)
	}
	if devices, err := account.Devices(t.Context(), db, p); err != nil || len(devices) != 100 {
		t.Errorf("%d devices, %v", len(devices), err)
	}
}

// What a request pays to know who asks: the read of an index beside some hashing.
func BenchmarkSignedIn(b *testing.B) {
	db := pgtest.New(b)
	secret := begin(b, db)
	tenants := pgtest.As(b, db, postgres.Tenant)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := account.SignedIn(b.Context(), tenants, secret); err != nil {
			b.Fatal(err)
		}
	}
}
