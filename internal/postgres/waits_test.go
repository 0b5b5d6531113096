package postgres_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/logtest"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// A request that waits for a connection, since all are in use, says in its line how long;
// one that finds a free one, or opens the first, says nothing.
func TestWaitsForConnectionsAreLogged(t *testing.T) {
	t.Parallel()
	asks := make(asking, 1)
	ask, pool := smallHouse(t, asks)
	for range 2 {
		if line := ask(); line.Number("database_wait_ms") != nil {
			t.Errorf("nobody else was there: %v", line)
		}
		<-asks
	}
	held, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	<-asks
	const busy = 50 * time.Millisecond
	go func() {
		<-asks
		time.Sleep(busy)
		held.Release()
	}()
	began := time.Now()
	line := ask()
	if waited := line.Number("database_wait_ms"); waited == nil || *waited < float64(busy.Milliseconds()) || *waited > float64(time.Since(began).Milliseconds()) {
		t.Errorf("it waited for %v of %v: %v", busy, time.Since(began), line)
	}
	logtest.Bound(t, line)
}

// Without a tracer of the function's own they are measured, too.
func TestWaitsAreMeasuredAlone(t *testing.T) {
	t.Parallel()
	ask, pool := smallHouse(t, nil)
	for busy := 50 * time.Millisecond; busy < 10*time.Second; busy *= 2 {
		held, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(busy, held.Release)
		if ask().Number("database_wait_ms") != nil {
			return
		}
	}
	t.Error("no wait is in the log")
}

// smallHouse is a handler that asks the database, by a pool of one connection.
func smallHouse(t *testing.T, tracer pgx.QueryTracer) (ask func() logtest.Line, pool *pgxpool.Pool) {
	t.Helper()
	pool, err := postgres.Open(t.Context(), pgtest.URL(t), postgres.Options{MaxConns: 1, Role: postgres.System, Tracer: tracer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	handler := edge.HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := pool.Exec(r.Context(), `SELECT`); err != nil {
			t.Error(err)
		}
	}), edge.Options{})
	return func() logtest.Line {
		ctx, log := logtest.Under(t.Context())
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		return log.One(t, "request")
	}, pool
}

// asking says when a connection is asked for.
type asking chan struct{}

func (asking) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (asking) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (a asking) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	a <- struct{}{}
	return ctx
}
func (asking) TraceAcquireEnd(context.Context, *pgxpool.Pool, pgxpool.TraceAcquireEndData) {}
