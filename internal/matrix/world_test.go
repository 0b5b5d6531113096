// Package matrix tries every operation of every function on everybody: what the
// documents declare is what holds. A new operation is in it by being there.
package matrix

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/account"
	gcs "lectern.dev/lectern/internal/gcp/gcs/emulator"
	tasks "lectern.dev/lectern/internal/gcp/tasks/emulator"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/source/extract"
)

func TestMain(m *testing.M) {
	extract.ChildMain()
	for _, limit := range []string{ // who is tried often is not refused for that
		"CHAT_REQUESTS_PER_MINUTE_PER_USER", "CHAT_REQUESTS_PER_MINUTE_PER_ORGANIZATION", "CHAT_ANSWERS_PER_USER", "CHAT_STREAMS_PER_USER",
	} {
		if err := os.Setenv(limit, "0"); err != nil {
			panic(err)
		}
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))) // refusals are what is wanted
	os.Exit(m.Run())
}

// world is all of Lectern at rest: tasks and events are counted and go nowhere, so
// that what changes was changed by a request.
type world struct {
	*house.House
	document document
	tasks    *atomic.Int64 // that were sent

	victim   tenant // whom nobody else may see or touch
	stranger tenant // another organisation like it
	operator tenant // the organisation whose owner is root
}

func newWorld(t *testing.T) *world {
	t.Helper()
	_ = pgtest.URL(t) // skips, or fails in CI, where there is no Postgres
	folder, err := os.MkdirTemp("", "lectern-matrix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil { // the database has a user of its own
		t.Fatal(err)
	}
	w := &world{tasks: new(atomic.Int64)}
	w.House, err = house.Open(t.Context(), house.Options{
		Addr: "127.0.0.1:0", Data: filepath.Join(folder, "data"), Throwaway: true, Sweep: time.Hour,
		Events: gcs.Events{Plan: func(gcs.Event) []time.Duration { return nil }},
		Tasks: tasks.Options{Faults: func(tasks.Delivery) tasks.Fault {
			w.tasks.Add(1)
			return tasks.Fault{Lose: true}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, served := make(chan struct{}), make(chan error, 1)
	go func() { served <- w.Serve(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-served, w.Close()); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-served:
		served <- err
		t.Fatal(err)
	}
	w.victim, w.stranger = w.settle(t, "victim"), w.settle(t, "stranger")
	w.operator = w.furnish(t, tenant{name: "operator", id: account.Local.Organization, people: map[account.Role]string{account.Root: account.Local.User}})
	for limit := time.Now().Add(time.Minute); w.tasks.Load() != 3; time.Sleep(10 * time.Millisecond) { // one for each, of its job
		if time.Now().After(limit) {
			t.Fatalf("%d tasks were sent", w.tasks.Load())
		}
	}
	return w
}

// exec runs SQL that stands for what time or an administrator does.
func (w *world) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := w.Pool().Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// find reads one text.
func (w *world) find(t *testing.T, sql string, args ...any) (found string) {
	t.Helper()
	if err := w.Pool().QueryRow(t.Context(), sql, args...).Scan(&found); err != nil {
		t.Fatal(err)
	}
	return found
}

// state gives a digest of every table's rows: of those that belong to an organisation
// or one of its people, or with "" of all. What only tells when somebody was last seen,
// who has asked too often, and which processes are alive, is left out.
func (w *world) state(t *testing.T, organization string) (digests map[string]string) {
	t.Helper()
	var sql string
	err := w.Pool().QueryRow(t.Context(), `
		SELECT string_agg(format($q$
			SELECT %L, coalesce(md5(string_agg(r::text, '' ORDER BY r::text)), '')
			FROM (SELECT to_jsonb(t) - 'seen_at' - 'used_at' AS r FROM %I t) s
			WHERE $1 = '' OR $1 IN (r->>'organization_id', r->>'organization', (SELECT u.organization_id FROM users u WHERE u.user_id = r->>'user_id'))$q$,
			tablename, tablename), ' UNION ALL ')
		FROM pg_tables
		WHERE schemaname = 'public' AND has_table_privilege(format('%I.%I', schemaname, tablename), 'SELECT')
			AND tablename NOT IN ('goose_db_version', 'throttles', 'credential_uses', 'producers')`).Scan(&sql)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := w.Pool().Query(t.Context(), sql, organization)
	if err != nil {
		t.Fatal(err)
	}
	digests = map[string]string{}
	for rows.Next() {
		var table, digest string
		if err := rows.Scan(&table, &digest); err != nil {
			t.Fatal(err)
		}
		digests[table] = digest
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return digests
}

// objects lists the bucket.
func (w *world) objects(t *testing.T) (keys []string) {
	t.Helper()
	objects, err := w.Bucket().List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		keys = append(keys, o.Key)
	}
	return keys
}

// secret stands in every text of a tenant, and in no id.
func secret(name string) string { return "secret of " + name }
