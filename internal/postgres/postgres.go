// Package postgres is the ground for SQL: a pool with sane bounds, transactions
// that retry what the database asks to retry, and errors with a fault kind. It
// knows no table.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/puddle/v2"

	"lectern.dev/lectern/internal/fault"
)

// Querier is a pool or a transaction. Stores take one, so that several nouns can
// share a transaction.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// Beginner starts transactions: *pgxpool.Pool does.
type Beginner interface {
	Querier
	BeginTx(ctx context.Context, opts pgx.TxOptions) (pgx.Tx, error)
}

// Options bound a pool. The zero value gives what a function with few instances
// wants of a small database.
type Options struct {
	MaxConns         int32                 // 0: 4
	StatementTimeout time.Duration         // 0: 10 s
	Configure        func(*pgxpool.Config) // e.g. cloudsql's dialer
	Tracer           pgx.QueryTracer       // nil: none
	OnConnect        func(*pgx.Conn) error // nil: nothing
	Role             Role                  // whom statements are run as when their ctx names no organisation
}

// Open makes a pool for a connection string. It dials at first use, not now: a
// database that is down makes the first query fail, not the start.
func Open(ctx context.Context, url string, o Options) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parse the database URL: %w", err)
	}
	config.MaxConns = cmp.Or(o.MaxConns, 4)
	config.MaxConnIdleTime = 30 * time.Second
	config.MaxConnLifetime = 30 * time.Minute
	config.MaxConnLifetimeJitter = 5 * time.Minute
	config.PingTimeout = 2 * time.Second // without it a dead peer hangs Acquire after a CPU freeze
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	config.ConnConfig.RuntimeParams["statement_timeout"] = fmt.Sprint(cmp.Or(o.StatementTimeout, 10*time.Second).Milliseconds())
	config.ConnConfig.RuntimeParams["application_name"] = "lectern"
	config.ConnConfig.RuntimeParams["jit"] = "off" // compiling a statement takes longer than running any of ours
	config.ConnConfig.Tracer = measured(o.Tracer)
	if o.OnConnect != nil {
		config.AfterConnect = func(_ context.Context, c *pgx.Conn) error { return o.OnConnect(c) }
	}
	config.PrepareConn = o.Role.prepare
	if o.Configure != nil {
		o.Configure(config)
	}
	return pgxpool.NewWithConfig(ctx, config)
}

// attempts is how often InTx runs a transaction that the database asks to run again.
const attempts = 5

// ErrAgain is what fn gives InTx when it finds that something has changed under its
// hands, and would do better from the start.
var ErrAgain = fault.New(fault.Unavailable, "Somebody else is changing this at the same moment. Try again.")

// InTx runs fn in a transaction and commits. It runs fn again, at most five times
// in all, when Postgres reports a serialization failure or a deadlock, or fn gives
// ErrAgain, so fn must have no effect outside the transaction. Errors of fn come
// back as they are; errors of the database get a fault kind (see Fault).
func InTx(ctx context.Context, db Beginner, fn func(tx pgx.Tx) error) error {
	var err error
	for try := range attempts {
		if try > 0 {
			pause := time.Duration(1+rand.IntN(10<<try)) * time.Millisecond
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return Fault(ctx.Err())
			}
		}
		err = pgx.BeginTxFunc(ctx, db, pgx.TxOptions{}, fn)
		if !runAgain(err) {
			break
		}
	}
	return Fault(err)
}

func runAgain(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "40001" || pg.Code == "40P01") || errors.Is(err, ErrAgain)
}

// Fault gives a database error its kind: NotFound for pgx.ErrNoRows, Unavailable
// where trying again can help (no connection, too many clients, server going
// down, lock or statement timeout, ctx ended), Invalid for text that Postgres
// cannot hold. Errors that already have a kind, and nil, come back as they are.
func Fault(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.Wrap(fault.NotFound, err, "There is no such thing here.")
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pg.Code == "22021" || pg.Code == "22P05":
			return fault.Wrap(fault.Invalid, err, "The text holds a character that cannot be stored (U+0000).")
		case retryable(pg.Code):
			return unavailable(err)
		}
		return err
	}
	if unreachable(err) {
		return unavailable(err)
	}
	return err
}

// unreachable tells an error of the way to the database from one in our use of it:
// no connection came about, it broke, its time was over, or the pool is closed.
func unreachable(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if pgconn.Timeout(err) || pgconn.SafeToRetry(err) {
		return true
	}
	for _, broken := range []error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, pgconn.ErrConnClosed, puddle.ErrClosedPool,
		context.DeadlineExceeded, context.Canceled,
	} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return false
}

// retryable lists the SQLSTATEs after which the same statement may succeed later:
// class 08 connection, 53 resources, 57P operator intervention, lock and statement
// timeouts, serialization and deadlock, and a plan made stale by a migration.
// https://www.postgresql.org/docs/15/errcodes-appendix.html
func retryable(code string) bool {
	switch code {
	case "40001", "40P01", "55P03", "57014", "0A000":
		return true
	}
	return len(code) == 5 && (code[:2] == "08" || code[:2] == "53" || code[:3] == "57P")
}

func unavailable(err error) error {
	e := fault.Wrap(fault.Unavailable, err, "The database cannot be reached right now. Try again in a moment.")
	e.RetryAfter = 2 * time.Second
	return e
}
