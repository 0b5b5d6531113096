package edge

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// dressed answers with a stream and headers of all kinds.
func dressed(produce Producer) http.Handler {
	return HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "one=1; Path=/")
		w.Header().Add("Set-Cookie", "two=2; Path=/")
		w.Header().Set("Content-Language", "es\r\nX-Forged: yes")
		Stream(w, r, produce)
	}), Options{TrustedOrigins: []string{"https://school.example"}})
}

// say sends a request as it is to a server, and gives the connection.
func say(t *testing.T, to *pipes, request string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	to.dialled <- theirs
	t.Cleanup(func() { _ = ours.Close() })
	if _, err := io.WriteString(ours, request); err != nil {
		t.Fatal(err)
	}
	return ours
}

// What a client gets on a line is what net/http would have sent it, but for the end of
// the connection: each header, with each of its values, and the body.
func TestALineAnswersAsNetHTTPDoes(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"a page of ours":             "GET / HTTP/1.1\r\nHost: lectern\r\nX-Request-Id: the-request\r\n\r\n",
		"a trusted origin":           "GET / HTTP/1.1\r\nHost: lectern\r\nX-Request-Id: the-request\r\nOrigin: https://school.example\r\n\r\n",
		"another origin":             "GET / HTTP/1.1\r\nHost: lectern\r\nX-Request-Id: the-request\r\nOrigin: https://else.example\r\n\r\n",
		"over TLS, to the front":     "GET / HTTP/1.1\r\nHost: lectern\r\nX-Request-Id: the-request\r\nX-Forwarded-Proto: https\r\n\r\n",
		"HTTP/1.0":                   "GET / HTTP/1.0\r\nHost: lectern\r\nX-Request-Id: the-request\r\n\r\n",
		"HEAD":                       "HEAD / HTTP/1.1\r\nHost: lectern\r\nX-Request-Id: the-request\r\n\r\n",
		"a body that is not awaited": "POST / HTTP/1.1\r\nHost: lectern\r\nX-Request-Id: the-request\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, drain := context.WithCancel(t.Context())
				lined, plain := &pipes{make(chan net.Conn), make(chan struct{})}, &pipes{make(chan net.Conn), make(chan struct{})}
				ended := make(chan error, 1)
				go func() { ended <- Serve(ctx, lined, dressed(three)) }()
				server := &http.Server{Handler: dressed(three)}
				go func() { _ = server.Serve(plain) }()
				type heard struct {
					Status, Body string
					Header       http.Header
					Encoding     []string
				}
				hear := func(to *pipes) heard {
					method, _, _ := strings.Cut(request, " ")
					response, err := http.ReadResponse(bufio.NewReader(say(t, to, request)), &http.Request{Method: method})
					if err != nil {
						t.Fatal(err)
					}
					body, err := io.ReadAll(response.Body)
					if err != nil {
						t.Error(err)
					}
					response.Header.Del("Connection")
					return heard{response.Proto + " " + response.Status, string(body), response.Header, response.TransferEncoding}
				}
				got, want := hear(lined), hear(plain)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("net/http (-), a line (+):\n%s", diff)
				}
				if len(got.Header["Set-Cookie"]) != 2 || got.Header.Get("X-Forged") != "" || got.Header.Get("X-Request-Id") != "the-request" {
					t.Errorf("%v", got.Header)
				}
				drain()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				_ = server.Close()
			})
		})
	}
}

// A body that nobody has asked for, and another request behind the first, are taken from
// the connection: closing it with something unread would reset it, and the end of the
// stream might be lost. The client is heard to hang up behind them, too.
func TestALineTakesWhatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hungUp := make(chan struct{})
		s := serveStreams(t, func(ctx context.Context, _ func(Message) error) error {
			<-ctx.Done()
			close(hungUp)
			return nil
		})
		conn := say(t, s.pipes, "POST / HTTP/1.1\r\nHost: lectern\r\nContent-Length: 9000\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, response.Body) }()
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := io.WriteString(conn, strings.Repeat("x", 9000)+"GET /again HTTP/1.1\r\nHost: lectern\r\n\r\n"); err != nil {
			t.Errorf("the body was left in the connection: %v", err)
		}
		synctest.Wait()
		at := time.Now()
		_ = conn.Close()
		<-hungUp
		if took := time.Since(at); took > time.Second {
			t.Errorf("the client was heard to hang up %v later", took)
		}
		s.end(t)
	})
}

