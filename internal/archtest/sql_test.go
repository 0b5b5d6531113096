package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mayBuild are the functions that build SQL, which nothing that people write reaches.
var mayBuild = map[string]string{
	"internal/postgres/cluster.EnsureDatabase": "a database's name is no parameter; it is quoted",
	"internal/postgres/pgtest.database":        "a database's name is no parameter; it is a number of ours",
	"migrations.admit":                         "a grant takes no parameters; the user's name is quoted",
	"migrations.Verify":                        "each is a constant of the table wrongs",
}

// mayKeep are the functions that name a field as a method of the database is named.
var mayKeep = map[string]string{
	"functions/courses.searchPassages": "in.Query is what people look for",
}

// acrossOrganizations are the functions whose statements on tenants' tables name no
// organization. Under somebody's ctx they see nothing but theirs.
var acrossOrganizations = map[string]string{
	"migrations.Verify": "the operator looks whether a database that was restored is sound; nothing is told but numbers and ids",
	"migrations.served": "the operator's migration: whether there is any organization",

	"functions/sweep.forget":     "sweep: answers that are out of date, of everybody",
	"internal/account.Expire":    "sweep: what is out of date, of everybody",
	"internal/budget.UsedUp":     "sweep: how many organizations, and not which",
	"internal/budget.Expire":     "sweep: what nobody settled, of everybody; the organization comes from the row",
	"internal/course.Clean":      "sweep: what anybody deleted",
	"internal/job.Look":          "sweep: figures of everybody's work",
	"internal/job.Sweep":         "sweep: lost and stuck steps of everybody",
	"internal/job.TakeDown":      "sweep: what ended long ago, of everybody",
	"internal/job.undelivered":   "sweep: each step is then handled in its organization",
	"internal/job.ResumeWaiting": "sweep: each job is then resumed in its organization",
	"internal/source.Overdue":    "sweep: each upload is then handled in its organization",
	"internal/job.claim":         "a task names ids only; the organization comes from the row",
	"internal/job.unclaimed":     "the same",
	"internal/source.owner":      "an event names an object only; the organization comes from the row",

	"internal/conversation/relay.HandOver":           "the answers of a process, of everybody: its id alone tells which",
	"internal/conversation/relay.beat":               "the same",
	"internal/conversation/relay.audit":              "the same",
	"internal/conversation/relay.Sweep":              "sweep: processes that are gone",
	"internal/conversation/relay.sweepAnswersOfDead": "sweep: each answer is then ended in its organization",

	"internal/account.findPerson":  "who signs in gives an address, and no organization",
	"internal/account.Begin":       "who has just been found by a secret or password; the organization comes from the row",
	"internal/account.beginWith":   "the same",
	"internal/account.End":         "the secret of a sign-in alone tells whose it is",
	"internal/account.redeem":      "the secret of a link alone tells whose it is",
	"internal/account.peek":        "the same",
	"internal/account.RedeemReset": "the person whom the link names; a person is in one organization",
	"internal/account.renew":       "the same: all of their sign-ins",
	"internal/account.endLinks":    "the same: all of their links",
	"internal/account.person":      "bootstrap: an address is one person's in all organizations",
	"internal/account.password":    "bootstrap: the person whom it has just made or found",
}

// doors are the functions that run in whatever scope a connection has: they call
// the database's functions that look up a secret, and look at no table.
var doors = []string{"internal/access.stillAdmitted", "internal/account.SignedIn", "internal/account.findCredential"}

