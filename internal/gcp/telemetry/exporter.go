package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// How long a try to send a batch may take, and after how long there is another.
const (
	tryTime    = 5 * time.Second
	againAfter = 50 * time.Millisecond
)

const protobuf = "application/x-protobuf" // the form of OTLP that is spoken

// exporter sends spans as OTLP over HTTP. OpenTelemetry's own exporter brings gRPC and the
// reflection of protobuf with it, whichever way it sends: 4 MB in a function that needs
// neither.
type exporter struct{ Collector }

var _ sdktrace.SpanExporter = (*exporter)(nil)

// ExportSpans implements sdktrace.SpanExporter. A process is frozen as soon as it has
// answered, in the midst of this more often than not. When it goes on, with the next
// request, its connection may be dead and every time over: so a try has a time of its own,
// whoever has stopped waiting for it, and a second one follows.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	body := encode(spans)
	again, err := e.post(ctx, body)
	if again {
		time.Sleep(againAfter)
		_, err = e.post(ctx, body)
	}
	return err
}

// post tries once; again says that another try may do better.
func (e *exporter) post(ctx context.Context, body []byte) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	for name, value := range e.Headers {
		q.Header.Set(name, value)
	}
	q.Header.Set("Content-Type", protobuf)
	q.Header.Set("User-Agent", "lectern")
	answer, err := e.Client.Do(q)
	if err != nil {
		return true, err
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 4096)) // the connection is used again
	switch answer.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		// An answer has nothing in it, or two bytes that say so, unless spans were refused.
		if len(said) > 2 && answer.Header.Get("Content-Type") == protobuf {
			return false, fmt.Errorf("the collector does not take all spans: %.200q", said)
		}
		return false, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = answer.Header.Get("Retry-After") == "" // else it is too long to wait here
	}
	return again, fmt.Errorf("the collector of spans answers %s: %.200q", answer.Status, said)
}

// Shutdown implements sdktrace.SpanExporter.
func (e *exporter) Shutdown(context.Context) error { return nil }
