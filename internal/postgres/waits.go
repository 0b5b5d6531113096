package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/tally"
)

// waited is under which name the tally has how long work waited for a connection.
const waited = "database_wait_ms"

// measured is the tracer, unless it is nil, with those beside it that measure waits and
// show statements.
func measured(tracer pgx.QueryTracer) pgx.QueryTracer {
	if tracer == nil {
		return multitracer.New(waits{}, spans{})
	}
	return multitracer.New(waits{}, tracer, spans{}) // a wait begins before anything is told of it
}

// waits measures how long work waits for a connection because all of the pool's are in
// use: the sign of a pool that is too small. How long it takes to open one is no wait.
type waits struct{}

type waitKey struct{}

// full tells whether who asks has to wait: all connections are in use, or being opened
// for somebody else.
func full(pool *pgxpool.Pool) bool {
	stat := pool.Stat()
	return stat.TotalConns()-stat.IdleConns() >= stat.MaxConns()
}

func (waits) TraceAcquireStart(ctx context.Context, pool *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	if !full(pool) {
		return ctx
	}
	return context.WithValue(ctx, waitKey{}, time.Now())
}

func (waits) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireEndData) {
	if began, ok := ctx.Value(waitKey{}).(time.Time); ok {
		tally.Add(ctx, waited, max(1, time.Since(began).Milliseconds()))
	}
}

// TraceQueryStart is there because pgx takes a tracer of queries only.
func (waits) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd is there for the same reason.
func (waits) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
