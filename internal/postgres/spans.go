package postgres

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"

	"lectern.dev/lectern/internal/trail"
)

// spans shows statements in the trace of who asks, by what they do and the first table
// that they do it to: "SELECT jobs". Their text is in the sources, under these names;
// arguments are what people wrote, and are shown nowhere.
// https://opentelemetry.io/docs/specs/semconv/db/postgresql/
type spans struct{}

var (
	_ pgx.QueryTracer       = spans{}
	_ pgx.BatchTracer       = spans{}
	_ pgx.ConnectTracer     = spans{}
	_ pgxpool.AcquireTracer = spans{}
)

type spanKey struct{}

var system = attribute.String("db.system.name", "postgresql")

func beginCall(ctx context.Context, name string, attributes ...attribute.KeyValue) context.Context {
	inner, span := trail.Call(ctx, name, attributes...)
	if !span.Recorded() {
		return ctx
	}
	return context.WithValue(inner, spanKey{}, span)
}

func endCall(ctx context.Context, err error) {
	span, ok := ctx.Value(spanKey{}).(trail.Span)
	if !ok {
		return
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		span.Set(attribute.String("db.response.status_code", pg.Code)) // its text may quote a value
	}
	span.End(err)
}

// TraceQueryStart implements pgx.QueryTracer.
func (spans) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	if !trail.Recording(ctx) {
		return ctx
	}
	return beginCall(ctx, summary(d.SQL), system)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (spans) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryEndData) {
	endCall(ctx, d.Err)
}

// TraceBatchStart implements pgx.BatchTracer: the statements of a batch go together.
func (spans) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	if !trail.Recording(ctx) || d.Batch.Len() == 0 {
		return ctx
	}
	return beginCall(ctx, "BATCH", system, attribute.Int("db.operation.batch.size", d.Batch.Len()))
}

// TraceBatchQuery implements pgx.BatchTracer: it notes when each had its result.
func (spans) TraceBatchQuery(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	if span, ok := ctx.Value(spanKey{}).(trail.Span); ok {
		span.Event(summary(d.SQL))
	}
}

// TraceBatchEnd implements pgx.BatchTracer.
func (spans) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchEndData) {
	endCall(ctx, d.Err)
}

// TraceConnectStart implements pgx.ConnectTracer: a first request waits for it.
func (spans) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return beginCall(ctx, "connect", system)
}

// TraceConnectEnd implements pgx.ConnectTracer.
func (spans) TraceConnectEnd(ctx context.Context, d pgx.TraceConnectEndData) { endCall(ctx, d.Err) }

// TraceAcquireStart implements pgxpool.AcquireTracer.
func (spans) TraceAcquireStart(ctx context.Context, pool *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	if !trail.Recording(ctx) || !full(pool) {
		return ctx
	}
	return beginCall(ctx, "wait for a connection")
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (spans) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, d pgxpool.TraceAcquireEndData) {
	endCall(ctx, d.Err)
}

// summaries are kept by statement: there are as many as the sources have.
var (
	summaries sync.Map
	known     atomic.Int64
)

// summary is what a statement does and the first table that it does it to.
func summary(sql string) string {
	if s, ok := summaries.Load(sql); ok {
		return s.(string)
	}
	s := summarize(sql)
	if known.Add(1) <= 2000 { // should one be put together out of values, it does not stay
		summaries.Store(sql, s)
	}
	return s
}

// summarize finds the first word and the first table, or function that stands for one.
// What it takes for one is a name of ours, or nothing: no statement has a value in it.
func summarize(sql string) string {
	operation, before := "", ""
	for word := range strings.FieldsFuncSeq(sql, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '('
	}) {
		name, _, _ := strings.Cut(word, "(")
		upper := strings.ToUpper(name)
		if operation == "" {
			operation = upper
		}
		switch before {
		case "FROM", "INTO", "UPDATE", "JOIN":
			if upper != "" && upper != "UNNEST" && upper != "NOW" && upper != "OF" {
				return operation + " " + name
			}
		}
		before = upper
	}
	return operation
}
