package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/cluster"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/migrations"
)

// The rehearsal of docs/operations.md, "Restore the database": a server that archives its
// log, as Cloud SQL does; somebody deletes what should have stayed; the second before is
// had back into another server, from a backup and the log. It is sound, it has all that
// was committed until then, and the job brings it up to date.
func TestPointInTimeRecovery(t *testing.T) {
	folder, err := os.MkdirTemp("", "lectern-restore-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	archive, old, restored := filepath.Join(folder, "archive"), filepath.Join(folder, "old"), filepath.Join(folder, "restored")
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(archive, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(archive, 0o777); err != nil { // the servers' user is not ours
		t.Fatal(err)
	}
	start := func(dir string) *cluster.Cluster {
		t.Helper()
		server, err := cluster.Start(t.Context(), dir, cluster.Options{Log: io.Discard})
		if err != nil {
			if os.Getenv("CI") == "" && strings.Contains(err.Error(), "not installed") {
				t.Skip(err)
			}
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Stop() })
		return server
	}
	open := func(url string) *pgxpool.Pool {
		t.Helper()
		return pgtest.Open(t, url, postgres.Options{Role: postgres.Owner})
	}
	do := func(pool *pgxpool.Pool, statements ...string) {
		t.Helper()
		for _, sql := range statements {
			if _, err := pool.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	}

	server := start(old)
	do(open(server.URL("postgres")), `ALTER SYSTEM SET archive_mode = on`, fmt.Sprintf(`ALTER SYSTEM SET archive_command = 'cp %%p %s/%%f'`, archive), `CREATE DATABASE lectern`)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	server = start(old)
	db := open(server.URL("lectern"))
	if err := migrations.Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	fill := func(organization string) {
		t.Helper()
		do(db, strings.ReplaceAll(`
			INSERT INTO organizations (organization_id, name) VALUES ('X', 'X');
			INSERT INTO courses (course_id, organization_id, title, created_by) VALUES ('c_X', 'X', 'Owls', 'u');
			INSERT INTO jobs (job_id, organization_id, kind, subject, course_id, content, state, created_by) VALUES ('job_X', 'X', 'generate', 'c_X', 'c_X', 'c', 'running', 'u');
			INSERT INTO ledger (entry_id, organization_id, month, kind, model, state, input_units, output_units, reserved_micros, micros, settled_at, expires_at)
				VALUES ('e_X', 'X', '2026-11-01', 'tokens', 'm', 'settled', 1, 1, 10, 7, now(), now());
			INSERT INTO ledger_months (organization_id, month, spent_micros, tokens_micros) VALUES ('X', '2026-11-01', 7, 7)`, "X", organization))
	}
	fill("before")

	// The backup of the night, and what is written after it.
	backup := exec.Command(program(t, "pg_basebackup"), "-D", restored, "-d", strings.Replace(server.URL("postgres"), "/postgres?", "/?", 1), "-X", "none", "-c", "fast", "--no-sync")
	backup.Dir = "/"
	if info, err := os.Stat(old); err == nil { // as the server's own user
		who := info.Sys().(*syscall.Stat_t)
		if err := os.Chmod(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 {
			backup.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: who.Uid, Gid: who.Gid}}
		}
	}
	if out, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
	fill("after-backup")
	var point time.Time
	if err := db.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&point); err != nil {
		t.Fatal(err)
	}

	// The mistake, and life that goes on until somebody notices.
	do(db, `DELETE FROM courses`)
	fill("after-mistake")
	do(db, `SELECT pg_switch_wal()`)
	db.Close()
	if err := server.Stop(); err != nil { // the last of the log is archived at the stop
		t.Fatal(err)
	}

	settings := fmt.Sprintf("restore_command = 'cp %s/%%f %%p'\nrecovery_target_time = '%s'\nrecovery_target_action = 'promote'\narchive_mode = off\n", archive, point.UTC().Format("2006-01-02 15:04:05.000000-07"))
	auto, err := os.OpenFile(filepath.Join(restored, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = auto.WriteString(settings)
		_ = auto.Close()
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(restored, "recovery.signal"), nil, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	again := start(restored)
	url := again.URL("lectern")
	awaitPromotion(t, open(url))
	t.Setenv("DATABASE_URL", url)
	var out strings.Builder
	if err := migrate(t.Context(), &out, false); err != nil {
		t.Fatal(err)
	}
	if err := look(t.Context(), &out); err != nil || !strings.Contains(out.String(), "There are 2 organisations, 0 people, 2 courses, ") ||
		!strings.Contains(out.String(), "2 entries of the ledger") || !strings.Contains(out.String(), "2 jobs are open") || !strings.Contains(out.String(), "The database is sound.") {
		t.Errorf("%s, %v", out.String(), err)
	}

	// And what is not sound is found.
	do(open(url), `UPDATE ledger_months SET spent_micros = 8, tokens_micros = 8 WHERE organization_id = 'before'`, `ALTER TABLE courses DISABLE ROW LEVEL SECURITY`,
		`ALTER TABLE messages DISABLE TRIGGER messages_append_only`, `ALTER TABLE lessons ADD CHECK (title <> 'x') NOT VALID`,
		`INSERT INTO modules (module_id, course_id, organization_id, title, position) VALUES ('m', 'c_before', 'before', 'm', 0)`,
		`INSERT INTO lessons (lesson_id, module_id, course_id, organization_id, title, position) VALUES ('les_1', 'm', 'c_before', 'after-backup', 'l', 0)`)
	err = look(t.Context(), &out)
	for _, want := range []string{
		"the months of before do not say what its ledger does", "the table courses has no wall", "the trigger messages.messages_append_only is switched off",
		"the constraint lessons.lessons_title_check is not validated", "les_1 is of another organisation than its course",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not found: %v", want, err)
		}
	}
	do(open(url), `DELETE FROM goose_db_version WHERE version_id > 3`)
	if err := look(t.Context(), &out); err == nil || !strings.Contains(err.Error(), "the schema is at 0003 of ") {
		t.Error(err)
	}
}

// awaitPromotion waits until a server that recovers takes writes.
func awaitPromotion(t *testing.T, db *pgxpool.Pool) {
	t.Helper()
	for recovering := true; recovering; time.Sleep(20 * time.Millisecond) {
		if err := db.QueryRow(t.Context(), `SELECT pg_is_in_recovery()`).Scan(&recovering); err != nil {
			t.Fatal(err)
		}
	}
}

// program finds one of Postgres' own.
func program(t *testing.T, name string) string {
	t.Helper()
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); err == nil && len(found) > 0 {
		return found[len(found)-1]
	}
	found, err := exec.LookPath(name)
	if err != nil {
		t.Skip(err)
	}
	return found
}
