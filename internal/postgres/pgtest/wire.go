package pgtest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Wire stands between a client and its database. It counts what the client asks, and
// cuts the connection where a test wants it: before the server hears a request, or after
// it has done it and before the client knows.
type Wire struct {
	t      testing.TB
	url    url.URL
	server string // the socket

	mu    sync.Mutex
	left  int // requests until the cut; 0: none is planned
	after bool
	then  func()
	asked map[string]int
	seen  []string // statements since Cut was planned, the one that was cut last
	isCut bool
}

// NewWire stands before the database of a URL of this package or of a cluster.
func NewWire(t testing.TB, database string) *Wire {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "lectern-wire-") // the path of a socket has little room
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	const socket = ".s.PGSQL.5432"
	query := u.Query()
	w := &Wire{t: t, asked: map[string]int{}, server: filepath.Join(query.Get("host"), socket)}
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	w.url = *u
	listener, err := net.Listen("unix", filepath.Join(dir, socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go w.serve(client)
		}
	}()
	return w
}

// URL is the database's by way of the wire.
func (w *Wire) URL() string { return w.url.String() }

// Cut plans to cut the connection at the nth request from now, before or after the
// server has done it. At that moment then is called, if it is not nil.
func (w *Wire) Cut(nth int, after bool, then func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left, w.after, w.then, w.seen, w.isCut = nth, after, then, nil, false
}

// WasCut tells whether the cut that was planned has come, and the statements that the
// client has asked for until then.
func (w *Wire) WasCut() (bool, []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = 0
	return w.isCut, w.seen
}

type cutting int

const (
	pass cutting = iota
	cutNow
	cutAfterAnswer
)

// Asked tells how often the server was asked for a statement.
func (w *Wire) Asked(statement string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[statement]
}

// count counts a request.
func (w *Wire) count(statement string) (cutting, func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[statement]++
	if w.left == 0 {
		return pass, nil
	}
	w.seen = append(w.seen, statement)
	if w.left--; w.left > 0 {
		return pass, nil
	}
	w.isCut = true
	if w.after {
		return cutAfterAnswer, w.then
	}
	return cutNow, w.then
}

// serve passes one connection's messages on until it ends or is cut.
func (w *Wire) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", w.server)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer server.Close()
	if err := passOn(client, server); err != nil {
		return
	}
	var mu sync.Mutex
	var swallow func() // what to do once the answer is there, in place of passing it on
	go func() {
		defer client.Close()
		for {
			kind, message, err := readMessage(server, true)
			if err != nil {
				return
			}
			mu.Lock()
			end := swallow
			mu.Unlock()
			switch {
			case end == nil:
				if _, err := client.Write(message); err != nil {
					return
				}
			case kind == 'Z':
				end()
				return
			}
		}
	}()
	statement := ""
	for {
		kind, message, err := readMessage(client, true)
		if err != nil {
			return
		}
		switch kind {
		case 'Q':
			statement = string(message[5 : len(message)-1])
		case 'P':
			_, query, _ := strings.Cut(string(message[5:]), "\x00") // behind the prepared statement's name
			statement, _, _ = strings.Cut(query, "\x00")
		}
		if kind == 'Q' || kind == 'S' {
			what, then := w.count(statement)
			end := func() {
				if then != nil {
					then()
				}
			}
			switch what {
			case cutNow:
				end()
				return
			case cutAfterAnswer:
				mu.Lock()
				swallow = end
				mu.Unlock()
			case pass:
			}
		}
		if _, err := server.Write(message); err != nil {
			return
		}
	}
}

// passOn passes on the first message of a client, which has no type.
func passOn(from io.Reader, to io.Writer) error {
	_, message, err := readMessage(from, false)
	if err != nil {
		return err
	}
	_, err = to.Write(message)
	return err
}

// readMessage reads one message of Postgres' protocol: a type, but for the first one of
// a client, a length, and so many bytes.
// https://www.postgresql.org/docs/15/protocol-message-formats.html
func readMessage(from io.Reader, typed bool) (kind byte, message []byte, err error) {
	head := make([]byte, 4, 5)
	if typed {
		head = head[:5]
	}
	if _, err := io.ReadFull(from, head); err != nil {
		return 0, nil, err
	}
	if typed {
		kind = head[0]
	}
	length := binary.BigEndian.Uint32(head[len(head)-4:])
	if length < 4 || length > 1<<26 {
		return 0, nil, errors.New("this is no message of Postgres' protocol")
	}
	message = append(head, make([]byte, length-4)...)
	_, err = io.ReadFull(from, message[len(head):])
	return kind, message, err
}
