package migrations_test

import (
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/migrations"
)

// What an old binary would stumble over, by the thing's name: "courses.title". Where the
// author knows better, the migration says so: "-- old binary: courses.title: why it goes on".
func stumbles(before, after []object) map[string]string {
	found := map[string]string{}
	then, now := byKey(before), byKey(after)
	oldTable := func(table string) bool { _, there := then["table "+table+" "]; return there }
	for key, was := range then {
		is, there := now[key]
		name := strings.Trim(was.Table+"."+was.Name, ".")
		unique := was.Kind == "index" && strings.HasPrefix(was.Detail, "CREATE UNIQUE")
		switch {
		case was.Kind == "goose", was.Kind == "index" && !unique, was.Kind == "function" && there, was.Kind == "constraint" && !there && !strings.Contains(was.Detail, "KEY"):
		case !there && was.Kind == "right":
			found[name] = "this right is taken away"
		case !there:
			found[name] = "this " + was.Kind + " is gone"
		case was.Detail == is.Detail:
		case was.Kind == "column" && !typeChanged(was, is) && !(demands(is) && !demands(was)):
		case was.Kind == "constraint" && was.Detail == is.Detail+" not validated":
		default:
			found[name] = fmt.Sprintf("this %s was %q and is %q", was.Kind, was.Detail, is.Detail)
		}
	}
	for key, is := range now {
		if _, there := then[key]; there || !oldTable(is.Table) {
			continue
		}
		name := is.Table + "." + is.Name
		switch {
		case is.Kind == "column" && demands(is):
			found[name] = "rows of a binary that does not know it have no value for it: give it a default, or leave NOT NULL to a contract"
		case is.Kind == "constraint" && !onNewColumns(is, then), is.Kind == "index" && strings.HasPrefix(is.Detail, "CREATE UNIQUE") && !onNewColumns(is, then):
			found[name] = "an old binary's rows may be against this " + is.Kind
		case is.Kind == "trigger", is.Kind == "policy":
			found[name] = "an old binary does not expect this " + is.Kind
		}
	}
	return found
}

func byKey(objects []object) map[string]object {
	all := map[string]object{}
	for _, o := range objects {
		all[o.Kind+" "+o.Table+" "+o.Name] = o
	}
	return all
}

func typeChanged(was, is object) bool {
	end := regexp.MustCompile(` (not null|identity|generated|default)( .*)?$`)
	return end.ReplaceAllString(was.Detail, "") != end.ReplaceAllString(is.Detail, "") || strings.Contains(is.Detail, "generated") != strings.Contains(was.Detail, "generated")
}

// demands tells that an INSERT must name the column.
func demands(column object) bool {
	return strings.Contains(column.Detail, "not null") && !strings.Contains(column.Detail, "default ") && !strings.Contains(column.Detail, "identity ")
}

// onNewColumns tells that a constraint or unique index is about nothing that was there.
func onNewColumns(o object, then map[string]object) bool {
	at := strings.LastIndex(o.Detail, "on ")
	if at < 0 {
		return false
	}
	columns := strings.Fields(o.Detail[at+len("on "):])
	return len(columns) > 0 && !slices.ContainsFunc(columns, func(column string) bool {
		_, there := then["column "+o.Table+" "+column]
		return there
	})
}

// holdsUp tells which old tables a transaction wrote anew, or made an index on, while
// nobody else could use them: by the tables' files, and by their indexes.
func holdsUp(before, after []object, filesBefore, filesAfter map[string]uint32, transaction bool) map[string]string {
	found := map[string]string{}
	for table, was := range filesBefore {
		if is, there := filesAfter[table]; there && is != was {
			found[table] = "the whole table is written anew while nobody can use it"
		}
	}
	then := byKey(before)
	for key, o := range byKey(after) {
		_, there := then[key]
		if _, old := then["table "+o.Table+" "]; transaction && o.Kind == "index" && old && !there {
			found[o.Table+"."+o.Name] = "nobody can write while this index is made: CREATE INDEX CONCURRENTLY, in a file of its own"
		}
	}
	return found
}