func statements(t *testing.T, root string) *reader {
	t.Helper()
	r, err := readStatements(root)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// F83: no text that is built at run time reaches the database.
func TestStatementsAreConstant(t *testing.T) {
	t.Parallel()
	r := statements(t, root)
	for _, violation := range r.notConstant(mayBuild, mayKeep) {
		t.Error(violation)
	}
	if len(r.found) < 100 {
		t.Errorf("only %d statements are found", len(r.found))
	}
	unused(t, "mayBuild", mayBuild, func(f string) bool { return len(without(r.dynamic, map[string]string{f: "x"})) < len(r.dynamic) })
	unused(t, "mayKeep", mayKeep, func(f string) bool { return len(without(r.kept, map[string]string{f: "x"})) < len(r.kept) })
}

// Every statement on a table of tenants names the organization.
func TestStatementsNameTheirOrganization(t *testing.T) {
	t.Parallel()
	r := statements(t, root)
	unnamed := r.withoutOrganization(tenantTables(t))
	for _, s := range unnamed {
		if acrossOrganizations[s.function] == "" {
			t.Errorf("%s: %s names no organization:\n%s", s.at, s.function, s.text)
		}
	}
	unused(t, "acrossOrganizations", acrossOrganizations, func(function string) bool {
		return slices.ContainsFunc(unnamed, func(s statement) bool { return s.function == function })
	})
}

func TestWhoWorksInAnyScope(t *testing.T) {
	t.Parallel()
	r := statements(t, root)
	callers := slices.Compact(slices.Sorted(slices.Values(r.callers["AnyOrganization"])))
	if !slices.Equal(callers, doors) {
		t.Errorf("these functions use postgres.AnyOrganization: %q, planned: %q", callers, doors)
	}
	for _, function := range r.callers["AnyOfPool"] {
		if !strings.HasPrefix(function, "internal/account.") && !strings.HasPrefix(function, "internal/budget.") {
			t.Errorf("%s uses postgres.AnyOfPool, which is for accounts and the operator's view of budgets alone", function)
		}
	}
	for _, s := range r.found {
		if !slices.Contains(doors, s.function) {
			continue
		}
		for _, match := range touched.FindAllStringSubmatch(s.text, -1) {
			if !slices.Contains([]string{"find_sign_in", "find_credential", "still_admitted"}, match[1]) {
				t.Errorf("%s: %s looks at %s in any scope", s.at, s.function, match[1])
			}
		}
	}
}

func unused(t *testing.T, table string, entries map[string]string, used func(string) bool) {
	t.Helper()
	for function := range entries {
		if !used(function) {
			t.Errorf("%s lists %s, which does nothing of the sort", table, function)
		}
	}
}

var (
	// touched is what a statement reads or writes.
	touched = regexp.MustCompile(`\b(?:FROM|JOIN|INTO|UPDATE|USING)\s+(\w+)`)
	// named is a condition on the organization, or the column of a new row.
	named = regexp.MustCompile(`\borganization(_id)?\s*=|INSERT INTO \w+(?:\s+AS\s+\w+)?\s*\([^)]*\borganization(_id)?\b`)
)

func (r *reader) withoutOrganization(tables map[string]bool) []statement {
	var found []statement
	for _, s := range r.found {
		for _, match := range touched.FindAllStringSubmatch(s.text, -1) {
			if tables[match[1]] && !named.MatchString(s.text) {
				found = append(found, s)
				break
			}
		}
	}
	slices.SortFunc(found, func(a, b statement) int { return strings.Compare(a.at, b.at) })
	return found
}

// tenantTables are the tables whose rows belong to an organization, as the
// migrations make them.
func tenantTables(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "migrations", "*.sql"))
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]bool{}
	create := regexp.MustCompile(`(?s)CREATE (?:UNLOGGED )?TABLE (\w+) \((.*?)\n\);`)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range create.FindAllStringSubmatch(string(text), -1) {
			if regexp.MustCompile(`\n\s+organization(_id)?\s`).MatchString(match[2]) {
				tables[match[1]] = true
			}
		}
	}
	if len(tables) < 18 || !tables["courses"] || !tables["credentials"] {
		t.Fatalf("the tables of tenants are not found: %v", tables)
	}
	return tables
}

