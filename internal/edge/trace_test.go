package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/trail"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
)

// watched gives a tracing of which everything is seen.
func watched() (Tracing, *tracetest.SpanRecorder) {
	seen := tracetest.NewSpanRecorder()
	return Tracing{Tracers: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(seen), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))}, seen
}

func statusOf(span sdktrace.ReadOnlySpan) int64 {
	has := attribute.NewSet(span.Attributes()...)
	v, _ := has.Value("http.response.status_code")
	return v.AsInt64()
}

// A request's span has its route, its status and its id, and nothing that somebody wrote.
func TestARequestIsTraced(t *testing.T) {
	t.Parallel()
	tracing, seen := watched()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /lessons/{lesson}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, RequestID(r.Context())) })
	mux.HandleFunc("POST /lessons/{lesson}", func(w http.ResponseWriter, r *http.Request) {
		failing(fault.Wrap(fault.Unavailable, errors.New("inner secret"), "A secret sentence.")).ServeHTTP(w, r)
	})
	mux.HandleFunc("DELETE /lessons/{lesson}", func(w http.ResponseWriter, r *http.Request) {
		failing(fault.New(fault.NotFound, "There is no secret here.")).ServeHTTP(w, r)
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("secret") })
	outer := http.NewServeMux() // as where all functions are one process
	outer.Handle("/courses/", http.StripPrefix("/courses", HTTP(mux, Options{})))
	h := Traced(tracing, outer)
	for _, c := range []struct {
		method, path, name, kind string
		status                   int
		failed                   bool
	}{
		{"GET", "/lessons/secret?token=secret", "GET /lessons/{lesson}", "", 200, false},
		{"POST", "/lessons/secret", "POST /lessons/{lesson}", "unavailable", 503, true},
		{"DELETE", "/lessons/secret", "DELETE /lessons/{lesson}", "not found", 404, false},
		{"GET", "/panic", "GET /panic", "internal", 500, true},
		{"GET", "/secret", "GET", "", 404, false},
		{"POST", "/lessons/large", "POST", "too large", 413, false},
		{"SECRET", "/secret", "HTTP", "", 404, false},
	} {
		r := httptest.NewRequest(c.method, "/courses"+c.path, strings.NewReader("secret"))
		r.Header.Set("Traceparent", "00-"+traceID+"-"+spanID+"-01")
		r.Header.Set("X-Request-Id", "request-0001")
		r.Header.Set("User-Agent", "secret")
		if strings.HasSuffix(c.path, "large") {
			r.ContentLength = 2 << 20 // refused before its route is known
		}
		before := len(seen.Ended())
		h.ServeHTTP(httptest.NewRecorder(), r)
		ended := seen.Ended()[before:]
		if len(ended) != 1 {
			t.Fatalf("%s %s: %d spans", c.method, c.path, len(ended))
		}
		span, has := ended[0], attribute.NewSet(ended[0].Attributes()...)
		status, _ := has.Value("http.response.status_code")
		kind, _ := has.Value("error.type")
		id, _ := has.Value("lectern.request_id")
		if span.Name() != c.name || span.SpanKind() != trace.SpanKindServer || int(status.AsInt64()) != c.status || kind.AsString() != c.kind || id.AsString() != "request-0001" ||
			(span.Status().Code == codes.Error) != c.failed {
			t.Errorf("%s %s: %s, %v, %v", c.method, c.path, span.Name(), span.Attributes(), span.Status())
		}
		if span.SpanContext().TraceID().String() != traceID || span.Parent().SpanID().String() != spanID {
			t.Errorf("%s goes on from %v", c.name, span.Parent())
		}
		if strings.Contains(strings.ToLower(fmt.Sprint(span.Name(), span.Attributes(), span.Events(), span.Status())), "secret") {
			t.Errorf("%s tells %v, %v", c.name, span.Attributes(), span.Events())
		}
	}
}

// Probers are answered under both names, from inside and from outside, and leave no trace.
func TestHealth(t *testing.T) {
	t.Parallel()
	tracing, seen := watched()
	for _, h := range []http.Handler{
		HTTP(http.NotFoundHandler(), Options{}),
		Task(CallersFunc(func(*http.Request) error { return fault.New(fault.Unauthenticated, "Who are you?") }), func(context.Context, []byte) error { return nil }),
	} {
		h = Traced(tracing, h)
		for path, want := range map[string]int{"/healthz": 200, "/health": 200, "/health/": 404, "/healthy": 404} {
			for _, method := range []string{"GET", "HEAD"} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
				if (w.Code == 200) != (want == 200) || w.Code == 200 && w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("%s %s: %d", method, path, w.Code)
				}
			}
		}
	}
	for _, span := range seen.Ended() {
		if statusOf(span) == 200 {
			t.Errorf("a prober is traced: %v", span.Attributes())
		}
	}
}

