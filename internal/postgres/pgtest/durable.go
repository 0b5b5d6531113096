package pgtest

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/cluster"
	"lectern.dev/lectern/migrations"
)

// Server is a server of one test's own, whose commits wait for the disk as a deployed
// one's do: it can go down as in a power failure, and come back with what it promised.
type Server struct {
	Pool *pgxpool.Pool // on a database as New makes one; it lives through a Crash

	t       testing.TB
	dir     string
	cluster *cluster.Cluster
}

// Durable starts a server, which goes when the test ends. It takes about two seconds.
// Without Postgres the test is skipped, and fails where CI is set.
func Durable(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "lectern-durable-") // t.TempDir is closed to the server's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: filepath.Join(dir, "data")}
	s.Start()
	t.Cleanup(func() { _ = s.cluster.Stop() })
	ctx := context.Background()
	if err := s.cluster.EnsureDatabase(ctx, "test"); err != nil {
		t.Fatal(err)
	}
	s.Pool, err = postgres.Open(ctx, s.cluster.URL("test"), postgres.Options{MaxConns: 8, Role: postgres.Owner})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Pool.Close)
	if err = migrations.Up(ctx, s.Pool); err == nil {
		_, err = s.Pool.Exec(ctx, local)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Crash takes the server down at once, with whatever it was doing.
func (s *Server) Crash() { s.cluster.Crash() }

// Start brings it back.
func (s *Server) Start() {
	s.t.Helper()
	c, err := cluster.Start(context.Background(), s.dir, cluster.Options{Log: io.Discard})
	if err != nil {
		if os.Getenv("CI") != "" {
			s.t.Fatal(err)
		}
		s.t.Skip(err)
	}
	s.cluster = c
}
