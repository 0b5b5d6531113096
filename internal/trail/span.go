package trail

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"lectern.dev/lectern/internal/fault"
)

// scope is whose spans these are.
const scope = "lectern.dev/lectern"

// Span is a part of the work, as the trace shows it. Its zero value is not shown.
type Span struct{ span trace.Span }

// Begin begins a part of the work under ctx. Where the request is not traced it costs
// next to nothing: the provider is that of the span above, and nobody is asked for one.
// Neither name nor attributes hold what people wrote, nor secrets.
func Begin(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, Span) {
	return begin(ctx, name, trace.SpanKindInternal, attributes)
}

// Call is Begin for what another process does.
func Call(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, Span) {
	return begin(ctx, name, trace.SpanKindClient, attributes)
}

func begin(ctx context.Context, name string, kind trace.SpanKind, attributes []attribute.KeyValue) (context.Context, Span) {
	above := trace.SpanFromContext(ctx)
	if !above.IsRecording() {
		return ctx, Span{}
	}
	ctx, span := above.TracerProvider().Tracer(scope).Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	return ctx, Span{span}
}

// Follow goes on with a trail on the time of another request, such as a sweep's that
// sends a lost task again: what is logged, sent and traced under the new ctx belongs to
// the trail. Each of the two traces leads to the other.
func Follow(ctx context.Context, t Trail, name string) (context.Context, Span) {
	if t.Request != "" || t.Span.IsValid() {
		ctx = Carry(ctx, followed{Carried(ctx), t})
	}
	if !t.Span.IsValid() {
		return Begin(ctx, name)
	}
	above := trace.SpanFromContext(ctx)
	ctx = trace.ContextWithRemoteSpanContext(ctx, t.Span)
	ctx, span := above.TracerProvider().Tracer(scope).Start(ctx, name, trace.WithLinks(trace.Link{SpanContext: above.SpanContext()}))
	above.AddLink(trace.Link{SpanContext: span.SpanContext()})
	return ctx, Span{span}
}

// Recording tells whether what is done under ctx is shown to anybody.
func Recording(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// Untraced gives a ctx under which nothing is shown of what is done, such as of
// heartbeats. What is logged and sent under it leads back as before.
func Untraced(ctx context.Context) context.Context {
	return trace.ContextWithSpanContext(ctx, trace.SpanContextFromContext(ctx))
}

// Recorded tells whether somebody will see it, so that attributes which cost something
// need not be made for nobody.
func (s Span) Recorded() bool { return s.span != nil && s.span.IsRecording() }

// Set adds what became known.
func (s Span) Set(attributes ...attribute.KeyValue) {
	if s.span != nil {
		s.span.SetAttributes(attributes...)
	}
}

// Event notes that something has happened now.
func (s Span) Event(name string) {
	if s.span != nil {
		s.span.AddEvent(name)
	}
}

// End ends it. Of an error the trace has the kind alone: its text may quote what people
// wrote, and is in the log.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetAttributes(attribute.String("error.type", fault.KindOf(err).String()))
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}