// A client that talks without end is not listened to without end.
func TestALineIsNotListenedToForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serveStreams(t, func(ctx context.Context, _ func(Message) error) error {
			<-ctx.Done()
			return nil
		})
		conn := say(t, s.pipes, "GET / HTTP/1.1\r\nHost: lectern\r\n\r\n")
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := io.WriteString(conn, strings.Repeat("x", 2*unasked)); err == nil || n < unasked {
			t.Errorf("%d bytes were taken: %v", n, err)
		}
		s.end(t)
	})
}

// slowly is a log that takes its time.
type slowly struct{ slog.Handler }

func (s slowly) Handle(ctx context.Context, r slog.Record) error {
	time.Sleep(time.Second)
	return s.Handler.Handle(ctx, r)
}

// A stream on a line is logged once, when it is over, with what was sent and how long it
// took, and a drain waits for that.
func TestALineIsLoggedWhenItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		before, writer, flags := slog.Default(), log.Writer(), log.Flags()
		slog.SetDefault(slog.New(slowly{Logger(&out, slog.LevelInfo, "demo").Handler()}))
		defer func() { // package log would go on to write to it
			slog.SetDefault(before)
			log.SetOutput(writer)
			log.SetFlags(flags)
		}()
		s := serveStreams(t, func(ctx context.Context, send func(Message) error) error {
			if err := send(Message{ID: "1", Data: "a"}); err != nil {
				return err
			}
			time.Sleep(3 * time.Second)
			<-ctx.Done()
			return nil
		})
		_, response := s.ask(t)
		read := make(chan int64, 1)
		go func() {
			n, _ := io.Copy(io.Discard, response.Body)
			read <- n
		}()
		time.Sleep(3 * time.Second)
		if out.Len() != 0 {
			t.Errorf("logged before it is over: %s", &out)
		}
		s.end(t)
		var line struct {
			HTTPRequest struct {
				Status       int
				Latency      string
				ResponseSize json.Number
				RequestURL   string
			}
		}
		if err := json.Unmarshal([]byte(out.String()), &line); err != nil {
			t.Fatalf("not one line when the drain is over: %v: %q", err, out.String())
		}
		size, _ := line.HTTPRequest.ResponseSize.Int64()
		if q := line.HTTPRequest; q.Status != http.StatusOK || q.Latency != "3.000000s" || size != <-read {
			t.Errorf("%+v", q)
		}
	})
}

// A client that goes ends what is done for it, stream or not.
func TestARequestEndsWhenItsClientGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, drain := context.WithCancel(t.Context())
		to, ended, gone := &pipes{make(chan net.Conn), make(chan struct{})}, make(chan error, 1), make(chan time.Time, 1)
		go func() {
			ended <- Serve(ctx, to, HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-r.Context().Done():
				case <-time.After(20 * time.Second):
				}
				gone <- time.Now()
			}), Options{}))
		}()
		conn := say(t, to, "GET / HTTP/1.1\r\nHost: lectern\r\n\r\n")
		time.Sleep(time.Second)
		at := time.Now()
		_ = conn.Close()
		if took := (<-gone).Sub(at); took > time.Second {
			t.Errorf("the request went on for %v", took)
		}
		drain()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A handler that gives up when it has begun a stream has none.
func TestAHandlerThatGivesUpHasNoStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, drain := context.WithCancel(t.Context())
		to, ended := &pipes{make(chan net.Conn), make(chan struct{})}, make(chan error, 1)
		go func() {
			ended <- Serve(ctx, to, HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				Stream(w, r, three)
				panic(http.ErrAbortHandler)
			}), Options{}))
		}()
		if b, err := io.ReadAll(say(t, to, "GET / HTTP/1.1\r\nHost: lectern\r\n\r\n")); len(b) != 0 {
			t.Errorf("%.80q, %v", b, err)
		}
		drain()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A chunk without a byte would be the end of the stream, RFC 9112 section 7.1.
func TestNothingIsNoChunk(t *testing.T) {
	t.Parallel()
	if n, err := new(line).Write(nil); n != 0 || err != nil { // there is no connection
		t.Errorf("%d, %v", n, err)
	}
}
