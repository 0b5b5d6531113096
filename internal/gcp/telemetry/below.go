package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// belowRequests makes spans below those of requests only. What clients do for themselves,
// such as listening to a document or fetching a token, would be traces of one span that
// nobody asked for.
type belowRequests struct{ trace.TracerProvider }

// Tracer implements trace.TracerProvider.
func (b belowRequests) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	return belowRequest{b.TracerProvider.Tracer(name, options...)}
}

type belowRequest struct{ trace.Tracer }

// Start implements trace.Tracer.
func (b belowRequest) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return noop.Tracer{}.Start(ctx, name, options...)
	}
	return b.Tracer.Start(ctx, name, options...)
}
