package edge

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// line is an HTTP/1.1 connection that a stream has for itself. Of what net/http keeps for
// a request — a goroutine, with the stack of all that was called on the way to the
// stream, 10 kB of buffers, and the request — nothing is left then: thousands of streams
// may be open, and most of them wait. When the stream ends, so does the connection.
type line struct {
	net.Conn
	head []byte // of the answer, until it was sent
}

// lines are the streams of a server that have their connections for themselves, of which
// http.Server knows nothing any more.
type lines struct {
	cut  context.Context // ends when there is no more time for them
	open sync.WaitGroup
}

type linesKey struct{}

// linesFor gives the streams of the server that a request came to, if its answer could be
// one of them: not over HTTP/2, where the connection is others' too, and not where the
// server is not ours.
func linesFor(r *http.Request) *lines {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.Method == http.MethodHead {
		return nil
	}
	all, _ := r.Context().Value(linesKey{}).(*lines)
	return all
}

// take takes the connection of a request that is answered with a stream and these
// headers. It gives nil when that cannot be.
func (l *lines) take(w http.ResponseWriter) *line {
	if l == nil {
		return nil
	}
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nDate: " + time.Now().UTC().Format(http.TimeFormat) + "\r\n")
	_ = w.Header().Write(&head) // a buffer takes everything
	head.WriteString("\r\n")
	l.open.Add(1)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		l.open.Done()
		return nil
	}
	return &line{conn, head.Bytes()}
}

// run has a stream use a line of these until it ends, and tells it when the client has
// hung up; over is called then, and a drain waits for it. A stream that is cut has no end
// that the client could take for one.
func (l *lines) run(on *line, hungUp, over func(), stream func() (cut bool)) {
	defer l.open.Done()
	defer over()
	defer hungUp()
	defer on.Close()
	defer context.AfterFunc(l.cut, func() {
		_ = on.Close()
		hungUp()
	})()
	go on.listen(hungUp)
	if !stream() {
		_, _ = on.Conn.Write([]byte("0\r\n\r\n")) // the client may be gone
	}
}

// unasked is how many bytes, at most, of what a client says during a stream are let go.
const unasked = 256 << 10 // as net/http does with a body that nobody has read

// listen waits for the client to hang up. What it says instead, such as a body that
// nobody has asked for, is let go: a connection that is closed with something unread is
// reset, and what is under way to the client may be lost, RFC 9112 section 9.6. One that
// does not stop is not listened to any more: it is known to have gone when it takes nothing.
func (l *line) listen(hungUp func()) {
	b := make([]byte, 1) // most say nothing
	for left := unasked; left > 0; {
		n, _ := l.Read(b)
		if n == 0 {
			hungUp()
			return
		}
		if left -= n; len(b) == 1 {
			b = make([]byte, 4<<10)
		}
	}
}

var _ http.ResponseWriter = (*line)(nil)

// Header and WriteHeader do nothing: the head of the answer was decided on.
func (l *line) Header() http.Header { return http.Header{} }
func (l *line) WriteHeader(int)     {}

// FlushError has nothing to do: what is written is sent.
func (l *line) FlushError() error { return nil }

// Write sends a chunk, RFC 9112 section 7.1.
func (l *line) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	buffer := encoders.Get().(*[]byte)
	defer encoders.Put(buffer)
	b := append((*buffer)[:0], l.head...)
	b = append(strconv.AppendInt(b, int64(len(p)), 16), "\r\n"...)
	b = append(append(b, p...), "\r\n"...)
	if *buffer = b; cap(b) > 64<<10 { // a rare long one is not kept
		*buffer = nil
	}
	l.head = nil
	if _, err := l.Conn.Write(b); err != nil {
		return 0, err
	}
	return len(p), nil
}

// wait returns when no stream is open any more; it gives the error of ctx when that ends
// before.
func (l *lines) wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		l.open.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
