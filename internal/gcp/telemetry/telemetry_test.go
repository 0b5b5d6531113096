package telemetry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// service is a collector of OTLP over HTTP; the first answers are as it is told.
type service struct {
	*httptest.Server
	answers []answer
	calls   atomic.Int32
	mu      sync.Mutex
	got     []*collector.ExportTraceServiceRequest
	headers http.Header
}

type answer struct {
	status int
	later  string // Retry-After
	body   []byte

	location string // Location
}

func serve(t *testing.T, answers ...answer) *service {
	t.Helper()
	s := &service{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := int(s.calls.Add(1)); n <= len(s.answers) {
			a := s.answers[n-1]
			if w.Header().Set("Content-Type", protobuf); a.later != "" {
				w.Header().Set("Retry-After", a.later)
			}
			if a.location != "" {
				w.Header().Set("Location", a.location)
			}
			w.WriteHeader(a.status)
			_, _ = w.Write(a.body)
			return
		}
		body, err := io.ReadAll(r.Body)
		var sent collector.ExportTraceServiceRequest
		if r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || err != nil || proto.Unmarshal(body, &sent) != nil {
			t.Errorf("%s %s of %d bytes", r.Method, r.URL, len(body))
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got, s.headers = append(s.got, &sent), r.Header
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) spans() (all []*tracev1.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, request := range s.got {
		for _, scope := range request.ResourceSpans[0].ScopeSpans {
			all = append(all, scope.Spans...)
		}
	}
	return all
}

func open(t *testing.T, s Settings) Tracing {
	t.Helper()
	tracing, err := s.Open(t.Context(), "courses")
	if err != nil {
		t.Fatal(err)
	}
	return tracing
}

// What OpenTelemetry's own types read is what was traced.
func TestACollectorIsSentEverything(t *testing.T) {
	t.Parallel()
	s := serve(t)
	tracing := open(t, Settings{Endpoint: s.URL + "/", Ratio: 1, Headers: []string{"api-key=a%2Cb"}})
	ctx, click := tracing.Tracers.Tracer("edge", trace.WithInstrumentationVersion("2")).Start(t.Context(), "POST /v1/lessons/{lesson}/renders", trace.WithSpanKind(trace.SpanKindServer))
	_, inner := tracing.Tracers.Tracer("postgres").Start(ctx, "SELECT jobs", trace.WithLinks(trace.Link{SpanContext: click.SpanContext()}))
	inner.SetAttributes(
		attribute.String("db.system.name", "postgresql"), attribute.Int64("n", -3), attribute.Bool("yes", true), attribute.Float64("share", 0.5),
		attribute.StringSlice("reasons", []string{"stop", ""}), attribute.Int64Slice("numbers", []int64{1, 2}),
		attribute.String("url.full", "https://storage.googleapis.com/upload?upload_id=secret"), attribute.String("cut", "na\xc3"),
		attribute.String("status.message", "Put https://storage.googleapis.com/upload?upload_id=secret: EOF"),
	)
	inner.RecordError(errors.New("Put https://storage.googleapis.com/upload?upload_id=secret: EOF"))
	inner.AddEvent("first token", trace.WithAttributes(attribute.Int("at", 1)))
	inner.SetStatus(codes.Error, "Put https://storage.googleapis.com/upload?upload_id=secret: EOF") // as clients do
	inner.End()
	click.End()
	if err := tracing.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	of := map[string]string{}
	for _, a := range s.got[0].ResourceSpans[0].Resource.Attributes {
		of[a.Key] = a.Value.GetStringValue()
	}
	if of["service.name"] != "courses" || of["service.instance.id"] == "" || len(of) != 2 {
		t.Errorf("it is of %v", of)
	}
	if s.headers.Get("Api-Key") != "a,b" {
		t.Errorf("sent along: %v", s.headers)
	}
	if scopes := s.got[0].ResourceSpans[0].ScopeSpans; len(scopes) != 2 || scopes[0].Scope.Name != "postgres" || scopes[1].Scope.Name != "edge" || scopes[1].Scope.Version != "2" {
		t.Errorf("scopes %v", scopes)
	}
	spans := s.spans()
	below, above := spans[0], spans[1]
	id, parent := inner.SpanContext().TraceID(), click.SpanContext().SpanID()
	if above.Name != "POST /v1/lessons/{lesson}/renders" || above.Kind != tracev1.Span_SPAN_KIND_SERVER || len(above.ParentSpanId) != 0 ||
		string(above.TraceId) != string(id[:]) || string(above.SpanId) != string(parent[:]) || above.Flags&1 != 1 || above.Status.Code != tracev1.Status_STATUS_CODE_UNSET {
		t.Errorf("above: %v", above)
	}
	if below.Kind != tracev1.Span_SPAN_KIND_INTERNAL || string(below.ParentSpanId) != string(parent[:]) || below.Status.Code != tracev1.Status_STATUS_CODE_ERROR ||
		below.EndTimeUnixNano < below.StartTimeUnixNano || time.Since(time.Unix(0, int64(below.StartTimeUnixNano))) > time.Hour ||
		len(below.Events) != 2 || below.Events[0].Name != "exception" || below.Events[1].Name != "first token" || below.Events[1].Attributes[0].Value.GetIntValue() != 1 ||
		len(below.Links) != 1 || string(below.Links[0].SpanId) != string(parent[:]) {
		t.Errorf("below: %v", below)
	}
	text := below.String()
	for _, want := range []string{`"postgresql"`, "int_value:-3", "bool_value:true", "double_value:0.5", `string_value:"stop"`, `"[1,2]"`, "\"na\ufffd\""} {
		if !strings.Contains(strings.ReplaceAll(text, " ", ""), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	if strings.Contains(text, "secret") {
		t.Errorf("a secret is sent: %s", text)
	}
}

// A collector that is busy is asked once more; one that refuses, or wants more time than
// there is, is not. What it refuses without an error is told.
func TestABusyCollectorIsAskedAgain(t *testing.T) {
	t.Parallel()
	partly, err := proto.Marshal(&collector.ExportTraceServiceResponse{PartialSuccess: &collector.ExportTracePartialSuccess{RejectedSpans: 1, ErrorMessage: "too old"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		answer
		calls, spans int
		told         string
	}{
		"busy":        {answer{status: 503}, 2, 1, ""},
		"too many":    {answer{status: 429}, 2, 1, ""},
		"much later":  {answer{status: 429, later: "30"}, 1, 0, "429"},
		"refused":     {answer{status: 400}, 1, 0, "400"},
		"not all":     {answer{status: 200, body: partly}, 1, 0, "too old"},
		"all":         {answer{status: 200, body: []byte{10, 0}}, 1, 0, ""}, // partial_success is there, and empty
		"in no words": {answer{status: 204}, 1, 0, ""},
		"elsewhere":   {answer{status: 302, location: "/sign-in"}, 1, 0, "302"},
	} {
		s := serve(t, c.answer)
		tracing := open(t, Settings{Endpoint: s.URL, Ratio: 1})
		_, span := tracing.Tracers.Tracer("test").Start(t.Context(), "POST /")
		span.End()
		if err := tracing.Flush(t.Context()); (err == nil) != (c.told == "") || err != nil && !strings.Contains(err.Error(), c.told) {
			t.Errorf("%s: %v", name, err)
		}
		if int(s.calls.Load()) != c.calls || len(s.spans()) != c.spans {
			t.Errorf("%s: %d calls, %d spans", name, s.calls.Load(), len(s.spans()))
		}
	}
}

type network func(*http.Request) (*http.Response, error)

func (n network) RoundTrip(q *http.Request) (*http.Response, error) { return n(q) }

// Who stops waiting takes nothing with him, and neither does a process that is frozen while
// it sends: when it goes on, its time is over, and it tries again.
func TestWhatIsSentOutlivesWhoWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries, sent atomic.Int32
		frozenOnce := network(func(q *http.Request) (*http.Response, error) {
			if tries.Add(1) == 1 {
				<-q.Context().Done()
			}
			if err := q.Context().Err(); err != nil {
				return nil, err
			}
			sent.Add(1)
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})
		waiting, cancel := context.WithTimeout(t.Context(), tryTime/10)
		defer cancel()
		e := &exporter{Collector{URL: "http://collector/v1/traces", Client: &http.Client{Transport: frozenOnce}}}
		if err := e.ExportSpans(waiting, tracetest.SpanStubs{{Name: "POST /"}}.Snapshots()); err != nil || tries.Load() != 2 || sent.Load() != 1 {
			t.Errorf("%v after %d tries, %d of which got through", err, tries.Load(), sent.Load())
		}
	})
}

// A connection whose answer did not come may be dead: the next try has another one, of a
// collector that would speak HTTP/2, too.
func TestASilentConnectionIsLeft(t *testing.T) {
	t.Parallel()
	var connections sync.Map
	var tries atomic.Int32
	frozen, giveUp := context.WithCancel(t.Context())
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, known := connections.LoadOrStore(r.RemoteAddr, true); known {
			t.Error("the second try is on the connection of the first")
		}
		if tries.Add(1) == 1 {
			giveUp()
			<-r.Context().Done()
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	c := transport()
	c.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	t.Cleanup(c.CloseIdleConnections)
	e := &exporter{Collector{URL: s.URL, Client: &http.Client{Transport: c}}}
	if _, err := e.post(frozen, nil); err == nil {
		t.Error("what got no answer counts as sent")
	}
	if _, err := e.post(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// Nobody waits for a collector that takes what it is sent and never answers.
func TestADeadCollectorHoldsNobody(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	dead := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-released }))
	t.Cleanup(func() { close(released); dead.Close() })
	for _, endpoint := range []string{dead.URL, "http://127.0.0.1:1"} {
		tracing := open(t, Settings{Endpoint: endpoint, Ratio: 1})
		_, span := tracing.Tracers.Tracer("test").Start(t.Context(), "POST /")
		span.End()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := tracing.Flush(ctx)
		cancel()
		if err == nil {
			t.Error("what was not sent counts as sent")
		}
		if _, tried := errors.AsType[*url.Error](err); tried && endpoint == dead.URL {
			t.Errorf("the tries were waited for: %v", err)
		}
	}
}

// Who calls says whether a request is traced; of those where nobody says, a share is.
func TestTheCallerDecides(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, ratio := range []float64{0, 1} {
		tracing := open(t, Settings{Endpoint: s.URL, Ratio: ratio})
		caller := func(flags trace.TraceFlags) context.Context {
			return trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: flags, Remote: true}))
		}
		for name, c := range map[string]struct {
			ctx  context.Context
			want bool
		}{"nobody": {t.Context(), ratio == 1}, "yes": {caller(trace.FlagsSampled), true}, "no": {caller(0), false}} {
			_, span := tracing.Tracers.Tracer("test").Start(c.ctx, "POST /")
			if span.IsRecording() != c.want {
				t.Errorf("of %v, %s says: %t", ratio, name, span.IsRecording())
			}
			span.End()
		}
	}
}