// A guard that finds nothing must be shown to find something.
func TestPlantedStatementsAreFound(t *testing.T) {
	t.Parallel()
	const fine = `const columns = "course_id, title"
const where = " WHERE organization_id = $1"
func one(ctx, q any, sql string, args ...any) { q.QueryRow(ctx, sql, args...) }
`
	for name, c := range map[string]struct {
		body    string
		dynamic int
	}{
		"a constant":                 {`q.Exec(ctx, "SELECT 1")`, 0},
		"constants":                  {`q.Exec(ctx, "SELECT "+columns+(" FROM courses"+where), 1)`, 0},
		"a constant of the function": {`const sql = "SELECT " + columns; q.Exec(ctx, sql)`, 0},
		"a helper with a constant":   {`one(ctx, q, "SELECT 1" + where)`, 0},
		"functions of a batch":       {`b.Queue("SELECT 1").Query(func(rows any) error { return nil })`, 0},
		"a helper with a variable":   {`one(ctx, q, "SELECT 1" + title)`, 1},
		"a variable":                 {`q.Exec(ctx, "SELECT '" + title + "'")`, 1},
		"fmt":                        {`q.Query(ctx, fmt.Sprintf("SELECT %s", title))`, 1},
		"a variable that hides":      {`columns := title; q.QueryRow(ctx, "SELECT "+columns)`, 1},
		"a variable declared":        {`var where string; q.QueryRow(ctx, "SELECT "+where)`, 1},
		"a batch":                    {`b.Queue("SELECT " + title)`, 1},
		"the protocol below":         {`q.PgConn().ExecParams(ctx, title, nil, nil, nil, nil)`, 1},
		"database/sql":               {`q.QueryContext(ctx, title)`, 1},
		"a field":                    {`q.Exec(ctx, r.URL.Path)`, 1},
		"a method as a value":        {`run := q.Exec; run(ctx, title)`, 1},
		"the inside of a batch":      {`b.QueuedQueries[0].SQL = title`, 1},
		"a closure":                  {`func(columns string) { q.Exec(ctx, "SELECT "+columns) }(title)`, 1},
		"a loop":                     {`for _, columns := range r.Header { q.Exec(ctx, "SELECT "+columns) }`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			source := "package p\n" + fine + "func f(ctx, q, b, r any, titles []string) { title := titles[0]; " + c.body + " }\n"
			if err := os.WriteFile(filepath.Join(folder, "x.go"), []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			if found := statements(t, folder).notConstant(nil, nil); len(found) != c.dynamic {
				t.Errorf("found %q, want %d", found, c.dynamic)
			}
		})
	}
}

// What a parameter brings is asked about where the function is called, in every
// package, and however often it is handed on.
func TestPlantedStatementsOfCallers(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for file, source := range map[string]string{
		"internal/a/a.go": "package a\nfunc One(ctx, q any, sql string) { two(ctx, q, sql+` LIMIT 1`) }\nfunc two(ctx, q any, sql string) { q.Exec(ctx, sql) }\nfunc three(ctx, q any, sql string) { sql = clean(sql); q.Exec(ctx, sql) }\n",
		"internal/b/b.go": "package b\nimport " + fmt.Sprintf("%q", module+"internal/a") + "\nfunc bad(ctx, q any, names []string) { a.One(ctx, q, names[0]) }\nfunc good(ctx, q any) { a.One(ctx, q, `SELECT title FROM courses`) }\n",
	} {
		name := filepath.Join(folder, file)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := statements(t, folder)
	found := r.notConstant(nil, nil)
	if len(found) != 2 || !strings.Contains(found[0], "internal/a.three") || !strings.Contains(found[1], "internal/b.bad") {
		t.Errorf("found %q", found)
	}
	unnamed := r.withoutOrganization(map[string]bool{"courses": true})
	if len(unnamed) != 1 || unnamed[0].function != "internal/b.good" {
		t.Errorf("without an organization: %+v", unnamed)
	}
}

func TestPlantedStatementsWithoutAnOrganization(t *testing.T) {
	t.Parallel()
	for sql, ok := range map[string]bool{
		"SELECT title FROM courses WHERE organization_id = $1":             true,
		"SELECT c.title FROM courses c WHERE c.organization_id = $1":       true,
		"INSERT INTO courses (course_id, organization_id) VALUES ($1, $2)": true,

		"SELECT now()":                         true,
		"SELECT FROM throttles WHERE key = $1": true,

		"SELECT organization_id FROM courses WHERE course_id = $1":                     false,
		"UPDATE courses SET title = $1":                                                false,
		"DELETE FROM courses WHERE course_id = $1":                                     false,
		"INSERT INTO courses (course_id, title) VALUES ($1, $2)":                       false,
		"SELECT FROM throttles JOIN courses ON true":                                   false,
		"UPDATE courses SET title = $1 WHERE course_id = $2 RETURNING organization_id": false,
	} {
		r := &reader{found: map[string]statement{"here": {text: sql}}}
		if got := len(r.withoutOrganization(map[string]bool{"courses": true})) == 0; got != ok {
			t.Errorf("%s: %t", sql, got)
		}
	}
}
