// Package migrations holds the database's schema as numbered files and brings a
// database up to date.
//
// # Rules for a migration
//
// The binaries of the release before work with the new schema for as long as it takes to
// bring the new ones into traffic, and again after a roll-back. So a migration expands:
// new tables, new columns with a default or without NOT NULL, new indexes. What is no
// longer used goes in a later release, by a contract: a file that begins with
// "-- contract of 0006", the migration that made its replacement. Up refuses to run both
// at once. There is no way down: a mistake is mended by the next migration.
//
// A migration is one transaction, so that one that is interrupted has done nothing. What
// Postgres does not do in a transaction, above all CREATE INDEX CONCURRENTLY, stands in a
// file of its own with "-- +goose NO TRANSACTION", in which each statement can be done
// again: it is, from the first one, when the file was interrupted. An index that was
// interrupted is there and not valid, so each is dropped before it is made.
//
// Nobody waits behind a migration: one that does not get its lock within seconds lets go
// and tries again. A large table is neither rewritten nor scanned under a lock: constraints
// are NOT VALID first and validated in the next file, indexes are made CONCURRENTLY, rows
// are filled in a file of their own.
//
// The tests of this package hold every migration after the first release to all of this.
package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed *.sql
var files embed.FS

// pace is how a migration waits.
type pace struct {
	lockTimeout time.Duration // for a lock on a table, while everybody else stands behind it
	pause       time.Duration // before the next try, at first
	patience    time.Duration // from the first try to the last
}

var unhurried = pace{lockTimeout: 3 * time.Second, pause: time.Second, patience: 15 * time.Minute}

// Up applies what is missing, one process at a time: an advisory lock in the
// database keeps others waiting. What was interrupted is begun again where it stood.
func Up(ctx context.Context, pool *pgxpool.Pool) error {
	return up(ctx, pool, files, unhurried)
}

// up tries again for as long as somebody else's long statement has the table.
func up(ctx context.Context, pool *pgxpool.Pool, files fs.FS, p pace) error {
	begun := time.Now()
	for pause := p.pause; ; pause = min(2*pause, 30*time.Second) {
		err := apply(ctx, pool, files, p.lockTimeout)
		if !busy(err) || time.Since(begun) > p.patience {
			return err
		}
		slog.WarnContext(ctx, "a migration did not get its lock and tries again", "error", err.Error(), "pause_seconds", pause.Seconds())
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// busy tells that a lock was not to be had in time, or that waiting for it would never
// have ended.
func busy(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "55P03" || pg.Code == "40P01")
}

func apply(ctx context.Context, pool *pgxpool.Pool, files fs.FS, lockTimeout time.Duration) error {
	config := pool.Config().ConnConfig
	for setting, value := range map[string]time.Duration{
		"lock_timeout":                        lockTimeout,
		"client_connection_check_interval":    2 * time.Second, // a process that was killed does not keep its locks to the end of a long statement
		"idle_in_transaction_session_timeout": time.Minute,     // nor one whose machine has gone
	} {
		config.RuntimeParams[setting] = fmt.Sprint(value.Milliseconds())
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // nothing is asked twice
	db := stdlib.OpenDB(*config)
	defer db.Close()
	db.SetMaxIdleConns(0) // each step begins with the settings above
	// It asks again and again and does not stand in a queue: CREATE INDEX CONCURRENTLY
	// waits for all who stand in one, and they for it.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 3600))
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	if err := refuseHaste(ctx, db, provider, files); err != nil {
		return err
	}
	applied, err := provider.Up(ctx)
	if partial, ok := errors.AsType[*goose.PartialError](err); ok {
		applied = partial.Applied
		err = fmt.Errorf("%s: %w", filepath.Base(partial.Failed.Source.Path), err)
	}
	for _, one := range applied {
		slog.InfoContext(ctx, "migrated", "file", filepath.Base(one.Source.Path), "seconds", one.Duration.Seconds())
	}
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}
