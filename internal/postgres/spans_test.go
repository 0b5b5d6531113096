package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/trail"
)

// Every statement of a request that is traced is below its span, under a name that says
// what it does; values are nowhere, not even those that the database quotes.
func TestStatementsAreShownWithoutTheirValues(t *testing.T) {
	t.Parallel()
	seen := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(seen)).Tracer("test")
	db, err := postgres.Open(t.Context(), pgtest.URL(t), postgres.Options{MaxConns: 1, Role: postgres.Owner})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	ctx, request := tracer.Start(t.Context(), "POST /")
	exec := func(sql string, args ...any) error {
		_, err := db.Exec(ctx, sql, args...)
		return err
	}
	for _, err := range []error{
		exec(`CREATE TABLE accounts (name TEXT PRIMARY KEY)`),
		exec(`INSERT INTO accounts (name) VALUES ($1)`, "secret"),
		exec(`SELECT name FROM find_nothing($1)`, "secret"),
		exec(`INSERT INTO accounts (name) VALUES ($1)`, "secret"),
		postgres.InTx(ctx, db, func(tx pgx.Tx) error {
			batch := &pgx.Batch{}
			batch.Queue(`UPDATE accounts SET name = $1`, "secret2")
			batch.Queue(`SELECT name FROM accounts WHERE name = $1 FOR UPDATE`, "secret2")
			return tx.SendBatch(ctx, batch).Close()
		}),
	} {
		t.Log(err)
	}
	if err := exec(`SELECT $1::text`, "secret"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(trail.Untraced(ctx), `UPDATE accounts SET name = 'x'`); err != nil {
		t.Fatal(err)
	}
	request.End()
	var names []string
	for _, span := range seen.Ended() {
		names = append(names, span.Name())
		if span.Name() != "POST /" && span.Parent().SpanID() != request.SpanContext().SpanID() {
			t.Errorf("%s is below %s", span.Name(), span.Parent().SpanID())
		}
		if text := fmt.Sprint(span.Name(), span.Attributes(), span.Events(), span.Status()); strings.Contains(text, "secret") || strings.Contains(text, "find_nothing(") {
			t.Errorf("it says %s", text)
		}
		if n := len(span.Events()); span.Name() == "BATCH" && (n != 2 || span.Events()[0].Name != "UPDATE accounts" || span.Events()[1].Name != "SELECT accounts") {
			t.Errorf("of the batch it says %v", span.Events())
		}
		failed := span.Status().Code == codes.Error
		code := ""
		for _, a := range span.Attributes() {
			if a.Key == "db.response.status_code" {
				code = a.Value.AsString()
			}
		}
		if failed != (code == "23505" || code == "42883") {
			t.Errorf("%s failed: %v, %q", span.Name(), failed, code)
		}
	}
	want := "connect, CREATE, INSERT accounts, SELECT find_nothing, INSERT accounts, BEGIN, BATCH, COMMIT, SELECT, POST /"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("the trace has %s\nwant          %s", got, want)
	}
}

// Who waits because all connections are in use, or being opened for others, sees it.
func TestAWaitForAConnectionIsShown(t *testing.T) {
	t.Parallel()
	seen := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(seen)).Tracer("test")
	opening, opened := make(chan struct{}), make(chan struct{})
	db, err := postgres.Open(t.Context(), pgtest.URL(t), postgres.Options{MaxConns: 1, Role: postgres.Owner, OnConnect: func(*pgx.Conn) error {
		close(opening)
		<-opened
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	ctx, request := tracer.Start(t.Context(), "POST /")
	gaveUp, giveUp := context.WithCancel(ctx)
	giveUp()
	var held *pgxpool.Conn
	other := make(chan error, 1)
	go func() {
		held, err = db.Acquire(t.Context())
		other <- err
	}()
	<-opening
	if _, err := db.Exec(gaveUp, `SELECT 1`); err == nil {
		t.Error("a connection that is not open")
	}
	close(opened)
	if err := <-other; err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(gaveUp, `SELECT 1`); err == nil {
		t.Error("a connection of nobody")
	}
	held.Release()
	request.End()
	ended := seen.Ended()
	if len(ended) != 3 {
		t.Fatalf("%v", ended)
	}
	for _, wait := range ended[:2] {
		if wait.Name() != "wait for a connection" || wait.Status().Code != codes.Error {
			t.Errorf("%v", wait)
		}
	}
}
