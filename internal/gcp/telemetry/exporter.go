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

// How long a batch may take, and a part of it that did not get through.
const (
	exportTime = 10 * time.Second
	againAfter = 50 * time.Millisecond
)

// exporter sends spans as OTLP over HTTP. OpenTelemetry's own exporter brings gRPC and the
// reflection of protobuf with it, whichever way it sends: 4 MB in a function that needs
// neither.
type exporter struct{ Collector }

var _ sdktrace.SpanExporter = (*exporter)(nil)

// ExportSpans implements sdktrace.SpanExporter. A connection that was frozen with the
// process may be dead, and a collector may be busy: it tries once more.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	body := encode(spans)
	again, err := e.post(ctx, body)
	if !again {
		return err
	}
	select {
	case <-time.After(againAfter):
		_, err = e.post(ctx, body)
	case <-ctx.Done():
	}
	return err
}

// post tries once; again says that another try may do better.
func (e *exporter) post(ctx context.Context, body []byte) (again bool, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	for name, value := range e.Headers {
		q.Header.Set(name, value)
	}
	q.Header.Set("Content-Type", "application/x-protobuf")
	q.Header.Set("User-Agent", "lectern")
	answer, err := e.Client.Do(q)
	if err != nil {
		return ctx.Err() == nil, err
	}
	defer answer.Body.Close()
	why, _ := io.ReadAll(io.LimitReader(answer.Body, 512)) // the connection is used again
	switch answer.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return false, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	return again, fmt.Errorf("the collector of spans answers %s: %.200q", answer.Status, why)
}

// Shutdown implements sdktrace.SpanExporter.
func (e *exporter) Shutdown(context.Context) error { return nil }
