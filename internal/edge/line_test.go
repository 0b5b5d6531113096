package edge

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are in memory, for a bubble's clock.
type pipes struct {
	dialled chan net.Conn
	closed  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialled:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// served is a server in a bubble whose answers are streams of a producer.
type served struct {
	*pipes
	drain func()
	ended chan error
}

func serveStreams(t *testing.T, produce Producer) served {
	ctx, drain := context.WithCancel(t.Context())
	s := served{&pipes{make(chan net.Conn), make(chan struct{})}, drain, make(chan error, 1)}
	go func() { s.ended <- Serve(ctx, s.pipes, streaming(produce)) }()
	return s
}

func streaming(produce Producer) http.Handler {
	return HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Of-The-Handler", "stays")
		Stream(w, r, produce)
	}), Options{})
}

// ask asks for a stream, and gives the connection and how the answer begins.
func (s served) ask(t *testing.T) (net.Conn, *http.Response) {
	t.Helper()
	ours, theirs := net.Pipe()
	s.dialled <- theirs
	if _, err := io.WriteString(ours, "GET / HTTP/1.1\r\nHost: lectern\r\nX-Request-Id: the-request\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(ours, 16), nil)
	if err != nil {
		t.Fatal(err)
	}
	return ours, response
}

func (s served) end(t *testing.T) {
	t.Helper()
	s.drain()
	if err := <-s.ended; err != nil {
		t.Error(err)
	}
}

func three(_ context.Context, send func(Message) error) error {
	for _, id := range []string{"1", "2", "3"} {
		if err := send(Message{ID: id, Event: "delta", Data: map[string]string{"text": strings.Repeat("long ", 2000)}}); err != nil {
			return err
		}
	}
	return nil
}

// On a line of its own a stream is what it is elsewhere, to the byte, and its headers are.
func TestALineCarriesTheSameStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serveStreams(t, three)
		_, got := s.ask(t)
		body, err := io.ReadAll(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Request-Id", "the-request")
		rec := httptest.NewRecorder()
		streaming(three).ServeHTTP(rec, r)
		if string(body) != rec.Body.String() {
			t.Errorf("%d bytes on a line, %d elsewhere", len(body), rec.Body.Len())
		}
		if !got.Close || got.Header.Get("Date") == "" {
			t.Errorf("the connection is said to stay, or there is no date: %v", got.Header)
		}
		got.Header.Del("Date")
		for name := range rec.Header() {
			if got.Header.Get(name) != rec.Header().Get(name) || rec.Header().Get(name) == "" {
				t.Errorf("%s: %q on a line, %q elsewhere", name, got.Header.Get(name), rec.Header().Get(name))
			}
		}
		if len(got.Header) != len(rec.Header()) || got.StatusCode != http.StatusOK {
			t.Errorf("%d %v", got.StatusCode, got.Header)
		}
		s.end(t)
	})
}

// Of who called Stream nothing runs while it is open, and its context goes on until the
// client hangs up: then it ends at once.
func TestAHungUpLineEndsItsStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var depth [64]uintptr
		var returned, of context.Context
		ended := make(chan error, 1)
		ctx, drain := context.WithCancel(t.Context())
		defer drain()
		s := served{&pipes{make(chan net.Conn), make(chan struct{})}, drain, make(chan error, 1)}
		go func() {
			s.ended <- Serve(ctx, s.pipes, HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var end context.CancelFunc
				returned, end = context.WithCancel(context.Background())
				defer end()
				of = r.Context()
				Stream(w, r, func(ctx context.Context, _ func(Message) error) error {
					if n := runtime.Callers(0, depth[:]); n > 16 {
						t.Errorf("%d frames are below the producer", n)
					}
					if returned.Err() == nil {
						t.Error("the handler has not returned")
					}
					<-ctx.Done()
					ended <- of.Err()
					return nil
				})
			}), Options{}))
		}()
		conn, _ := s.ask(t)
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		time.Sleep(time.Minute + heartbeat/2) // a heartbeat would find the connection closed, too
		if of.Err() != nil {
			t.Error("the request's context has ended while the stream is open")
		}
		at := time.Now()
		_ = conn.Close()
		if err := <-ended; err == nil || time.Since(at) > time.Second {
			t.Errorf("%v after the client had gone: %v", time.Since(at), err)
		}
		s.end(t)
	})
}

// The deadline of a write reaches the connection: who takes nothing is let go.
func TestALineHasDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		began := time.Now()
		s := &stream{w: &recorder{ResponseWriter: &line{Conn: theirs}}}
		s.controller = http.NewResponseController(s.w)
		if err := s.write([]byte("nobody reads this")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != streamWriteTime {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// A drain waits for streams as long as there is time, and cuts the others.
func TestADrainWaitsForLines(t *testing.T) {
	t.Parallel()
	for name, takes := range map[string]time.Duration{"in time": 3 * time.Second, "too long": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan struct{})
				s := serveStreams(t, func(ctx context.Context, send func(Message) error) error {
					defer close(ended)
					if err := send(Message{Event: "begun", Data: 1}); err != nil {
						return err
					}
					time.Sleep(takes) // whatever is drained
					return nil
				})
				_, response := s.ask(t)
				read := make(chan error, 1)
				go func() {
					_, err := io.Copy(io.Discard, response.Body)
					read <- err
				}()
				synctest.Wait()
				at := time.Now()
				s.drain()
				err, took := <-s.ended, time.Since(at)
				if cut := <-read; (cut == nil) != (takes < drainTimeout) {
					t.Errorf("the client read until %v", cut)
				}
				if took < min(takes, drainTimeout) || took > min(takes, drainTimeout)+time.Second {
					t.Errorf("the drain took %v: %v", took, err)
				}
				<-ended
			})
		})
	}
}

// A producer that panics ends neither the process nor its stream as a whole one would.
func TestAPanicCutsTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serveStreams(t, func(context.Context, func(Message) error) error { panic("a defect") })
		_, response := s.ask(t)
		if _, err := io.Copy(io.Discard, response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the client read until %v", err)
		}
		s.end(t)
	})
}