// What the clients of Google Cloud do is shown below a request, and nowhere else.
func TestClientsAreShownBelowRequests(t *testing.T) { // alone: what they take is set for the whole process
	s := serve(t)
	tracing := open(t, Settings{Endpoint: s.URL, Ratio: 1})
	client := otel.GetTracerProvider().Tracer("client")
	if _, span := client.Start(t.Context(), "Listen"); span.IsRecording() {
		t.Error("what nobody asked for is a trace")
	}
	ctx, request := tracing.Tracers.Tracer("test").Start(t.Context(), "POST /")
	_, span := client.Start(ctx, "CreateTask")
	span.End()
	request.End()
	if err := tracing.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if spans := s.spans(); len(spans) != 2 || spans[0].Name != "CreateTask" || string(spans[0].ParentSpanId) != string(spans[1].SpanId) {
		t.Errorf("%v", spans)
	}
}

func TestItIsOffUnlessItIsToldWhere(t *testing.T) {
	t.Parallel()
	if tracing := open(t, Settings{Ratio: 1}); tracing.Tracers != nil || tracing.Flush != nil {
		t.Errorf("%+v", tracing)
	}
	for _, s := range []Settings{{Ratio: 1.1}, {Ratio: -1}, {Endpoint: "collector:4317", Ratio: 1}, {Endpoint: "http://127.0.0.1:1", Headers: []string{"secret"}, Ratio: 1}} {
		if _, err := s.Open(t.Context(), "courses"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
