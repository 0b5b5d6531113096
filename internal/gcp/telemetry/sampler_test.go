package telemetry

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Callers who all ask to be traced get so many traces, and no more; what is below a
// request is traced as that is.
func TestSamplingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSampler(newSampler(0))).Tracer("test")
		asked := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, Remote: true,
		}))
		begin := func() (ctx context.Context, sampled bool) {
			ctx, span := tracer.Start(asked, "request")
			_, below := tracer.Start(ctx, "below")
			if below.SpanContext().IsSampled() != span.SpanContext().IsSampled() || below.SpanContext().TraceID() != (trace.TraceID{1}) {
				t.Errorf("%v is below %v", below.SpanContext(), span.SpanContext())
			}
			return ctx, span.SpanContext().IsSampled()
		}
		traced := func(requests int) (n int) {
			for range requests {
				if _, sampled := begin(); sampled {
					n++
				}
			}
			return n
		}
		first, _ := begin()
		if n := 1 + traced(499); n != tracesAtOnce {
			t.Errorf("%d of 500 at once are traced", n)
		}
		if _, span := tracer.Start(first, "late"); !span.SpanContext().IsSampled() {
			t.Error("what is below a traced request is not")
		}
		time.Sleep(2 * time.Second)
		if n := traced(100); n != 2*tracesPerSecond {
			t.Errorf("%d are traced two seconds later", n)
		}
	})
}
