// Package e2e shows the whole system at work, and what it survives: processes
// that are killed at every line that matters, deliveries that come twice, late,
// in any order or never, and a disk that is full.
package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/cluster"
	"lectern.dev/lectern/internal/source/extract"
	"lectern.dev/lectern/migrations"
)

// The test's own program is, started again, the whole of Lectern in a process of
// its own that can be killed (see server).
func TestMain(m *testing.M) {
	extract.ChildMain()
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err := os.Setenv("PRICES", prices); err != nil {
		panic(err)
	}
	if os.Getenv(asServer) == "" {
		code := m.Run()
		for _, dir := range scratch {
			_ = os.RemoveAll(dir)
		}
		os.Exit(code)
	}
	if err := serve(os.Getenv(asServer), os.Getenv(atAddress), os.Getenv(anHourLater) != ""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// prices make what costs nothing on one machine cost something, so that the ledger
// has to add up.
const prices = `{
	"offline-1": {"kind": "tokens", "input": 10, "output": 20, "max_output": 4000},
	"espeak-ng": {"kind": "speech", "input": 15, "output": 1}
}`

// scratch are folders that all tests share; they go at the end.
var scratch []string

// What the test tells the program that it starts.
const (
	asServer    = "LECTERN_E2E_DATA"
	atAddress   = "LECTERN_E2E_ADDRESS"
	anHourLater = "LECTERN_E2E_LATER"
)

// tokenFile, in the data folder, holds the bearer token of who makes courses.
const tokenFile = "token"

// quickly is how often sweeps follow each other here.
const quickly = 200 * time.Millisecond

func serve(data, addr string, later bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	h, err := house.Open(ctx, house.Options{Addr: addr, Data: data, Sweep: quickly})
	if err != nil {
		return err
	}
	if later {
		if err := letAnHourPass(ctx, h); err != nil {
			return err
		}
	}
	token, err := h.Token(ctx, account.Local.User)
	if err == nil {
		err = os.WriteFile(filepath.Join(data, tokenFile), []byte(token), 0o600)
	}
	if err != nil {
		return err
	}
	err = h.Serve(ctx, func() { fmt.Println("listening") })
	if closed := h.Close(); err == nil {
		err = closed
	}
	return err
}

// letAnHourPass moves what the sweep waits for into the past.
func letAnHourPass(ctx context.Context, h *house.House) error {
	_, err := h.Pool().Exec(ctx, `
		UPDATE job_steps SET lease_until = lease_until - interval '1 hour', changed_at = changed_at - interval '1 hour';
		UPDATE sources SET created_at = created_at - interval '1 hour';
		UPDATE ledger SET expires_at = expires_at - interval '1 hour' WHERE state = 'reserved'`)
	return err
}

// template is a data folder with an empty, migrated database: making one takes
// longer than copying it.
var template = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lectern-e2e-")
	if err != nil {
		return "", err
	}
	scratch = append(scratch, dir)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := cluster.Start(ctx, filepath.Join(dir, "postgres"), cluster.Options{})
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Stop() }()
	if err := c.EnsureDatabase(ctx, "lectern"); err != nil {
		return "", err
	}
	pool, err := postgres.Open(ctx, c.URL("lectern"), postgres.Options{Role: postgres.Owner})
	if err != nil {
		return "", err
	}
	defer pool.Close()
	return dir, migrations.Up(ctx, pool)
})

// dataFolder gives a fresh copy of the template; it goes with the test.
func dataFolder(t *testing.T) string {
	t.Helper()
	need(t, "ffmpeg", "espeak-ng")
	from, err := template()
	if err != nil {
		missing(t, err)
	}
	dir := t.TempDir()
	if out, err := exec.Command("cp", "-a", filepath.Join(from, "postgres"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing(t, err)
		}
	}
}

// missing skips a test for which a part is missing, and fails it in CI.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// open is the house in this process, with deliveries that a test disturbs.
func open(t *testing.T, disturb func(*house.Options)) *house.House {
	t.Helper()
	o := house.Options{Addr: "127.0.0.1:0", Data: dataFolder(t), Sweep: quickly, Throwaway: true}
	if disturb != nil {
		disturb(&o)
	}
	return openFolder(t, o)
}

// openFolder opens a house in this process.
func openFolder(t *testing.T, o house.Options) *house.House {
	t.Helper()
	h, err := house.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, served := make(chan struct{}), make(chan error, 1)
	go func() { served <- h.Serve(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-served:
		served <- err
		t.Fatal(err)
	}
	return h
}
