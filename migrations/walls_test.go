package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// grants says for every table what lectern_tenant may do with its organisation's
// rows, and lectern_system with all: S(elect), I(nsert), U(pdate), D(elete); lower
// case: some columns only (see columns). A table that is not here fails the test.
var grants = map[string]struct{ tenant, system string }{
	"organizations":           {"S", "SIU"},
	"users":                   {"Su", "SIUD"},
	"founders":                {"", ""}, // the migrating user's own
	"passwords":               {"", "SIUD"},
	"sign_ins":                {"suD", "SIUD"},
	"credentials":             {"sI", "SI"},
	"credential_revocations":  {"SI", "SI"},
	"credential_uses":         {"SIU", "SIU"},
	"links":                   {"", "SIUD"},
	"throttles":               {"", "SIUD"},
	"budgets":                 {"S", "SIU"},
	"ledger":                  {"SIU", "SIU"},
	"ledger_months":           {"SIU", "SIU"},
	"ledger_subjects":         {"SIU", "SIU"},
	"courses":                 {"SIUD", "SIUD"},
	"modules":                 {"SIUD", "SIUD"},
	"lessons":                 {"SIUD", "SIUD"},
	"slides":                  {"SIUD", "SIUD"},
	"questions":               {"SID", "SID"},
	"videos":                  {"SIUD", "SIUD"},
	"sources":                 {"SIUD", "SIUD"},
	"passages":                {"SID", "SID"},
	"jobs":                    {"SIUD", "SIUD"},
	"job_steps":               {"SIUD", "SIUD"},
	"deletions":               {"SIu", "SIUD"},
	"idempotency":             {"SIUD", "SIUD"},
	"tasks":                   {"SI", "SI"},
	"sessions":                {"SIUD", "SIUD"},
	"messages":                {"SIu", "SIu"},
	"messages_ordinal_seq":    {"", ""},
	"summaries":               {"SI", "SI"},
	"checkpoints":             {"SI", "SI"},
	"memories":                {"SID", "SID"},
	"stream_events":           {"SD", "SID"},
	"producers":               {"", "SIUD"},
	"goose_db_version":        {"", ""},
	"goose_db_version_id_seq": {"", ""},
}

// columns are those of the grants in lower case.
var columns = map[string]string{
	"users u":       "name updated_at",
	"sign_ins s":    "created_at device expires_at organization_id seen_at sign_in_id user_id",
	"sign_ins u":    "expires_at seen_at",
	"credentials s": "auth_id created_at created_by expires_at label organization scopes",
	"deletions u":   "cleaned_at",
	"messages u":    "citations content events finish finished_at handed_over_at input_tokens model output_tokens problem producer_id quiz state stop_requested tokens ttfb_ms",
}

// noTable tells what holds no rows of Lectern's: goose's table, and sequences.
func noTable(table string) bool {
	return strings.HasPrefix(table, "goose_") || strings.HasSuffix(table, "_seq")
}