func tableFiles(t *testing.T, db *pgxpool.Pool) map[string]uint32 {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT relname::text, relfilenode FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]uint32{}
	var table string
	var file uint32
	_, err = pgx.ForEachRow(rows, []any{&table, &file}, func() error { all[table] = file; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// judge runs the newest of some migrations, and tells what is wrong with it.
func judge(t *testing.T, files fs.FS, before fs.FS, newest string) map[string]string {
	t.Helper()
	text, err := fs.ReadFile(files, newest)
	if err != nil {
		t.Fatal(err)
	}
	db := owner(t, pgtest.Empty(t))
	if before != nil {
		if err := migrations.UpOf(t.Context(), db, before, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	then, filesThen := catalogue(t, db), tableFiles(t, db)
	if err := migrations.UpOf(t.Context(), db, files, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	now := catalogue(t, db)
	found := holdsUp(then, now, filesThen, tableFiles(t, db), !strings.Contains(string(text), "-- +goose NO TRANSACTION"))
	if !regexp.MustCompile(`(?m)^-- contract of \d{4}\b`).Match(text) {
		maps.Copy(found, stumbles(then, now))
	}
	for _, excuse := range regexp.MustCompile(`(?m)^-- old binary: ([^:]+): .*\w`).FindAllStringSubmatch(string(text), -1) {
		if _, needed := found[excuse[1]]; !needed {
			found[excuse[1]] = "an excuse for what is not wrong"
			continue
		}
		delete(found, excuse[1])
	}
	if statements := split(string(text)); strings.Contains(string(text), "CONCURRENTLY") &&
		(statements[0] != "SET lock_timeout = 0;" || statements[len(statements)-1] != "RESET lock_timeout;") {
		found["lock_timeout"] = "what is CONCURRENTLY waits for others and holds nobody up: begin with SET lock_timeout = 0; and end with RESET lock_timeout;"
	}
	return found
}

// Every migration after the first release leaves the binaries of the release before it
// at work, and holds nobody up. See the package's rules.
func TestOldBinariesGoOn(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	before := fstest.MapFS{}
	for i, name := range names {
		text, err := fs.ReadFile(migrations.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "+goose Down") {
			t.Errorf("%s: there is no way down", name)
		}
		if of, err := migrations.Contract(name); err != nil || of > int64(i) {
			t.Errorf("%s is a contract of %d, which is not before it (%v)", name, of, err)
		}
		if i >= migrations.FirstRelease {
			up := maps.Clone(before)
			up[name] = &fstest.MapFile{Data: text}
			for thing, wrong := range judge(t, up, maps.Clone(before), name) {
				t.Errorf("%s: %s: %s", name, thing, wrong)
			}
		}
		before[name] = &fstest.MapFile{Data: text}
	}
}

// A guard that finds nothing must be shown to find something.
func TestPlantedMigrations(t *testing.T) {
	t.Parallel()
	const birds = `-- +goose Up
CREATE TABLE birds (bird_id TEXT PRIMARY KEY, name TEXT NOT NULL, wings INT NOT NULL DEFAULT 2, eggs INT, kind TEXT CHECK (kind IN ('owl', 'crow')));
CREATE TABLE nests (nest_id TEXT PRIMARY KEY, bird_id TEXT);
CREATE UNIQUE INDEX birds_name ON birds (name);
CREATE FUNCTION fly(bird TEXT) RETURNS INT LANGUAGE sql AS 'SELECT 1';
GRANT SELECT ON birds TO PUBLIC;
INSERT INTO birds VALUES ('b1', 'x', 2, 0, 'owl');
`
	for sql, want := range map[string]string{
		// Old binaries go on.
		"CREATE TABLE trees (tree_id TEXT PRIMARY KEY, bird_id TEXT NOT NULL REFERENCES birds)": "",
		"ALTER TABLE birds ADD COLUMN song TEXT":                                                "",
		"ALTER TABLE birds ADD COLUMN song TEXT NOT NULL DEFAULT '' CHECK (length(song) < 100)": "",
		"ALTER TABLE birds ALTER COLUMN name DROP NOT NULL":                                     "",
		"ALTER TABLE birds ALTER COLUMN wings SET DEFAULT 4":                                    "",
		"ALTER TABLE birds DROP CONSTRAINT birds_kind_check":                                    "",
		"CREATE OR REPLACE FUNCTION fly(bird TEXT) RETURNS INT LANGUAGE sql AS 'SELECT 2'":      "",
		"CREATE FUNCTION sing() RETURNS INT LANGUAGE sql AS 'SELECT 2'":                         "",
		"UPDATE birds SET eggs = 1":                                                             "",

		// Old binaries do not.
		"DROP TABLE nests":                                                                 "nests",
		"ALTER TABLE nests RENAME TO homes":                                                "nests",
		"ALTER TABLE birds DROP COLUMN eggs":                                               "birds.eggs",
		"ALTER TABLE birds RENAME COLUMN eggs TO clutch":                                   "birds.eggs",
		"ALTER TABLE birds ALTER COLUMN eggs TYPE BIGINT":                                  "birds.eggs",
		"ALTER TABLE birds ALTER COLUMN name TYPE VARCHAR(9)":                              "birds.name",
		"ALTER TABLE birds ALTER COLUMN eggs SET NOT NULL":                                 "birds.eggs",
		"ALTER TABLE birds ALTER COLUMN wings DROP DEFAULT":                                "birds.wings",
		"DELETE FROM birds; ALTER TABLE birds ADD COLUMN song TEXT NOT NULL":               "birds.song",
		"ALTER TABLE birds ADD CHECK (wings > 0)":                                          "birds.birds_wings_check",
		"ALTER TABLE birds ADD CHECK (wings > 0) NOT VALID":                                "birds.birds_wings_check",
		"ALTER TABLE nests ADD FOREIGN KEY (bird_id) REFERENCES birds":                     "nests.nests_bird_id_fkey",
		"ALTER TABLE birds DROP CONSTRAINT birds_kind_check, ADD CHECK (kind = 'owl')":     "birds.birds_kind_check",
		"DROP INDEX birds_name":                                                            "birds.birds_name",
		"CREATE UNIQUE INDEX nests_bird ON nests (bird_id)":                                "nests.nests_bird",
		"DROP FUNCTION fly":                                                                "fly(text)",
		"REVOKE SELECT ON birds FROM PUBLIC":                                               "birds.- SELECT",
		"ALTER TABLE birds ENABLE ROW LEVEL SECURITY":                                      "birds",
		"DO $$ BEGIN EXECUTE 'ALTER TABLE birds DROP COLUMN ' || 'eggs'; END $$":           "birds.eggs",
		"ALTER TABLE birds ADD COLUMN token UUID NOT NULL DEFAULT gen_random_uuid()":       "birds", // is written anew
		"CREATE INDEX birds_wings ON birds (wings)":                                        "birds.birds_wings",
		"-- old binary: birds.eggs: nobody has ever read it\nSELECT 1":                     "birds.eggs", // nothing is wrong with it
		"-- +goose NO TRANSACTION\nCREATE INDEX CONCURRENTLY birds_wings ON birds (wings)": "lock_timeout",

		// Who does it says why, or that it is time.
		"-- old binary: birds.eggs: nobody has ever read it\nALTER TABLE birds DROP COLUMN eggs":                                                                                       "",
		"-- contract of 0001: nothing reads eggs since\nALTER TABLE birds DROP COLUMN eggs":                                                                                            "",
		"-- +goose NO TRANSACTION\nSET lock_timeout = 0;\nDROP INDEX CONCURRENTLY IF EXISTS birds_wings;\nCREATE INDEX CONCURRENTLY birds_wings ON birds (wings);\nRESET lock_timeout": "",
	} {
		t.Run(sql, func(t *testing.T) {
			t.Parallel()
			before := fstest.MapFS{"0001_birds.sql": {Data: []byte(birds)}}
			after := maps.Clone(before)
			after["0002_more.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + asOne(sql) + "\n")}
			found := judge(t, after, before, "0002_more.sql")
			if _, is := found[want]; want == "" && len(found) > 0 || want != "" && !is {
				t.Errorf("found %q, want %q", found, want)
			}
		})
	}
}

// asOne ends a migration's text, with a block as one statement.
func asOne(sql string) string {
	if strings.HasPrefix(sql, "DO ") {
		return "-- +goose StatementBegin\n" + sql + ";\n-- +goose StatementEnd"
	}
	return sql + ";"
}
