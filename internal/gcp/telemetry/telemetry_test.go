package telemetry

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// service is a collector of OTLP over HTTP; the first answers are as it is told.
type service struct {
	*httptest.Server
	answers []int
	calls   atomic.Int32
	mu      sync.Mutex
	got     []*collector.ExportTraceServiceRequest
	headers http.Header
}

func serve(t *testing.T, answers ...int) *service {
	t.Helper()
	s := &service{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := int(s.calls.Add(1)); n <= len(s.answers) {
			http.Error(w, "told to", s.answers[n-1])
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
		attribute.String("url.full", "https://storage.googleapis.com/upload?upload_id=secret"),
	)
	inner.AddEvent("first token", trace.WithAttributes(attribute.Int("at", 1)))
	inner.SetStatus(codes.Error, "unavailable")
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
	if below.Kind != tracev1.Span_SPAN_KIND_INTERNAL || string(below.ParentSpanId) != string(parent[:]) || below.Status.Code != tracev1.Status_STATUS_CODE_ERROR || below.Status.Message != "unavailable" ||
		below.EndTimeUnixNano < below.StartTimeUnixNano || time.Since(time.Unix(0, int64(below.StartTimeUnixNano))) > time.Hour ||
		len(below.Events) != 1 || below.Events[0].Name != "first token" || below.Events[0].Attributes[0].Value.GetIntValue() != 1 ||
		len(below.Links) != 1 || string(below.Links[0].SpanId) != string(parent[:]) {
		t.Errorf("below: %v", below)
	}
	text := below.String()
	for _, want := range []string{`"postgresql"`, "int_value:-3", "bool_value:true", "double_value:0.5", `string_value:"stop"`, `"[1,2]"`} {
		if !strings.Contains(strings.ReplaceAll(text, " ", ""), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	if strings.Contains(text, "secret") {
		t.Errorf("a secret is sent: %s", text)
	}
}

// A collector that is busy is asked once more; one that refuses is not.
func TestABusyCollectorIsAskedAgain(t *testing.T) {
	t.Parallel()
	for answer, calls := range map[int]int32{503: 2, 429: 2, 400: 1} {
		s := serve(t, answer)
		tracing := open(t, Settings{Endpoint: s.URL, Ratio: 1})
		_, span := tracing.Tracers.Tracer("test").Start(t.Context(), "POST /")
		span.End()
		if err := tracing.Flush(t.Context()); (err == nil) != (calls == 2) {
			t.Errorf("%d: %v", answer, err)
		}
		if s.calls.Load() != calls || len(s.spans()) != int(calls-1) {
			t.Errorf("%d: %d calls, %d spans", answer, s.calls.Load(), len(s.spans()))
		}
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
		begin := time.Now()
		if err := tracing.Flush(ctx); err == nil {
			t.Error("what was not sent counts as sent")
		}
		cancel()
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it took %s", took)
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