// lines reads one text column.
func lines(t *testing.T, db *pgxpool.Pool, sql string, args ...any) []string {
	t.Helper()
	rows, err := db.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Every table has row-level security, with exactly the policies that keep tenants
// apart; a table that somebody adds without them fails here.
func TestEveryTableStandsBehindTheWall(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var want []string
	for table, g := range grants {
		if noTable(table) {
			continue
		}
		column := "organization_id"
		if table == "credentials" {
			column = "organization"
		}
		policies := ""
		if g.system != "" {
			policies = "system {lectern_system} * PERMISSIVE true/-"
		}
		if g.tenant != "" {
			policies += fmt.Sprintf("; tenant {lectern_tenant} * PERMISSIVE (%s = current_setting('lectern.organization'::text, true))/-", column)
		}
		want = append(want, table+": true "+policies)
	}
	slices.Sort(want)
	got := lines(t, db, `
		SELECT format('%s: %s %s', c.relname, c.relrowsecurity::text, (
			SELECT string_agg(format('%s %s %s %s %s/%s', p.polname, p.polroles::regrole[], p.polcmd, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
				pg_get_expr(p.polqual, p.polrelid), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '-')), '; ' ORDER BY p.polname)
			FROM pg_policy p WHERE p.polrelid = c.oid))
		FROM pg_class c
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname NOT LIKE 'goose\_%'
		ORDER BY c.relname COLLATE "C"`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// A column of another name would get past the policy's.
	for _, table := range lines(t, db, `
		SELECT c.relname FROM pg_class c
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant')
			AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN ('organization_id', 'organization') AND (a.attnotnull OR c.relname = 'links'))`) {
		t.Errorf("%s may have rows of no organisation", table)
	}
}

// The two roles have the rights that are listed, and nothing else in the database;
// everybody else has none.
func TestRightsAreTheLeast(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var want []string
	for table, g := range grants {
		want = append(want, fmt.Sprintf("%s tenant=%s system=%s", table, g.tenant, g.system))
	}
	slices.Sort(want)
	got := lines(t, db, `
		WITH rights AS (
			SELECT c.relname, r.role, string_agg(CASE
				WHEN has_table_privilege(r.role, c.oid, p.name) THEN p.letter
				WHEN c.relkind <> 'S' AND p.name <> 'DELETE' AND has_any_column_privilege(r.role, c.oid, p.name) THEN lower(p.letter) END, '' ORDER BY p.place) AS letters
			FROM pg_class c, (VALUES ('lectern_tenant'), ('lectern_system')) AS r (role),
				(VALUES ('SELECT', 'S', 1), ('INSERT', 'I', 2), ('UPDATE', 'U', 3), ('DELETE', 'D', 4)) AS p (name, letter, place)
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND (c.relkind <> 'S' OR p.name <> 'INSERT' AND p.name <> 'DELETE')
			GROUP BY c.relname, r.role)
		SELECT format('%s tenant=%s system=%s', relname, max(letters) FILTER (WHERE role = 'lectern_tenant'), max(letters) FILTER (WHERE role = 'lectern_system'))
		FROM rights
		GROUP BY relname
		ORDER BY relname COLLATE "C"`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var wantColumns []string
	for key, names := range columns {
		wantColumns = append(wantColumns, key+": "+names)
	}
	slices.Sort(wantColumns)
	gotColumns := lines(t, db, `
		SELECT format('%s %s: %s', c.relname, p.letter, string_agg(a.attname, ' ' ORDER BY a.attname))
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped,
			(VALUES ('SELECT', 's'), ('INSERT', 'i'), ('UPDATE', 'u')) AS p (name, letter)
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT has_table_privilege('lectern_tenant', c.oid, p.name)
			AND has_column_privilege('lectern_tenant', c.oid, a.attnum, p.name)
		GROUP BY c.relname, p.letter
		ORDER BY c.relname COLLATE "C", p.letter`)
	if diff := cmp.Diff(wantColumns, gotColumns); diff != "" {
		t.Error(diff)
	}
	for what, sql := range map[string]string{
		"may truncate, reference or trigger": `
			SELECT format('%s %s', r, c.relname) FROM pg_class c, unnest(ARRAY['lectern_tenant', 'lectern_system']) r, unnest(ARRAY['TRUNCATE', 'REFERENCES', 'TRIGGER']) p
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND has_table_privilege(r, c.oid, p)`,
		"is open to everybody": `
			SELECT c.relname FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 0`,
		"may create": `
			SELECT r FROM unnest(ARRAY['lectern_tenant', 'lectern_system']) r
			WHERE has_schema_privilege(r, 'public', 'CREATE') OR has_database_privilege(r, current_database(), 'CREATE, TEMPORARY')`,
		"may make temporary tables where this migration ran": `
			SELECT format('%s %s', r, datname) FROM unnest(ARRAY['lectern_tenant', 'lectern_system']) r, pg_database
			WHERE datname = 'template_lectern' AND has_database_privilege(r, oid, 'TEMPORARY')`, // other tests' databases are being made at the same time
		"may grant further": `
			SELECT format('%s %s', c.relname, a.grantee::regrole) FROM pg_class c, aclexplode(c.relacl) a WHERE a.is_grantable AND a.grantee IN ('lectern_tenant'::regrole, 'lectern_system'::regrole)`,
		"owns something": `
			SELECT format('%s %s', d.classid::regclass, d.objid) FROM pg_shdepend d WHERE d.deptype = 'o' AND d.refobjid IN ('lectern_tenant'::regrole, 'lectern_system'::regrole)`,
		"has a power": `
			SELECT rolname FROM pg_roles WHERE rolname IN ('lectern_tenant', 'lectern_system')
				AND (rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)`,
		"is a member of another role": `
			SELECT format('%s of %s', member::regrole, roleid::regrole) FROM pg_auth_members WHERE member IN ('lectern_tenant'::regrole, 'lectern_system'::regrole)`,
	} {
		if found := lines(t, db, sql); len(found) > 0 {
			t.Errorf("%s: %q", what, found)
		}
	}
}

// doors are the functions that run as the tables' owner.
var doors = []string{"find_credential", "find_sign_in", "still_admitted"}

func TestDoors(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	got := lines(t, db, `SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace ORDER BY proname COLLATE "C"`)
	if diff := cmp.Diff(doors, got); diff != "" {
		t.Error(diff)
	}
	for what, sql := range map[string]string{
		"does not hold its search path": `
			SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace
				AND proconfig IS DISTINCT FROM ARRAY['search_path=public, pg_temp']`,
		"may be called by everybody": `
			SELECT p.proname FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
			WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace AND a.grantee NOT IN (p.proowner, 'lectern_tenant'::regrole, 'lectern_system'::regrole)`,
		"writes": `
			SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace AND provolatile = 'v'`,
		"puts a statement together": `
			SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace
				AND (prosrc ~* '\mexecute\M' OR prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('sql', 'plpgsql')))`,
	} {
		if found := lines(t, db, sql); len(found) > 0 {
			t.Errorf("%s: %q", what, found)
		}
	}
}

// A door opens for a secret, and tells nothing to who has none.
func TestDoorsOpenForSecretsOnly(t *testing.T) {
	t.Parallel()
	db := filled(t)
	tenants := pgtest.As(t, db, postgres.Tenant)
	for sql, want := range map[string]int{
		`SELECT FROM find_sign_in('\x01')`:                           1,
		`SELECT FROM find_sign_in('\x')`:                             0,
		`SELECT FROM find_sign_in(NULL)`:                             0,
		`SELECT FROM find_sign_in('%')`:                              0,
		`SELECT FROM find_credential('key_org_a')`:                   1,
		`SELECT FROM find_credential('%')`:                           0,
		`SELECT FROM find_credential('')`:                            0,
		`SELECT FROM find_credential(NULL)`:                          0,
		`SELECT FROM find_credential('key_revoked_org_a')`:           0,
		`SELECT FROM still_admitted('{}')`:                           0,
		`SELECT FROM still_admitted(NULL)`:                           0,
		`SELECT FROM still_admitted('{key_revoked_org_a}')`:          0,
		`SELECT FROM still_admitted('{key_org_a,sgn_org_a,nobody}')`: 2,
	} {
		tag, err := tenants.Exec(t.Context(), sql)
		if err != nil || int(tag.RowsAffected()) != want {
			t.Errorf("%s: %d rows, %v", sql, tag.RowsAffected(), err)
		}
	}
}

// filled is a database in which two organisations have a row in every table.
func filled(t *testing.T) *pgxpool.Pool {
	t.Helper()
	db := pgtest.New(t)
	for i, o := range []string{"org_a", "org_b"} {
		_, err := db.Exec(t.Context(), strings.NewReplacer("$o", o, "$n", fmt.Sprintf("%02d", i+1)).Replace(fill))
		if err != nil {
			t.Fatal(err)
		}
	}
	for table := range grants {
		var n int
		if err := db.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil || n < 2 && !noTable(table) {
			t.Fatalf("%s has %d rows, %v: give it two in this test", table, n, err)
		}
	}
	return db
}

const fill = `
	INSERT INTO organizations (organization_id, name) VALUES ('$o', 'x');
	INSERT INTO users (user_id, organization_id, name, role) VALUES ('usr_$o', '$o', 'x', 'owner');
	INSERT INTO passwords (user_id, hashed_password) VALUES ('usr_$o', 'x');
	INSERT INTO founders (user_id, hashed_password) VALUES ('usr_$o', 'x');
	INSERT INTO sign_ins (sign_in_id, token_hash, user_id, organization_id, expires_at) VALUES ('sgn_$o', '\x$n', 'usr_$o', '$o', now() + interval '1 day');
	INSERT INTO credentials (auth_id, organization, hashed_password, scopes, created_by) VALUES ('key_$o', '$o', 'x', '{chat}', 'x'), ('key_revoked_$o', '$o', 'x', '{chat}', 'x');
	INSERT INTO credential_revocations (auth_id, organization_id, revoked_by) VALUES ('key_revoked_$o', '$o', 'x');
	INSERT INTO credential_uses (auth_id, organization_id) VALUES ('key_$o', '$o');
	INSERT INTO links (link_id, token_hash, kind, organization_id, address, expires_at) VALUES ('lnk_$o', '\x$n', 'invitation', '$o', 'x', now() + interval '1 day');
	INSERT INTO throttles (key, until) VALUES ('$o', now());
	INSERT INTO budgets (organization_id, soft_micros, hard_micros, updated_by) VALUES ('$o', 1, 2, 'x');
	INSERT INTO ledger (entry_id, organization_id, month, kind, model, state, input_units, output_units, reserved_micros, expires_at) VALUES ('led_$o', '$o', '2026-11-01', 'tokens', 'x', 'reserved', 1, 1, 1, now());
	INSERT INTO ledger_months (organization_id, month) VALUES ('$o', '2026-11-01');
	INSERT INTO ledger_subjects (organization_id, subject, calls_left) VALUES ('$o', 'x', 1);
	INSERT INTO courses (course_id, organization_id, title, created_by) VALUES ('crs_$o', '$o', 'x', 'x');
	INSERT INTO modules (module_id, course_id, organization_id, title, position) VALUES ('mod_$o', 'crs_$o', '$o', 'x', 0);
	INSERT INTO lessons (lesson_id, module_id, course_id, organization_id, title, position) VALUES ('les_$o', 'mod_$o', 'crs_$o', '$o', 'x', 0);
	INSERT INTO slides (slide_id, lesson_id, organization_id, position, kind, body) VALUES ('sld_$o', 'les_$o', '$o', 0, 'points', '{}');
	INSERT INTO questions (question_id, lesson_id, organization_id, position, body) VALUES ('que_$o', 'les_$o', '$o', 0, '{}');
	INSERT INTO videos (lesson_id, content, course_id, organization_id, state, lesson_version) VALUES ('les_$o', 'x', 'crs_$o', '$o', 'rendering', 1);
	INSERT INTO sources (source_id, course_id, organization_id, name, content_type, size, state, object) VALUES ('src_$o', 'crs_$o', '$o', 'x', 'x', 1, 'ready', 'sources/src_$o/upload');
	INSERT INTO passages (passage_id, source_id, course_id, organization_id, position, kind, heading, page, start_offset, end_offset, text, words, lexemes) VALUES ('psg_$o', 'src_$o', 'crs_$o', '$o', 0, 'prose', '{}', 0, 0, 1, 'x', 1, 'x');
	INSERT INTO jobs (job_id, organization_id, kind, subject, course_id, content, state, created_by) VALUES ('job_$o', '$o', 'generate', 'crs_$o', 'crs_$o', 'x', 'queued', 'x');
	INSERT INTO job_steps (job_id, name, organization_id, kind, state) VALUES ('job_$o', 'x', '$o', 'plan', 'queued');
	INSERT INTO deletions (prefix, organization_id) VALUES ('videos/les_$o/', '$o');
	INSERT INTO idempotency (organization_id, user_id, operation, key, request) VALUES ('$o', 'x', 'x', 'x', '\x00');
	INSERT INTO tasks (organization_id, task_id, task, version, built_in, title, instructions) VALUES ('$o', 'tutor@1', 'tutor', 1, true, 'x', 'x');
	INSERT INTO sessions (session_id, organization_id, user_id, task) VALUES ('ses_$o', '$o', 'usr_$o', 'tutor');
	INSERT INTO messages (session_id, message_id, organization_id, role, task_id, state) VALUES ('ses_$o', 'msg_$o', '$o', 'user', 'tutor@1', 'complete');
	INSERT INTO summaries (session_id, message_id, organization_id, content, tokens, model) VALUES ('ses_$o', 'msg_$o', '$o', 'x', 1, 'x');
	INSERT INTO checkpoints (session_id, checkpoint_id, organization_id, message_id, task_id, model, prompt_version) VALUES ('ses_$o', 'ckp_$o', '$o', 'msg_$o', 'tutor@1', 'x', 'x');
	INSERT INTO memories (memory_id, organization_id, user_id, course_id, kind, content) VALUES ('mem_$o', '$o', 'usr_$o', 'crs_$o', 'asked', 'x');
	INSERT INTO stream_events (message_id, seq, organization_id, kind, data) VALUES ('msg_$o', 1, '$o', 'delta', '{}');
	INSERT INTO producers (producer_id, alive_until) VALUES ('prd_$o', now());`

// Under an organisation its rows are there and no others, under none there are
// none; and no row of another can be written, changed, given away or removed.
func TestRowsOfOthersAreOutOfReach(t *testing.T) {
	t.Parallel()
	db := filled(t)
	tenants, systems := pgtest.As(t, db, postgres.Tenant), pgtest.As(t, db, postgres.System)
	a := postgres.WithOrganization(t.Context(), "org_a")
	for _, table := range slices.Sorted(maps.Keys(grants)) {
		g, column := grants[table], "organization_id"
		if noTable(table) {
			continue
		}
		if table == "credentials" {
			column = "organization"
		}
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			for name, pool := range map[string]*pgxpool.Pool{"tenant": tenants, "system": systems} {
				if g.tenant == "" {
					expect(t, a, pool, name, `SELECT FROM `+table, -1)
					continue
				}
				count := `SELECT DISTINCT ` + column + ` FROM ` + table
				expect(t, a, pool, name, count, 1)
				expect(t, a, pool, name, count+` WHERE `+column+` <> 'org_a'`, 0)
				if strings.Contains(g.tenant, "I") { // a copy of a row, for somebody else
					expect(t, a, pool, name, copied(t, db, table, column), -1)
					expect(t, postgres.WithOrganization(t.Context(), ""), pool, name, copied(t, db, table, column), -1)
				}
				if strings.Contains(g.tenant, "U") {
					expect(t, a, pool, name, `UPDATE `+table+` SET `+column+` = 'org_b'`, -1)
					expect(t, a, pool, name, `UPDATE `+table+` SET `+column+` = `+column+` WHERE `+column+` = 'org_b'`, 0)
				}
				if strings.Contains(g.tenant, "D") {
					expect(t, a, pool, name, `DELETE FROM `+table+` WHERE `+column+` = 'org_b'`, 0)
				}
			}
			none := 0
			if g.tenant == "" {
				none = -1
			}
			expect(t, t.Context(), tenants, "nobody", `SELECT FROM `+table, none)
			if strings.Contains(g.tenant, "I") {
				expect(t, t.Context(), tenants, "nobody", copied(t, db, table, column), -1)
			}
			if strings.Contains(g.tenant, "D") {
				expect(t, t.Context(), tenants, "nobody", `DELETE FROM `+table, 0)
			}
		})
	}
}

// copied inserts a row of org_b into a table once more.
func copied(t *testing.T, db *pgxpool.Pool, table, column string) (sql string) {
	t.Helper()
	err := db.QueryRow(t.Context(), `SELECT format('INSERT INTO `+table+` SELECT (jsonb_populate_record(NULL::`+table+`, %L)).*', to_jsonb(x)) FROM `+table+` x WHERE `+column+` = 'org_b' LIMIT 1`).Scan(&sql)
	if err != nil {
		t.Fatal(err)
	}
	return sql
}

// expect runs a statement that touches so many rows; -1: that is refused.
func expect(t *testing.T, ctx context.Context, pool *pgxpool.Pool, who, sql string, rows int) {
	t.Helper()
	tag, err := pool.Exec(ctx, sql)
	pg, refused := errors.AsType[*pgconn.PgError](err)
	switch {
	case rows < 0 && (!refused || pg.Code != "42501"):
		t.Errorf("%s: %s: not refused: %v, %v", who, sql, tag, err)
	case rows >= 0 && (err != nil || int(tag.RowsAffected()) != rows):
		t.Errorf("%s: %s: %v, %v; want %d rows", who, sql, tag, err, rows)
	}
}
