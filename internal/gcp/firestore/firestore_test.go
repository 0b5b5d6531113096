package firestore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/gcp/firestore"
	"lectern.dev/lectern/internal/gcp/firestore/emulator"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/live/livetest"
)

const hostVariable = "FIRESTORE_EMULATOR_HOST"

// missing says why there is no emulator; it is shared by all tests of this package.
var missing error

func TestMain(m *testing.M) {
	stop := func() {}
	if os.Getenv(hostVariable) == "" {
		var host string
		host, stop, missing = emulator.Start(context.Background())
		if missing == nil {
			_ = os.Setenv(hostVariable, host)
		} else {
			stop = func() {}
		}
	}
	code := m.Run()
	stop()
	os.Exit(code)
}

var projects atomic.Int32

// open gives an empty board: a project of its own.
func open(t *testing.T, cfg firestore.Config, opts ...option.ClientOption) *firestore.Board {
	t.Helper()
	switch {
	case missing != nil && os.Getenv("CI") != "":
		t.Fatal(missing)
	case missing != nil:
		t.Skip(missing)
	}
	if cfg.Project == "" {
		cfg.Project = newProject()
	}
	b, err := firestore.Open(t.Context(), cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func newProject() string { return fmt.Sprintf("demo-%d-%d", os.Getpid(), projects.Add(1)) }

// The emulator on a busy machine loses a change that meets the start of a Listen,
// as the service may; reading the document again is what makes up for it.
func TestConformance(t *testing.T) {
	t.Parallel()
	livetest.Run(t, func(t *testing.T) live.Board { return open(t, firestore.Config{Reread: 2 * time.Second}) })
}

// A Listen whose connection is lost, and cannot be had again for a while, tells of what it missed.
func TestSilentOutage(t *testing.T) {
	t.Parallel()
	project := newProject()
	b := open(t, firestore.Config{Project: project})
	gate := newGate(t, os.Getenv(hostVariable))
	watching := open(t, firestore.Config{Project: project, Reread: 200 * time.Millisecond}, through(t, gate.addr))
	publish(t, b, 1)
	news, err := watching.Watch(t.Context(), "job_1")
	if err != nil {
		t.Fatal(err)
	}
	await(t, news, 1)
	if len(gate.conns) == 0 {
		t.Fatal("the watcher does not go through the gate")
	}
	gate.cut()
	publish(t, b, 2)
	gate.open()
	await(t, news, 2)
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	b := open(t, firestore.Config{}, through(t, "127.0.0.1:1"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := b.Publish(ctx, live.Document{ID: "job_1", Version: 1, Body: []byte("{}")})
	if !errors.Is(err, context.DeadlineExceeded) && !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}

// through has a board go to addr in place of the emulator: with
// FIRESTORE_EMULATOR_HOST set the client makes its own connection and looks at no endpoint.
func through(t *testing.T, addr string) option.ClientOption {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(owner{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return option.WithGRPCConn(conn)
}

// owner is whom the emulator lets do everything.
type owner struct{}

func (owner) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer owner"}, nil
}

func (owner) RequireTransportSecurity() bool { return false }

func TestIDsAreBounded(t *testing.T) {
	t.Parallel()
	b := open(t, firestore.Config{})
	if _, err := b.Watch(t.Context(), strings.Repeat("/", 600)); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}

func publish(t *testing.T, b live.Board, version int64) {
	t.Helper()
	if err := b.Publish(t.Context(), live.Document{ID: "job_1", Version: version, Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, news <-chan live.Document, version int64) {
	t.Helper()
	for deadline := time.After(30 * time.Second); ; {
		select {
		case d := <-news:
			if d.Version == version {
				return
			}
		case <-deadline:
			t.Fatalf("no version %d", version)
		}
	}
}

// gate is a TCP proxy that can cut what goes through and refuse what comes.
type gate struct {
	addr  string
	shut  atomic.Bool
	conns chan net.Conn
}

func newGate(t *testing.T, upstream string) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{addr: listener.Addr().String(), conns: make(chan net.Conn, 1000)}
	t.Cleanup(func() { _ = listener.Close(); g.cut() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			if g.shut.Load() {
				_ = in.Close()
				continue
			}
			out, err := net.Dial("tcp", upstream)
			if err != nil {
				_ = in.Close()
				continue
			}
			g.conns <- in
			g.conns <- out
			go pipe(in, out)
			go pipe(out, in)
		}
	}()
	return g
}

func (g *gate) cut() {
	g.shut.Store(true)
	for len(g.conns) > 0 {
		_ = (<-g.conns).Close()
	}
}

func (g *gate) open() { g.shut.Store(false) }

func pipe(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}
