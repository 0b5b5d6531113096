package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/trail"
)

// serve starts Serve and gives its address, what stops it, and its outcome.
func serve(t *testing.T, h http.Handler) (address string, stop context.CancelFunc, done <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop, done = serveOn(t, listener, h)
	return listener.Addr().String(), stop, done
}

func serveOn(t *testing.T, listener net.Listener, h http.Handler) (stop context.CancelFunc, done <-chan error) {
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, h) }()
	t.Cleanup(stop)
	return stop, ended
}

func TestServeLetsRequestsInFlightFinish(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop, done := serveOn(t, listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-Draining(r.Context())
		<-release
		fmt.Fprint(w, "whole")
	}))
	got := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			got <- err.Error()
			return
		}
		defer response.Body.Close()
		b, _ := io.ReadAll(response.Body)
		got <- string(b)
	}()
	<-started
	stop()
	close(release)
	if body := <-got; body != "whole" {
		t.Errorf("the request in flight got %q", body)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := listener.Close(); !errors.Is(err, net.ErrClosed) { // its port may be somebody else's by now
		t.Error("a drained server still accepts connections")
	}
}

func TestServeSpeaksCleartextHTTP2(t *testing.T) {
	t.Parallel()
	address, _, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	response, err := (&http.Client{Transport: transport}).Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if b, _ := io.ReadAll(response.Body); string(b) != "HTTP/2.0" {
		t.Errorf("spoke %s", b)
	}
}

func TestStreamEndsCleanlyOnDrain(t *testing.T) {
	t.Parallel()
	address, stop, done := serve(t, Front{}.instrument(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Stream(w, r, func(ctx context.Context, send func(Message) error) error {
			if err := send(Message{ID: "1", Event: "progress", Data: map[string]int{"done": 1}}); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		})
	})))
	response, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "data:") {
	}
	stop()
	for lines.Scan() {
	}
	if lines.Err() != nil {
		t.Errorf("the stream was cut: %v", lines.Err())
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Readers that a drain sends elsewhere are not logged as failures.
func TestADrainIsNoFailureOfAStream(t *testing.T) {
	t.Parallel()
	for _, drained := range []bool{true, false} {
		draining, drain := context.WithCancel(t.Context())
		defer drain()
		told := new(request)
		ctx := trail.Carry(context.WithValue(t.Context(), drainKey{}, draining), told)
		Stream(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(ctx), func(ctx context.Context, _ func(Message) error) error {
			if drained {
				drain()
				<-ctx.Done()
			}
			return fault.New(fault.Unavailable, "The log cannot be read.")
		})
		if (told.err == nil) != drained {
			t.Errorf("drained %v: %v", drained, told.err)
		}
	}
}

func TestLazyRetriesFailureAndKeepsSuccess(t *testing.T) {
	t.Parallel()
	builds := 0
	h := Lazy(func(context.Context) (http.Handler, error) {
		builds++
		if builds == 1 {
			return nil, fault.New(fault.Unavailable, "The database is not there.")
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}), nil
	})
	for i, want := range []int{503, 200, 200} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != want {
			t.Errorf("request %d: %d, want %d", i, w.Code, want)
		}
	}
	if builds != 2 {
		t.Errorf("built %d times", builds)
	}
}

func TestLoadReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	var c struct {
		Database string        `env:"DATABASE_URL, required"`
		Bucket   string        `env:"BUCKET, required"`
		Wait     time.Duration `env:"WAIT, default=3s"`
		Many     int           `env:"MANY"`
		Often    time.Duration `env:"OFTEN"`
		Really   bool          `env:"REALLY"`
		Inner    struct {
			Audience string `env:"AUDIENCE, required"`
			Callers  string `env:"CALLERS, required"`
		}
	}
	err := load(t.Context(), &c, envconfig.MapLookuper(map[string]string{"MANY": "canary", "OFTEN": "canary", "REALLY": "canary"}))
	want := strings.Join([]string{
		"DATABASE_URL is missing", "BUCKET is missing", "MANY is not a whole number", "OFTEN is not a time such as 90s or 720h",
		"REALLY is not true or false", "AUDIENCE is missing", "CALLERS is missing",
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	err = load(t.Context(), &c, envconfig.MapLookuper(map[string]string{"DATABASE_URL": "d", "BUCKET": "b", "MANY": "2", "AUDIENCE": "a", "CALLERS": "c"}))
	if err != nil || c.Inner.Audience != "a" || c.Database != "d" || c.Bucket != "b" || c.Wait != 3*time.Second || c.Many != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestRunFailsBeforeItServes(t *testing.T) {
	wrong := errors.New("BUCKET is missing")
	if err := run(t.Context(), func(context.Context) (http.Handler, error) { return nil, wrong }); !errors.Is(err, wrong) {
		t.Errorf("run: %v", err)
	}
}

// A long task is not cut by the drain's end: it is told at its beginning, and hands over.
func TestDrainEndsATasksContext(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	address, stop, done := serve(t, Task(anyone, func(ctx context.Context, _ []byte) error {
		close(started)
		<-ctx.Done()
		return fault.New(fault.Unavailable, "Handed over.")
	}))
	status := make(chan int, 1)
	go func() {
		response, err := http.Post("http://"+address, "application/json", strings.NewReader("{}"))
		if err != nil {
			status <- 0
			return
		}
		response.Body.Close()
		status <- response.StatusCode
	}()
	<-started
	stop()
	if got := <-status; got != http.StatusServiceUnavailable {
		t.Errorf("the task that was handed over got %d", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
