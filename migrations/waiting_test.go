package migrations_test

import (
	"context"
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/migrations"
)

// Whoever comes second waits for the first, and then finds nothing to do.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]fs.FS{"Lectern's": migrations.Files, "an index CONCURRENTLY": planted(concurrently)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alone := owner(t, pgtest.Empty(t))
			if err := migrations.UpOf(t.Context(), alone, files, 10*time.Second); err != nil {
				t.Fatal(err)
			}
			url := pgtest.Empty(t)
			done := make(chan error, 3)
			for range cap(done) {
				go func() {
					done <- migrations.UpOf(context.WithoutCancel(t.Context()), owner(t, url), files, 10*time.Second)
				}()
			}
			for range cap(done) {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(catalogue(t, alone), catalogue(t, owner(t, url))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// hold has a transaction that looks at a table until the returned func is called.
func hold(t *testing.T, db *pgxpool.Pool, table string) (letGo func()) {
	t.Helper()
	tx, err := db.BeginTx(context.Background(), pgx.TxOptions{})
	if err == nil {
		_, err = tx.Exec(t.Context(), `LOCK TABLE `+table+` IN ACCESS SHARE MODE`)
	}
	if err != nil {
		t.Fatal(err)
	}
	letGo = func() { _ = tx.Rollback(context.Background()) }
	t.Cleanup(letGo)
	return letGo
}

// A migration that waits behind somebody's long query has everybody else wait behind
// itself: it lets go, again and again, until the query has ended.
func TestNobodyWaitsBehindAMigration(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	db := owner(t, url)
	if err := migrations.UpOf(t.Context(), db, planted(""), time.Second); err != nil {
		t.Fatal(err)
	}
	letGo := hold(t, db, "birds")
	const alter = "ALTER TABLE birds ADD COLUMN eggs BIGINT;"
	wire := pgtest.NewWire(t, url)
	done := make(chan error, 1)
	go func() {
		done <- migrations.UpOf(context.WithoutCancel(t.Context()), owner(t, wire.URL()), planted("-- +goose Up\n"+alter+"\n"), 20*time.Millisecond)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for tries := 1; tries <= 4; tries++ { // it comes again, and everybody else is answered meanwhile
		for wire.Asked(alter) < tries && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		if _, err := db.Exec(ctx, `SELECT FROM birds`); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-done:
		t.Fatalf("it has ended while the table was held: %v", err)
	default:
	}
	letGo()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if v := version(t, db); v != 2 {
		t.Errorf("version %d", v)
	}
}

// await asks until the answer is yes.
func await(t *testing.T, db *pgxpool.Pool, question string) {
	t.Helper()
	for yes := false; !yes; time.Sleep(time.Millisecond) {
		if err := db.QueryRow(t.Context(), question).Scan(&yes); err != nil {
			t.Fatal(err)
		}
	}
}

// An index that is being made CONCURRENTLY waits for those who look at the table, as
// long as it takes: nobody stands behind it. Where it is interrupted in that, what it
// leaves behind is not taken for an index.
func TestInterruptedIndex(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	db := owner(t, url)
	if err := migrations.UpOf(t.Context(), db, planted(""), time.Second); err != nil {
		t.Fatal(err)
	}
	writer, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Exec(t.Context(), `UPDATE birds SET wings = 2`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = writer.Rollback(context.Background()) })
	ctx, kill := context.WithCancel(context.WithoutCancel(t.Context()))
	defer kill()
	done := make(chan error, 1)
	go func() { done <- migrations.UpOf(ctx, owner(t, url), planted(concurrently), 20*time.Millisecond) }()
	const building = `SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('birds_name') AND NOT indisvalid)`
	await(t, db, building)
	for range 5 { // it is not given up for the lock timeout
		time.Sleep(20 * time.Millisecond)
		await(t, db, building)
	}
	kill()
	if err := <-done; err == nil {
		t.Fatal("it was not interrupted")
	}
	await(t, db, building)
	go func() {
		done <- migrations.UpOf(context.WithoutCancel(t.Context()), owner(t, url), planted(concurrently), 20*time.Millisecond)
	}()
	if err := writer.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	whole := owner(t, pgtest.Empty(t))
	if err := migrations.UpOf(t.Context(), whole, planted(concurrently), time.Second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(catalogue(t, whole), catalogue(t, db)); diff != "" {
		t.Error(diff)
	}
}

// The binaries of before go on with a newer schema, and so does their migrate.
func TestOlderMigrateOnNewerSchema(t *testing.T) {
	t.Parallel()
	db := owner(t, pgtest.Empty(t))
	for range 2 {
		if err := migrations.UpOf(t.Context(), db, planted(concurrently), time.Second); err != nil {
			t.Fatal(err)
		}
		if err := migrations.UpOf(t.Context(), db, planted(""), time.Second); err != nil || version(t, db) != 2 {
			t.Fatalf("version %d, %v", version(t, db), err)
		}
	}
}

// What is replaced is not taken away in the same release, unless nobody is served yet.
func TestContractWaitsForARelease(t *testing.T) {
	t.Parallel()
	const first, expand, contract = migrations.FirstRelease, migrations.FirstRelease + 1, migrations.FirstRelease + 2
	files := func(upTo int) fs.FS {
		all := fstest.MapFS{}
		for n := 1; n <= upTo; n++ {
			text := "-- +goose Up\nSELECT 1;\n"
			switch n {
			case 1:
				text = "-- +goose Up\nCREATE TABLE organizations (name TEXT);\n"
			case expand:
				text = "-- +goose Up\nALTER TABLE organizations ADD COLUMN title TEXT;\n"
			case contract:
				text = fmt.Sprintf("-- contract of %04d: nobody reads the name any more\n-- +goose Up\nALTER TABLE organizations DROP COLUMN name;\n", expand)
			}
			all[fmt.Sprintf("%04d_x.sql", n)] = &fstest.MapFile{Data: []byte(text)}
		}
		return all
	}
	up := func(t *testing.T, db *pgxpool.Pool, upTo int) error {
		return migrations.UpOf(t.Context(), db, files(upTo), time.Second)
	}
	for name, c := range map[string]struct {
		at             int // where the database is
		served, refuse bool
	}{
		"a fresh one":               {0, false, false},
		"interrupted at the first":  {3, true, false}, // the first migrations make a row and delete it
		"interrupted, nobody in it": {first, false, false},
		"people work with it":       {first, true, true},
		"they have had a release":   {expand, true, false},
		"they have it behind them":  {contract, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := owner(t, pgtest.Empty(t))
			if c.at > 0 {
				if err := up(t, db, min(c.at, expand)); err != nil {
					t.Fatal(err)
				}
			}
			if c.served {
				if _, err := db.Exec(t.Context(), `INSERT INTO organizations VALUES ('o')`); err != nil {
					t.Fatal(err)
				}
			}
			if c.at == contract {
				if err := up(t, db, contract); err != nil {
					t.Fatal(err)
				}
			}
			err := up(t, db, contract)
			if !c.refuse {
				if v := version(t, db); err != nil || v != contract {
					t.Errorf("version %d, %v", v, err)
				}
				return
			}
			if v := version(t, db); err == nil || v != c.at {
				t.Fatalf("it is not refused: version %d, %v", v, err)
			}
			for _, to := range []int{expand, contract} { // a release after the other
				if err := up(t, db, to); err != nil || version(t, db) != to {
					t.Errorf("version %d, %v", version(t, db), err)
				}
			}
		})
	}
}
