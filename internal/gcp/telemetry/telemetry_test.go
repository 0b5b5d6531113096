package telemetry

import (
	"context"
	"net"
	"testing"
	"time"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// collector keeps what it is sent.
type collector struct {
	collectormetrics.UnimplementedMetricsServiceServer
	spans   chan *collectortraces.ExportTraceServiceRequest
	figures chan *collectormetrics.ExportMetricsServiceRequest
}

// traces is the other service that a collector has; both methods are named Export.
type traces struct {
	collectortraces.UnimplementedTraceServiceServer
	*collector
}

func (c *collector) Export(_ context.Context, r *collectormetrics.ExportMetricsServiceRequest) (*collectormetrics.ExportMetricsServiceResponse, error) {
	c.figures <- r
	return &collectormetrics.ExportMetricsServiceResponse{}, nil
}

func (c traces) Export(_ context.Context, r *collectortraces.ExportTraceServiceRequest) (*collectortraces.ExportTraceServiceResponse, error) {
	c.spans <- r
	return &collectortraces.ExportTraceServiceResponse{}, nil
}

func TestACollectorIsSentEverything(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{spans: make(chan *collectortraces.ExportTraceServiceRequest, 9), figures: make(chan *collectormetrics.ExportMetricsServiceRequest, 9)}
	server := grpc.NewServer()
	collectormetrics.RegisterMetricsServiceServer(server, c)
	collectortraces.RegisterTraceServiceServer(server, traces{collector: c})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	p, err := Settings{Endpoint: "http://" + listener.Addr().String()}.Open(t.Context(), "chat")
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.Tracers.Tracer("test").Start(t.Context(), "chat offline-1")
	span.End()
	counter, err := p.Meters.Meter("test").Int64Counter("lectern.chat.turns")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 3)
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent := (<-c.spans).ResourceSpans[0]
	if name := sent.ScopeSpans[0].Spans[0].Name; name != "chat offline-1" {
		t.Errorf("the span is %s", name)
	}
	of := map[string]string{}
	for _, a := range sent.Resource.Attributes {
		of[a.Key] = a.Value.GetStringValue()
	}
	if of["service.name"] != "chat" || of["service.instance.id"] == "" || len(of) != 2 {
		t.Errorf("it is of %v", of)
	}
	figure := (<-c.figures).ResourceMetrics[0].ScopeMetrics[0].Metrics[0]
	if n := figure.GetSum().DataPoints[0].GetAsInt(); figure.Name != "lectern.chat.turns" || n != 3 {
		t.Errorf("%s is %d", figure.Name, n)
	}
}

// The end of a process does not wait for a collector that is not there.
func TestADeadCollectorHoldsNobody(t *testing.T) {
	t.Parallel()
	p, err := Settings{Endpoint: "http://127.0.0.1:1"}.Open(t.Context(), "chat")
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.Tracers.Tracer("test").Start(t.Context(), "chat offline-1")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := p.Flush(ctx); err == nil {
		t.Error("what was not sent counts as sent")
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestItIsOffUnlessItIsToldWhere(t *testing.T) {
	t.Parallel()
	p, err := Settings{}.Open(t.Context(), "chat")
	if err != nil || p.Meters != nil || p.Tracers != nil || p.Flush != nil {
		t.Errorf("%+v, %v", p, err)
	}
}
