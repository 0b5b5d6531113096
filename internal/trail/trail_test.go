package trail_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/trail"
)

const (
	id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	parent   = "00-" + id + "-" + span + "-01"
)

func TestOnlyAWellFormedSpanIsFollowed(t *testing.T) {
	t.Parallel()
	for header, valid := range map[string]bool{
		parent: true,
		"cc-" + id + "-" + span + "-01-what-comes":            true,
		"00-" + id + "-" + span + "-03":                       true,
		"00-" + id + "-" + span + "-01-extra":                 false,
		"ff-" + id + "-" + span + "-01":                       false,
		"00-" + strings.ToUpper(id) + "-" + span + "-01":      false,
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01":  false,
		"00-" + id + "-" + strings.Repeat("0", 16) + "-01":    false,
		"00-" + id + "-" + span + "-01 ":                      false,
		"":                                                    false,
		"00-x":                                                false,
		"00-" + id + "-" + span + "-01\r\nSet-Cookie: stolen": false,
	} {
		got := trail.Of(http.Header{"Traceparent": {header}}).Span
		if got.IsValid() != valid || valid && (got.TraceID().String() != id || got.SpanID().String() != span || !got.IsSampled()) {
			t.Errorf("%q: %v", header, got)
		}
	}
	if got := trail.Of(http.Header{"Traceparent": {strings.TrimSuffix(parent, "1") + "0"}}); !got.Span.IsValid() || got.Span.IsSampled() {
		t.Errorf("one that is not sampled: %v", got)
	}
}

// What is kept of a trail, in a row or in an object's metadata, gives the same one again;
// whatever else stands there gives as much as is well formed, and nothing to log.
func TestATrailIsKept(t *testing.T) {
	t.Parallel()
	for _, kept := range []string{"", "request-0001", "request-0001 " + parent, " " + parent} {
		if got := trail.Parse(kept).String(); got != kept {
			t.Errorf("%q became %q", kept, got)
		}
	}
	for text, want := range map[string]string{
		"a b c": "", "<script>alert(1)</script> " + parent: " " + parent, "request-0001 nothing": "request-0001",
		"line\nbreak-12345 x": "", strings.Repeat("x", 129): "", "\x00": "",
	} {
		if got := trail.Parse(text).String(); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	headers := trail.Parse("request-0001 " + parent).Headers()
	if headers["X-Request-Id"] != "request-0001" || headers["Traceparent"] != parent || len(trail.Trail{}.Headers()) != 0 {
		t.Errorf("headers %v", headers)
	}
}

type request string

func (r request) Trail() trail.Trail { return trail.Trail{Request: string(r)} }

func provider(t *testing.T) (*tracetest.SpanRecorder, trace.Tracer) {
	t.Helper()
	seen := tracetest.NewSpanRecorder()
	return seen, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(seen)).Tracer("test")
}

// Parts of the work are below the request's span; of an error the trace has the kind and
// nothing that was said.
func TestPartsOfTheWork(t *testing.T) {
	t.Parallel()
	seen, tracer := provider(t)
	ctx, above := tracer.Start(trail.Carry(t.Context(), request("request-0001")), "POST /")
	inner, part := trail.Begin(ctx, "step write", attribute.Int("lectern.attempt", 2))
	if got := trail.From(inner); got.Request != "request-0001" || got.Span.SpanID() == above.SpanContext().SpanID() {
		t.Errorf("the part leads to %v", got)
	}
	part.End(fault.Wrap(fault.Unavailable, errors.New("inner secret"), "A secret sentence."))
	_, call := trail.Call(ctx, "chat offline-1")
	call.End(nil)
	ended := seen.Ended()
	if len(ended) != 2 || ended[0].Parent().SpanID() != above.SpanContext().SpanID() || ended[0].Status().Code != codes.Error ||
		ended[0].Status().Description != "" || ended[1].SpanKind() != trace.SpanKindClient || ended[1].Status().Code != codes.Unset {
		t.Errorf("%+v", ended)
	}
	if !slices.Contains(ended[0].Attributes(), attribute.String("error.type", "unavailable")) || len(ended[0].Events()) != 0 {
		t.Errorf("it says %v, %v", ended[0].Attributes(), ended[0].Events())
	}
}

// Who follows a trail on another request's time is in the trail's trace, under its id;
// the two traces lead to each other.
func TestFollowingATrail(t *testing.T) {
	t.Parallel()
	seen, tracer := provider(t)
	ctx, sweep := tracer.Start(trail.Carry(t.Context(), request("sweep-0001")), "POST /")
	inner, late := trail.Follow(ctx, trail.Parse("request-0001 "+parent), "send again")
	if got := trail.From(inner); got.Request != "request-0001" || got.Span.TraceID().String() != id {
		t.Errorf("it leads to %v", got)
	}
	if trail.Carried(inner) != trail.Carrier(request("sweep-0001")) {
		t.Error("the request whose time it is was forgotten")
	}
	late.End(nil)
	sweep.End()
	one, other := seen.Ended()[0], seen.Ended()[1]
	if one.Parent().SpanID().String() != span || len(one.Links()) != 1 || one.Links()[0].SpanContext.SpanID() != other.SpanContext().SpanID() ||
		len(other.Links()) != 1 || other.Links()[0].SpanContext.SpanID() != one.SpanContext().SpanID() {
		t.Errorf("%+v, %+v", one, other)
	}
	if again, nowhere := trail.Follow(ctx, trail.Trail{}, "send again"); trail.From(again).Request != "sweep-0001" {
		t.Error("a trail that leads nowhere was followed")
	} else {
		nowhere.End(nil)
	}
}

// A header that is all dashes costs no more than any other.
func TestALongSpanIsNotTakenApart(t *testing.T) { // alone: it measures memory
	h := http.Header{"Traceparent": {strings.Repeat("-", 64<<10)}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 16 {
		trail.Of(h)
	}
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 1<<20 {
		t.Errorf("reading it 16 times allocates %d KiB", spent>>10)
	}
}

// Where nothing is traced nothing is begun, and trails go on all the same.
func TestWithoutAProvider(t *testing.T) { // alone: it counts allocations
	ctx, part := trail.Begin(t.Context(), "step write")
	if ctx != t.Context() || part.Recorded() {
		t.Error("a span was begun for nobody")
	}
	part.Set(attribute.Bool("x", true))
	part.Event("first byte")
	part.End(nil)
	followed, late := trail.Follow(context.Background(), trail.Parse("request-0001 "+parent), "send again")
	if got := trail.From(followed).String(); got != "request-0001 "+parent || late.Recorded() {
		t.Errorf("%s", got)
	}
	late.End(nil)
	if allocated := testing.AllocsPerRun(100, func() {
		_, part := trail.Begin(t.Context(), "step write")
		part.End(nil)
	}); allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}
