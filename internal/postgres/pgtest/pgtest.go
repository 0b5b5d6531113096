// Package pgtest gives a test a real, migrated database of its own.
package pgtest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/cluster"
	"lectern.dev/lectern/migrations"
)

// New gives a pool on a fresh database that holds every migration, and account.Local;
// the database goes when the test ends. Statements whose ctx names an organisation
// see only that one, as in production; others see everything. One server serves all
// tests of a process. Without Postgres the test is skipped, and fails where CI is set.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return Open(t, URL(t), postgres.Options{MaxConns: 8, Role: postgres.Owner})
}

// As gives another pool on the database of a pool of New, in the role of a function:
// what is under test works on it, while the test itself looks at everything.
func As(t testing.TB, pool *pgxpool.Pool, role postgres.Role) *pgxpool.Pool {
	t.Helper()
	return Open(t, pool.Config().ConnString(), postgres.Options{MaxConns: 8, Role: role})
}

// Open gives a pool on a database that stands already; it closes when the test ends.
func Open(t testing.TB, url string, options postgres.Options) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(context.Background(), url, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// URL is New for tests that open their own pools or start processes.
func URL(t testing.TB) string {
	t.Helper()
	return database(t, (*server).clone)
}

// Empty gives the URL of a database without anything in it.
func Empty(t testing.TB) string {
	t.Helper()
	return database(t, func(s *server, name string) error { return s.cluster.EnsureDatabase(context.Background(), name) })
}

var serial atomic.Int64

// database is one of the test's own, as it is made.
func database(t testing.TB, made func(s *server, name string) error) string {
	t.Helper()
	s, err := shared()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	name := fmt.Sprintf("test_%d", serial.Add(1))
	if err := made(s, name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.drop(name) })
	return s.cluster.URL(name)
}

const template = "template_lectern"

// local is account.Local: an organisation to work in, and its owner.
const local = `
	WITH o AS (INSERT INTO organizations (organization_id, name) VALUES ('org_local', 'Local'))
	INSERT INTO users (user_id, organization_id, name, role) VALUES ('user_local', 'org_local', 'Owner', 'owner')`

// server is the process's cluster, with a migrated database to clone from.
type server struct {
	cluster *cluster.Cluster
	mu      sync.Mutex // CREATE DATABASE … TEMPLATE allows no second user of the template
	admin   *pgx.Conn
	alive   io.Closer // the watcher's sign that we live
}

var shared = sync.OnceValues(start)

func start() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "lectern-pgtest-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	c, err := cluster.Start(ctx, filepath.Join(dir, "data"), cluster.Options{Throwaway: true, Log: io.Discard})
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	alive, err := removeAfterUs(dir, c)
	if err != nil {
		return nil, err
	}
	if err := c.EnsureDatabase(ctx, template); err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, c.URL(template), postgres.Options{Role: postgres.Owner})
	if err != nil {
		return nil, err
	}
	if err = migrations.Up(ctx, pool); err == nil {
		_, err = pool.Exec(ctx, local)
	}
	pool.Close()
	if err != nil {
		return nil, err
	}
	admin, err := pgx.Connect(ctx, c.URL("postgres"))
	return &server{cluster: c, admin: admin, alive: alive}, err
}

// removeAfterUs leaves a watcher behind that ends the server and removes its
// folder when this process is gone, however it went: a test process has no exit
// hook, and kill -9 would not run one.
// Our end of its pipe comes back: it must stay reachable, or the garbage collector
// closes it.
func removeAfterUs(dir string, c *cluster.Cluster) (io.Closer, error) {
	const script = `trap '' INT TERM HUP; cat >/dev/null; kill -QUIT "$1" 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
rm -rf "$2" "$3"`
	cmd := exec.Command("sh", "-c", script, "sh", strconv.Itoa(c.PID()), dir, c.Socket())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe() // its end closes with our process
	if err != nil {
		return nil, err
	}
	return pipe, cmd.Start()
}

func (s *server) clone(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.admin.Exec(context.Background(), "CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY file_copy")
	if err == nil { // a template's rights on the database itself are not copied
		_, err = s.admin.Exec(context.Background(), "REVOKE TEMPORARY ON DATABASE "+name+" FROM PUBLIC")
	}
	return err
}

func (s *server) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
}
