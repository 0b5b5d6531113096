package edge

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/trace"

	"lectern.dev/lectern/internal/trail"
)

// request is what the edge knows about the request in ctx. The error is set by
// whoever answers with it and read once, by the access log.
type request struct {
	id      string
	span    trace.SpanContext // its own where it is traced, else the one that the caller has sent; may be none
	client  netip.Addr        // who sent it; see Front
	dialect Dialect           // in which its errors are told; nil: ours
	err     error

	outer  bool    // HTTP is around the handler, and runs the stream when the handler has returned
	stream *stream // that it is answered with; nil: none

	tracing *tracing   // nil: it is not traced
	own     trace.Span // nil until it is begun
	began   time.Time
	private bool // the platform waits for the answer, and no person

	delivery []slog.Attr // which one it is, of a queue or of events
}

// Trail implements trail.Carrier.
func (q *request) Trail() trail.Trail { return trail.Trail{Request: q.id, Span: q.span} }

func requestOf(ctx context.Context) *request {
	q, _ := trail.Carried(ctx).(*request)
	return q
}

// RequestID gives the id that the response carries in X-Request-Id; empty outside
// a request.
func RequestID(ctx context.Context) string { return trail.From(ctx).Request }

// Failed notes the error with which a request was answered, for the access log.
// API operations, tasks and events do it by themselves; a handler that writes its
// own error page calls it.
func Failed(ctx context.Context, err error) {
	if q := requestOf(ctx); q != nil {
		q.err = err
	}
}

func newRequest(r *http.Request) *request {
	came := trail.Of(r.Header)
	return &request{id: cmp.Or(came.Request, rand.Text()), span: came.Span, began: time.Now()}
}
