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
	return func() { _ = tx.Rollback(context.Background()) }
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
	files := func(upTo int) fs.FS {
		all := fstest.MapFS{"0001_organizations.sql": {Data: []byte("-- +goose Up\nCREATE TABLE organizations (name TEXT);\n")}}
		for n := 2; n <= migrations.FirstRelease; n++ {
			all[fmt.Sprintf("%04d_x.sql", n)] = &fstest.MapFile{Data: []byte("-- +goose Up\nSELECT 1;\n")}
		}
		for n, text := range map[int]string{
			6: "-- +goose Up\nALTER TABLE organizations ADD COLUMN title TEXT;\n",
			7: "-- contract of 0006: nobody reads the name any more\n-- +goose Up\nALTER TABLE organizations DROP COLUMN name;\n",
		} {
			if n <= upTo {
				all[fmt.Sprintf("%04d_x.sql", n)] = &fstest.MapFile{Data: []byte(text)}
			}
		}
		return all
	}
	up := func(db *pgxpool.Pool, upTo int) error {
		return migrations.UpOf(t.Context(), db, files(upTo), time.Second)
	}
	for name, c := range map[string]struct {
		at    int // where the database is
		sql   string
		hasty bool
	}{
		"a fresh one":               {0, "", false},
		"interrupted at the first":  {3, "", false},
		"interrupted, nobody in it": {5, "", false},
		"people work with it":       {5, "INSERT INTO organizations VALUES ('o')", true},
		"they have had a release":   {6, "INSERT INTO organizations VALUES ('o')", false},
		"they have it behind them":  {7, "INSERT INTO organizations VALUES ('o')", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := owner(t, pgtest.Empty(t))
			if c.at > 0 {
				of := files(c.at).(fstest.MapFS)
				for n := c.at + 1; n <= migrations.FirstRelease; n++ {
					delete(of, fmt.Sprintf("%04d_x.sql", n))
				}
				if err := migrations.UpOf(t.Context(), db, of, time.Second); err != nil {
					t.Fatal(err)
				}
			}
			if c.sql != "" && c.at < 7 {
				if _, err := db.Exec(t.Context(), c.sql); err != nil {
					t.Fatal(err)
				}
			}
			err := up(db, 7)
			if v := version(t, db); c.hasty != (err != nil) || c.hasty && v != c.at || !c.hasty && v != 7 {
				t.Errorf("version %d, %v", v, err)
			}
			if !c.hasty {
				return
			}
			if err := up(db, 6); err != nil {
				t.Fatal(err)
			}
			if err := up(db, 7); err != nil || version(t, db) != 7 {
				t.Errorf("after a release: version %d, %v", version(t, db), err)
			}
		})
	}
}
