package access

import (
	"context"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// instant is a database that answers at once, so that only the gate's own work is
// measured.
type instant struct{ postgres.Querier }

func (instant) QueryRow(context.Context, string, ...any) pgx.Row { return someone{} }

type someone struct{}

func (someone) Scan(to ...any) error {
	for i, text := range []string{"in_1", "org_1", "user_1"} {
		*to[i].(*string) = text
	}
	*to[3].(*account.Role) = account.Owner
	return nil
}

// BenchmarkAdmit is what a request pays for being somebody's, beside one indexed
// read: at most 5 µs of a processor.
func BenchmarkAdmit(b *testing.B) {
	g := newGate(instant{}, tokens(b, newKey, oldKey), nil)
	r := &rig{Gate: g, t: b}
	secret := account.NewSecret()
	rotated := &rig{Gate: newGate(instant{}, tokens(b, oldKey), nil), t: b}
	for name, q := range map[string]*http.Request{
		"cookie": asks(r.cookie(secret)), "bearer": asks(nil, r.bearer(secret)), "cookie-of-the-old-key": asks(rotated.cookie(secret)),
	} {
		b.Run(name, func(b *testing.B) { measure(b, g, q) })
	}
}

// BenchmarkAdmitWithDatabase is the same with the read, on this machine.
func BenchmarkAdmitWithDatabase(b *testing.B) {
	db := pgtest.New(b)
	r := &rig{Gate: New(pgtest.As(b, db, postgres.Tenant), tokens(b, newKey), hasher(b)), t: b, db: db}
	secret := r.person(account.Owner)
	cred := r.credential("cred_1", "", account.ReadCourses)
	for name, q := range map[string]*http.Request{
		"cookie": asks(r.cookie(secret)), "credential": asks(nil, "Bearer cred_1."+string(cred)),
	} {
		b.Run(name, func(b *testing.B) { measure(b, r.Gate, q) })
	}
	b.Run("the read alone", func(b *testing.B) {
		ctx := postgres.AnyOrganization(b.Context())
		q := pgtest.As(b, db, postgres.Tenant)
		var p account.Principal
		var stale bool
		for b.Loop() {
			if err := q.QueryRow(ctx, `
				SELECT sign_in_id, organization_id, user_id, role, seen_at < now() - interval '5 minutes'
				FROM find_sign_in($1)`, secret.Hash()).Scan(&p.SignIn, &p.Organization, &p.User, &p.Role, &stale); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func measure(b *testing.B, g *Gate, q *http.Request) {
	b.ReportAllocs()
	before := processor(b)
	for b.Loop() {
		if _, err := g.Admit(q, learners); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((processor(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

// processor is the time for which this process has had one: others wait for it too.
func processor(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
