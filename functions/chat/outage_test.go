package chat

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/postgres"
)

// way is the way to the database, which can be cut.
type way struct {
	net.Listener
	socket string // of the database

	mu   sync.Mutex
	cut  bool
	open map[net.Conn]struct{}
}

// newWay opens one to a pool's database, and gives its URL.
func newWay(t *testing.T, to *pgxpool.Pool) (*way, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	c := to.Config().ConnConfig
	network, address := pgconn.NetworkAddress(c.Host, c.Port)
	w := &way{Listener: listener, socket: address, open: map[net.Conn]struct{}{}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go w.carry(conn, network)
		}
	}()
	u := url.URL{Scheme: "postgres", User: url.UserPassword(c.User, c.Password), Host: listener.Addr().String(), Path: "/" + c.Database, RawQuery: "sslmode=disable"}
	return w, u.String()
}

func (w *way) carry(conn net.Conn, network string) {
	defer conn.Close()
	w.mu.Lock()
	cut := w.cut
	w.open[conn] = struct{}{}
	w.mu.Unlock()
	if cut {
		return
	}
	server, err := net.Dial(network, w.socket)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, conn)
		_ = server.Close()
	}()
	_, _ = io.Copy(conn, server)
}

// set cuts the way, with all that goes over it, or opens it again.
func (w *way) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for conn := range w.open {
		if cut {
			_ = conn.Close()
		}
		delete(w.open, conn)
	}
}

// F21: while the database is away, new requests are told to come again, and at once; an
// open stream stays open, is sent nothing that is not stored, and goes on with all of
// the answer when the database is back.
func TestAnOutageOfTheDatabase(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	database, url := newWay(t, r.db)
	pool := func(role postgres.Role) *pgxpool.Pool {
		t.Helper()
		p, err := postgres.Open(t.Context(), url, postgres.Options{Role: role})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		return p
	}
	d := r.deps
	d.DB, d.System = pool(postgres.Tenant), pool(postgres.System)
	d.Relay = relay.New(relay.Options{DB: d.System})
	r.serve(d)
	base, ses := r.listen(), r.session()
	goOn := make(chan struct{})
	r.model.says(held(goOn, "Owls hunt ", "at night."))
	reader := open(t, base, "POST", "/v1/chat/sessions/"+ses+"/messages", map[string]any{"content": "When?"})
	seen := reader.until("delta")

	database.set(true)
	close(goOn) // the model goes on meanwhile
	for _, path := range []string{"/v1/chat/sessions", "/v1/chat/sessions/" + ses + "/messages"} {
		begun := time.Now()
		a := r.do("GET", path, nil)
		t.Logf("%s: %d after %s", path, a.Code, time.Since(begun))
		if a.Code != 503 || a.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d: %s", path, a.Code, a.Body)
		}
	}
	if a := r.do("POST", "/v1/chat/sessions/"+ses+"/messages", map[string]any{"content": "Where?"}); a.Code != 503 {
		t.Errorf("%d: %s", a.Code, a.Body)
	}
	select {
	case e, ok := <-reader.events:
		t.Fatalf("while nothing can be stored the stream goes on with %+v, %t", e, ok)
	case <-time.After(500 * time.Millisecond):
	}
	database.set(false)
	all := append(seen, reader.rest()...)
	if text(t, all) != "Owls hunt at night." || all[len(all)-1].name != "done" {
		t.Errorf("%+v", all)
	}
	if m := last(t, all); m.Content != "Owls hunt at night." {
		t.Errorf("%+v", m)
	}
}
