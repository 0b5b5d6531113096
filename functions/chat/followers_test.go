package chat

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lectern.dev/lectern/internal/edge"
)

// door is a rig's handler as it is served, with an eye on each connection.
type door struct {
	addr    string
	serving atomic.Int64 // requests

	mu    sync.Mutex
	conns map[string]*conn // by the address of who reads
	ways  map[string]string
}

// conn is a connection as the server has it.
type conn struct {
	*net.TCPConn
	wrote   atomic.Int64 // bytes that were taken from the server
	longest atomic.Int64 // nanoseconds of one write
	closed  atomic.Bool
}

func (c *conn) Write(b []byte) (int, error) {
	began := time.Now()
	n, err := c.TCPConn.Write(b)
	c.wrote.Add(int64(n))
	c.longest.Store(max(c.longest.Load(), int64(time.Since(began)))) // one goroutine writes
	return n, err
}

func (c *conn) Close() error {
	c.closed.Store(true)
	return c.TCPConn.Close()
}

// eyed is a listener that shows the door what it accepts.
type eyed struct {
	net.Listener
	d *door
}

func (l eyed) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	own := &conn{TCPConn: c.(*net.TCPConn)}
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	l.d.conns[c.RemoteAddr().String()] = own
	return own, nil
}

// door serves the handler as its program does.
func (r *rig) door() *door {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	d := &door{addr: l.Addr().String(), conns: map[string]*conn{}, ways: map[string]string{}}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- edge.Serve(ctx, eyed{l, d}, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			d.serving.Add(1)
			defer d.serving.Add(-1)
			r.Handler.ServeHTTP(w, q)
		}))
	}()
	r.t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			r.t.Error(err)
		}
	})
	return d
}

// of is a follower's connection as the server has it.
func (d *door) of(f *follower) *conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	from := f.LocalAddr().String()
	if way := d.ways[from]; way != "" {
		from = way
	}
	return d.conns[from]
}

// open counts whose connections the server has not closed.
func (d *door) open(all []*follower) (n int) {
	for _, f := range all {
		if c := d.of(f); c != nil && !c.closed.Load() {
			n++
		}
	}
	return n
}

// deadWay is a proxy that forwards until it dies: then it neither forwards nor closes anything.
type deadWay struct {
	addr string
	dies chan struct{}
}

func newDeadWay(t testing.TB, d *door) *deadWay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &deadWay{l.Addr().String(), make(chan struct{})}
	var mu sync.Mutex
	ends := []io.Closer{l}
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range ends {
			_ = c.Close()
		}
	})
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := dial(d.addr, 4<<10)
			if err != nil {
				_ = in.Close()
				continue
			}
			mu.Lock()
			ends = append(ends, in, out)
			mu.Unlock()
			d.mu.Lock()
			d.ways[in.RemoteAddr().String()] = out.LocalAddr().String()
			d.mu.Unlock()
			go w.forward(in, out)
			go w.forward(out, in)
		}
	}()
	return w
}

func (w *deadWay) forward(from, to net.Conn) {
	b := make([]byte, 1<<10)
	for {
		n, err := from.Read(b)
		select {
		case <-w.dies:
			return
		default:
		}
		if err != nil {
			_ = to.Close()
			return
		}
		_, _ = to.Write(b[:n])
	}
}

// dial connects with so much room for what is not read yet; 0: the system's.
func dial(addr string, receive int) (net.Conn, error) {
	d := net.Dialer{Timeout: time.Minute, Control: func(_, _ string, c syscall.RawConn) error {
		if receive == 0 {
			return nil
		}
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receive) })
	}}
	return d.Dial("tcp", addr)
}

// follower reads an answer over as many connections as it takes, and keeps a sum of it.
type follower struct {
	net.Conn
	session, to string
	receive     int // room for what is not read yet
	body        *bufio.Reader
	got         int64        // bytes, on this connection
	pace        func() error // waits before each read; nil: none does

	last   string // id of the last event
	events int
	sum    hash.Hash
	over   bool
}

func (d *door) follower(session, to string, receive int) *follower {
	return &follower{session: session, to: to, receive: receive, sum: sha256.New()}
}

func (f *follower) Read(b []byte) (int, error) {
	if f.pace != nil {
		if err := f.pace(); err != nil {
			return 0, err
		}
		b = b[:min(len(b), 1<<10)]
	}
	n, err := f.Conn.Read(b)
	f.got += int64(n)
	return n, err
}

// come connects and reads the first event that comes, from where it was.
func (f *follower) come() error {
	return f.request("GET /v1/chat/sessions/"+f.session+"/stream", "")
}

func (f *follower) ask(t testing.TB) {
	t.Helper()
	if err := f.request("POST /v1/chat/sessions/"+f.session+"/messages", `{"content":"When?"}`); err != nil {
		t.Fatal(err)
	}
}

func (f *follower) request(what, body string) (err error) {
	if f.Conn != nil {
		_ = f.Conn.Close()
	}
	if f.Conn, err = dial(f.to, f.receive); err != nil {
		return err
	}
	f.got = 0
	last := ""
	if f.last != "" {
		last = "Last-Event-ID: " + f.last + "\r\n"
	}
	if _, err := fmt.Fprintf(f.Conn, "%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s", what, f.to, len(body), last, body); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(f, 1<<10), nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	f.body = bufio.NewReaderSize(response.Body, 1<<10)
	return f.next()
}

// next reads one event. Comments, and the word about coming again, are none.
func (f *follower) next() error {
	for {
		var event strings.Builder
		for {
			line, err := f.body.ReadString('\n')
			if err != nil {
				return err
			}
			event.WriteString(line)
			if line == "\n" {
				break
			}
		}
		whole := event.String()
		id, rest, ok := strings.Cut(strings.TrimPrefix(whole, "id: "), "\n")
		if !strings.HasPrefix(whole, "id: ") || !ok {
			continue
		}
		f.last = strings.Clone(id) // not with the whole event behind it
		f.events++
		f.sum.Write([]byte(whole))
		f.over = strings.HasPrefix(rest, "event: done\n") || strings.HasPrefix(rest, "event: error\n")
		return nil
	}
}

// rest reads to the last event.
func (f *follower) rest() error {
	for !f.over {
		if err := f.next(); err != nil {
			return err
		}
	}
	return nil
}

// crawl reads on at 1 kB a second until it is told to stop.
func (f *follower) crawl(stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	f.pace = func() error {
		select {
		case <-tick.C:
			return nil
		case <-stop:
			return errors.New("told to stop")
		}
	}
	_ = f.rest()
	f.pace = nil
}
