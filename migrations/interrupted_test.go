package migrations_test

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/migrations"
)

func owner(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	return pgtest.Open(t, url, postgres.Options{Role: postgres.Owner})
}

// version is the newest migration that is noted; -1: there is nothing to note it in.
func version(t *testing.T, db *pgxpool.Pool) (n int) {
	t.Helper()
	n = -1
	var there bool
	err := db.QueryRow(t.Context(), `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&there)
	if err == nil && there {
		err = db.QueryRow(t.Context(), `SELECT coalesce(max(version_id), 0) FROM goose_db_version`).Scan(&n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// interrupted migrates a database, and loses its connection at each request in
// turn: each time it is begun again with what the time before has left. Where a
// migration can be begun again it comes to an end, and to the same one.
func interrupted(t *testing.T, url string, files fs.FS, after bool) (*pgxpool.Pool, []string, error) {
	t.Helper()
	db := owner(t, url)
	wire := pgtest.NewWire(t, url)
	pool := owner(t, wire.URL())
	var cut []string
	at, reached := 1, -1
	for range 2000 {
		wire.Cut(at, after, nil)
		err := migrations.UpOf(t.Context(), pool, files, 10*time.Second)
		was, seen := wire.WasCut()
		switch {
		case err == nil && !was:
			return db, cut, nil
		case err == nil:
			return db, cut, fmt.Errorf("it did not notice the cut at %q", seen[len(seen)-1])
		case !was && len(cut) > 0:
			return db, cut, fmt.Errorf("after a cut at %q: %w", cut[len(cut)-1], err)
		case !was:
			return db, cut, err
		}
		cut = append(cut, seen[len(seen)-1])
		awaitGone(t, db)
		at++
		if v := version(t, db); v > reached { // the next run does not do these again
			at, reached = 1, v
		}
	}
	return db, cut, fmt.Errorf("it never ends; the last cut was at %q", cut[len(cut)-1])
}

// awaitGone waits until the server has noticed that the migration's connection is cut.
func awaitGone(t *testing.T, db *pgxpool.Pool) {
	t.Helper()
	for {
		var n int
		err := db.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
			AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// F35: a migration that is interrupted, at whichever statement, is begun again, and the
// schema is the one that it would have been.
func TestInterruptedAtEveryStatement(t *testing.T) {
	t.Parallel()
	db := owner(t, pgtest.Empty(t))
	if err := migrations.Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	want := catalogue(t, db)
	for name, after := range map[string]bool{"before it is done": false, "after it is done": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			again, cut, err := interrupted(t, pgtest.Empty(t), migrations.Files, after)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, catalogue(t, again)); diff != "" {
				t.Error(diff)
			}
			for _, statement := range statements(t) {
				if !slices.Contains(cut, statement) {
					t.Errorf("it was not cut at %.60q", statement)
				}
			}
			t.Logf("cut %d times", len(cut))
		})
	}
}

// statements are those of all migrations, as they are sent: the text between two
// annotations, or up to a semicolon at a line's end.
func statements(t *testing.T) []string {
	t.Helper()
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range names {
		text, err := fs.ReadFile(migrations.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, split(string(text))...)
	}
	if len(all) < 100 {
		t.Fatalf("only %d statements are found", len(all))
	}
	return all
}

func split(text string) (statements []string) {
	var statement strings.Builder
	whole := false
	for line := range strings.Lines(text) {
		bare := strings.TrimSpace(line)
		code, _, _ := strings.Cut(bare, " --")
		switch {
		case strings.HasPrefix(bare, "-- +goose StatementBegin"):
			whole = true
			continue
		case strings.HasPrefix(bare, "-- +goose StatementEnd"):
			whole = false
			statements = append(statements, strings.TrimSpace(statement.String()))
			statement.Reset()
			continue
		case statement.Len() == 0 && (bare == "" || strings.HasPrefix(bare, "--")):
			continue
		}
		statement.WriteString(line)
		if !whole && strings.HasSuffix(strings.TrimSpace(code), ";") {
			statements = append(statements, strings.TrimSpace(statement.String()))
			statement.Reset()
		}
	}
	return statements
}

// planted adds a migration, or none, to a schema of one table.
func planted(text string) fs.FS {
	files := fstest.MapFS{
		"0001_birds.sql": {Data: []byte("-- +goose Up\nCREATE TABLE birds (name TEXT, wings INT);\nINSERT INTO birds VALUES ('owl', 2), ('crow', 2);\n")},
	}
	if text != "" {
		files["0002_more.sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

const concurrently = `-- +goose Up
-- +goose NO TRANSACTION
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS birds_name;
CREATE INDEX CONCURRENTLY birds_name ON birds (name);
ALTER TABLE birds ADD COLUMN IF NOT EXISTS eggs BIGINT NOT NULL DEFAULT 0;
RESET lock_timeout;
`

// The test above is shown to find what it looks for.
func TestPlantedInterruptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"each statement can be done again": {concurrently, true},
		"a transaction":                    {"-- +goose Up\nCREATE INDEX birds_name ON birds (name);\nALTER TABLE birds ADD COLUMN eggs BIGINT;\n", true},
		"an index twice":                   {"-- +goose Up\n-- +goose NO TRANSACTION\nCREATE INDEX CONCURRENTLY birds_name ON birds (name);\nSELECT 1;\n", false},
		"a column twice":                   {"-- +goose Up\n-- +goose NO TRANSACTION\nALTER TABLE birds ADD COLUMN eggs BIGINT;\nSELECT 1;\n", false},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/after %t", name, after), func(t *testing.T) {
				t.Parallel()
				whole := owner(t, pgtest.Empty(t))
				if err := migrations.UpOf(t.Context(), whole, planted(c.text), 10*time.Second); err != nil {
					t.Fatal(err)
				}
				url := pgtest.Empty(t)
				if err := migrations.UpOf(t.Context(), owner(t, url), planted(""), 10*time.Second); err != nil {
					t.Fatal(err)
				}
				db, _, err := interrupted(t, url, planted(c.text), after)
				if !c.ok {
					if err == nil || !strings.Contains(err.Error(), "already exists") || !strings.Contains(err.Error(), "0002_more.sql") {
						t.Errorf("it was not found: %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(catalogue(t, whole), catalogue(t, db)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}
