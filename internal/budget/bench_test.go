package budget_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// counter counts statements.
type counter struct{ atomic.Int64 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.Add(1)
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *counter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (c *counter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) { c.Add(1) }

func (c *counter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// counted is a house whose statements are counted.
func counted(t testing.TB) (*house, *counter) {
	t.Helper()
	h, c := newHouse(t, 1<<50), new(counter)
	db, err := postgres.Open(t.Context(), h.db.Config().ConnString(), postgres.Options{MaxConns: 1, Role: postgres.System, Tracer: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	h.DB = db
	return h, c
}

// A call costs two statements: one before it, one after it.
func TestStatementsOfACall(t *testing.T) {
	t.Parallel()
	h, statements := counted(t)
	ctx := account.With(t.Context(), account.Local)
	for i := range 3 {
		statements.Store(0)
		r, err := h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 10})
		if err != nil {
			t.Fatal(err)
		}
		r.Settle(ctx, budget.Units{Input: 5})
		if n := statements.Load(); i > 0 && n != 2 { // the first sets the connection to its organization
			t.Errorf("%d statements", n)
		}
	}
}

func BenchmarkReserveSettle(b *testing.B) {
	h, statements := counted(b)
	ctx := account.With(b.Context(), account.Local)
	for b.Loop() {
		r, err := h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 10})
		if err != nil {
			b.Fatal(err)
		}
		r.Settle(ctx, budget.Units{Input: 5})
	}
	b.ReportMetric(float64(statements.Load())/float64(b.N), "statements/op")
}

// A streamed answer costs two statements, however many pieces it has.
func BenchmarkStream(b *testing.B) {
	h, statements := counted(b)
	ctx := account.With(b.Context(), account.Local)
	m := &budget.Streamer{Ledger: h.Ledger, Streamer: &llm.Fake{Answer: func(llm.Request) (llm.Response, error) {
		return llm.Response{Text: strings.Repeat("word ", 200)}, nil
	}}}
	for b.Loop() {
		if err := stream(ctx, m, ask("Hello", 1000)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(statements.Load())/float64(b.N), "statements/op")
}

func BenchmarkMonth(b *testing.B) {
	db := pgtest.New(b)
	l := &budget.Ledger{DB: db}
	ctx := account.With(b.Context(), account.Local)
	for b.Loop() {
		if _, err := l.Month(ctx, account.Local.Organization); err != nil {
			b.Fatal(err)
		}
	}
}
