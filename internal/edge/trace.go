package edge

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/trail"
)

// Tracing is where the spans of requests go. Its zero value is nowhere.
type Tracing struct {
	Tracers trace.TracerProvider
	// Flush sends the spans that are still here; it may hold until ctx ends.
	Flush func(context.Context) error
}

// flushTime is how long spans are waited for: a collector that is down holds a flush until
// its ctx ends.
const flushTime = 500 * time.Millisecond

// Traced has the requests to a handler traced. Between requests the platform gives a
// process no CPU, so what a traced request leaves is sent at its end: nobody waits for that
// but a queue. What still was not sent is when the process ends; see Serve.
//
// The span of a request goes on from the one that its caller names, and every other span
// is below it. It has neither the address nor anything else that people wrote: the one
// line of the log that names the same span has those, without secrets.
func Traced(t Tracing, next http.Handler) http.Handler {
	if t.Tracers == nil {
		return next
	}
	return traced{next, &tracing{tracer: t.Tracers.Tracer("lectern.dev/lectern/internal/edge"), flush: t.Flush}}
}

type traced struct {
	http.Handler
	tracing *tracing
}

func (t traced) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.Handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tracingKey{}, t.tracing)))
}

// Drain finishes what the handler does without a request.
func (t traced) Drain(ctx context.Context) {
	if d, ok := t.Handler.(interface{ Drain(context.Context) }); ok {
		d.Drain(ctx)
	}
}

// Flush sends what was not sent yet; it is called when nothing will come any more.
func (t traced) Flush(ctx context.Context) { t.tracing.send(ctx) }

type tracing struct {
	tracer  trace.Tracer
	flush   func(context.Context) error
	sending atomic.Bool
}

type tracingKey struct{}

func tracingOf(ctx context.Context) *tracing {
	t, _ := ctx.Value(tracingKey{}).(*tracing)
	return t
}

// send has what is still here sent, for a while.
func (t *tracing) send(ctx context.Context) {
	if t.flush == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	_ = t.flush(ctx) // what is lost are spans
}

// begin begins the request's own span, and gives a ctx under which every other span is
// below it. The request goes on from what its caller has sent unless that was changed.
func (q *request) begin(ctx context.Context, method string) context.Context {
	if q.tracing == nil || q.own != nil {
		return ctx
	}
	ctx, q.own = q.tracing.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, q.span), known(method),
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(q.began))
	q.span = q.own.SpanContext()
	return ctx
}

// end ends the span, and has it sent.
func (q *request) end(ctx context.Context, method, route string, status int) {
	q.begin(ctx, method) // a delivery that was refused has not begun
	if q.own == nil {
		return
	}
	if q.own.IsRecording() {
		q.describe(known(method), route, status)
	}
	q.own.End()
	switch {
	case !q.span.IsSampled():
	case q.private:
		q.tracing.send(ctx)
	case q.tracing.sending.CompareAndSwap(false, true): // else those of this request go with the next
		go func() {
			defer q.tracing.sending.Store(false)
			q.tracing.send(ctx)
		}()
	}
}

// describe says what was asked for and what came of it, in the words of
// https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server
func (q *request) describe(method, route string, status int) {
	if route != "" {
		q.own.SetName(method + " " + route)
		q.own.SetAttributes(attribute.String("http.route", route))
	}
	for _, part := range q.delivery {
		q.own.SetAttributes(attribute.String("lectern."+part.Key, part.Value.String()))
	}
	q.own.SetAttributes(attribute.String("http.request.method", method), attribute.Int("http.response.status_code", status), attribute.String("lectern.request_id", q.id))
	failed := status >= 500
	if q.err != nil {
		kind := fault.KindOf(q.err)
		failed = failed || kind == fault.Internal || kind == fault.Unavailable
		q.own.SetAttributes(attribute.String("error.type", kind.String()))
	}
	if failed {
		q.own.SetStatus(codes.Error, "")
	}
}

// known is the method, unless somebody has made it up: a name of spans is one of few.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	}
	return "HTTP"
}

// route is a pattern without its method.
func route(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return path
	}
	return pattern
}

// Follow has a delivery go on from a trail that it carries in itself, before anything is
// done for it: an event of the platform's own comes with headers that know nothing of us.
// A trail that leads nowhere changes nothing. Every delivery is given to it once; see
// Delivery.
func Follow(ctx context.Context, t trail.Trail) context.Context {
	q := requestOf(ctx)
	if q == nil {
		return ctx
	}
	if t.Request != "" {
		q.id = t.Request
	}
	if t.Span.IsValid() {
		q.span = t.Span
	}
	return q.begin(ctx, http.MethodPost)
}