// A task goes on from what has sent it; an event, whose headers know nothing of us, from
// what it carries in itself. What is malformed there is not followed.
func TestADeliveryFollowsItsTrail(t *testing.T) {
	t.Parallel()
	tracing, seen := watched()
	anyone := CallersFunc(func(*http.Request) error { return nil })
	deliver := func(h http.Handler, parent string) sdktrace.ReadOnlySpan {
		t.Helper()
		r := httptest.NewRequest("POST", "/render/", strings.NewReader("request-0002 00-"+traceID+"-"+spanID+"-01"))
		r.Header.Set("Traceparent", parent)
		r.Header.Set("X-Request-Id", "request-0001")
		before := len(seen.Ended())
		Traced(tracing, h).ServeHTTP(httptest.NewRecorder(), r)
		ended := seen.Ended()[before:]
		if len(ended) != 1 || ended[0].Name() != "POST /" {
			t.Fatalf("%v", ended)
		}
		return ended[0]
	}
	id := ""
	task := Task(anyone, func(ctx context.Context, _ []byte) error { id = RequestID(ctx); return nil })
	if span := deliver(task, "00-"+traceID+"-"+spanID+"-01"); span.SpanContext().TraceID().String() != traceID || span.Parent().SpanID().String() != spanID || id != "request-0001" {
		t.Errorf("a task goes on from %v under %s", span.Parent(), id)
	}
	if span := deliver(task, "00-"+traceID); span.Parent().IsValid() {
		t.Errorf("a malformed one is followed: %v", span.Parent())
	}
	event := Delivery(anyone, func(r *http.Request, body []byte) error {
		id = RequestID(Follow(r.Context(), trail.Parse(string(body))))
		return nil
	})
	if span := deliver(event, "00-11111111111111111111111111111111-2222222222222222-01"); span.SpanContext().TraceID().String() != traceID || span.Parent().SpanID().String() != spanID || id != "request-0002" {
		t.Errorf("an event goes on from %v under %s", span.Parent(), id)
	}
	refused := Delivery(CallersFunc(func(*http.Request) error { return fault.New(fault.Denied, "Not you.") }), nil)
	if got := statusOf(deliver(refused, "")); got != 403 {
		t.Errorf("who is refused is told %d", got)
	}
}

// What a request leaves is sent at its end, if it is sampled: a queue waits for that, for
// as long as flushTime at most; a person has the answer before.
func TestSpansAreSentAtTheEndOfARequest(t *testing.T) {
	t.Parallel()
	tracing, _ := watched()
	begun, answered := make(chan struct{}, 3), make(chan struct{})
	tracing.Flush = func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok || errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("a flush without a deadline, or that is over: %v", ctx.Err())
		}
		begun <- struct{}{}
		select { // a collector that takes its time
		case <-answered:
		case <-time.After(20 * time.Second):
			t.Error("who asked waits for the collector")
		}
		return nil
	}
	person := httptest.NewServer(Traced(tracing, HTTP(ok, Options{})))
	t.Cleanup(person.Close)
	for range 3 {
		res, err := http.Get(person.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if string(body) != "ok" {
			t.Errorf("%q", body)
		}
	}
	<-begun
	if len(begun) > 0 {
		t.Error("two flushes at once")
	}
	close(answered)

	var sent atomic.Int32
	tracing.Flush = func(context.Context) error { sent.Add(1); return nil } // of the tasks alone
	task := Traced(tracing, Task(CallersFunc(func(*http.Request) error { return nil }), func(context.Context, []byte) error { return nil }))
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Traceparent", "00-"+traceID+"-"+spanID+"-00")
	task.ServeHTTP(httptest.NewRecorder(), r)
	if n := sent.Load(); n != 0 {
		t.Errorf("%d flushes for one that is not sampled", n)
	}
	task.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
	if n := sent.Load(); n != 1 {
		t.Errorf("%d flushes before the queue was answered", n)
	}
}

// A stream's span lasts as long as the stream.
func TestAStreamIsTracedToItsEnd(t *testing.T) {
	t.Parallel()
	tracing, seen := watched()
	begun, release := make(chan trace.SpanContext, 1), make(chan struct{})
	address, stop, done := serve(t, Traced(tracing, HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Stream(w, r, func(ctx context.Context, send func(Message) error) error {
			begun <- trace.SpanContextFromContext(ctx)
			<-release
			return send(Message{Event: "end", Data: 1})
		})
	}), Options{})))
	res, err := http.Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	within := <-begun
	if n := len(seen.Ended()); n != 0 {
		t.Errorf("%d spans have ended before the stream", n)
	}
	close(release)
	if body, _ := io.ReadAll(res.Body); !strings.Contains(string(body), "event: end") {
		t.Errorf("%s", body)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if ended := seen.Ended(); len(ended) != 1 || ended[0].SpanContext().SpanID() != within.SpanID() {
		t.Errorf("%v", ended)
	}
}

// When the process is told to stop, what was not sent is, after the last request.
func TestTheEndOfAProcessSendsSpans(t *testing.T) {
	t.Parallel()
	tracing, seen := watched()
	working, release, flushed := make(chan struct{}), make(chan struct{}), make(chan int, 9)
	tracing.Flush = func(context.Context) error { flushed <- len(seen.Ended()); return nil }
	drained := false
	address, stop, done := serve(t, Traced(tracing, HTTP(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(working)
		<-release
	}), Options{Drain: func(context.Context) { drained = true }})))
	r, err := http.NewRequest("GET", "http://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Traceparent", "00-"+traceID+"-"+spanID+"-00") // sends nothing by itself
	go func() {
		if res, err := http.DefaultClient.Do(r); err == nil {
			_ = res.Body.Close()
		}
	}()
	<-working
	stop()
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	select {
	case <-flushed:
	case <-time.After(10 * time.Second):
		t.Error("nothing was sent")
	}
	if !drained {
		t.Error("what stands behind was not drained")
	}
}

func TestNothingIsTracedUnlessItIsToldWhere(t *testing.T) {
	t.Parallel()
	h := http.NewServeMux()
	if Traced(Tracing{}, h) != http.Handler(h) {
		t.Error("something stands before the handler")
	}
	w := httptest.NewRecorder()
	HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if trail.Recording(r.Context()) {
			t.Error("a span without a provider")
		}
		fmt.Fprint(w, trail.From(r.Context()).Headers()["Traceparent"])
	}), Options{}).ServeHTTP(w, func() *http.Request {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Traceparent", "00-"+traceID+"-"+spanID+"-01")
		return r
	}())
	if got := w.Body.String(); got != "00-"+traceID+"-"+spanID+"-01" {
		t.Errorf("what comes is passed on as %q", got)
	}
}
