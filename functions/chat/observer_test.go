package chat

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/logtest"
)

// A turn is told once in the log, as figures, and as a span in the trace of its request;
// what was said is in none of them.
func TestATurnIsTold(t *testing.T) {
	t.Parallel()
	figures, spans := sdkmetric.NewManualReader(), tracetest.NewSpanRecorder()
	flushed := 0
	r := newRig(t, func(d *Deps) {
		d.Telemetry = Telemetry{
			Meters:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(figures)),
			Tracers: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
			Flush:   func(context.Context) error { flushed++; return nil },
		}
	})
	const trace = "0af7651916cd43dd8448eb211c80319c"
	ses := r.session()
	r.do("POST", "/v1/chat/sessions/"+ses+"/messages", map[string]any{"content": "A secret question"}, "Traceparent", "00-"+trace+"-b7ad6b7169203331-01").Want(200)
	eventually(t, func() bool { return len(spans.Ended()) == 1 }) // a turn is told after its last event
	r.model.says(func(_ context.Context, _ llm.Request, say func(string) error) error {
		_ = say("A secret ")
		return fault.New(fault.Unavailable, "The language model does not answer.")
	})
	r.send(ses, map[string]any{"content": "Another secret"})
	eventually(t, func() bool { return len(spans.Ended()) == 2 })

	told := lines.of(ses)
	if len(told) != 2 {
		t.Fatalf("%d lines about two turns", len(told))
	}
	var all strings.Builder
	for _, line := range told {
		line.Attrs(func(a slog.Attr) bool { fmt.Fprintf(&all, "%s=%v ", a.Key, a.Value); return true })
	}
	for _, want := range []string{"organization=org_local", "user=user_local", "task=tutor@1", "model=scripted-1", "state=complete", "state=interrupted", "input_tokens=100", "output_tokens=10", "ttfb_ms=", "ttlb_ms=", "retries=0", "hedged=false", "disconnects=0", "resumed=0", "cost_micros=0", "kind=unavailable"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("%s is not in %s", want, &all)
		}
	}
	var logged []logtest.Line
	for _, record := range told {
		line, err := logtest.Read(t.Context(), record)
		if err != nil {
			t.Fatal(err)
		}
		logged = append(logged, line)
	}
	logtest.Bound(t, logged...)
	if strings.Contains(all.String(), "secret") {
		t.Errorf("what was said is in the log: %s", &all)
	}

	whole, broken := spans.Ended()[0], spans.Ended()[1]
	if whole.Name() != "invoke_agent tutor@1" || whole.SpanContext().TraceID().String() != trace || whole.Parent().SpanID().String() != "b7ad6b7169203331" {
		t.Errorf("the span %s of %s below %s", whole.Name(), whole.SpanContext().TraceID(), whole.Parent().SpanID())
	}
	has := attribute.NewSet(whole.Attributes()...)
	if v, _ := has.Value("gen_ai.conversation.id"); v.AsString() != ses {
		t.Errorf("its attributes: %v", whole.Attributes())
	}
	if broken.Status().Code != codes.Error || broken.Parent().IsValid() || whole.Status().Code == codes.Error {
		t.Errorf("%+v, %+v", whole.Status(), broken.Status())
	}

	var collected metricdata.ResourceMetrics
	if err := figures.Collect(t.Context(), &collected); err != nil {
		t.Fatal(err)
	}
	sums, counts := map[string]int64{}, map[string]uint64{}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				sums[m.Name] += p.Value
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				counts[m.Name] += p.Count
			}
		case metricdata.Histogram[int64]:
			for _, p := range data.DataPoints {
				counts[m.Name] += p.Count
			}
		}
	}
	if sums["lectern.chat.turns"] != 2 || sums["lectern.chat.streams"] != 0 || counts["gen_ai.client.operation.time_to_first_chunk"] != 2 ||
		counts["gen_ai.client.operation.duration"] != 2 || counts["gen_ai.client.token.usage"] != 4 {
		t.Errorf("%v, %v", sums, counts)
	}
	for _, name := range []string{"cost", "disconnects", "resumes", "retries", "hedges", "backups"} {
		if _, ok := sums["lectern.chat."+name]; !ok {
			t.Errorf("lectern.chat.%s is not counted", name)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), flushTime*5)
	defer cancel()
	r.drain(ctx)
	if flushed != 1 {
		t.Errorf("flushed %d times at the end of the process", flushed)
	}
}

// Below a span of this process a turn's is no beginning of a trace: it would count for one
// where those that are traced in a second are counted.
func TestATurnBeginsNoTrace(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	ctx, request := tracers.Tracer("test").Start(t.Context(), "POST /")
	newObserver(Telemetry{Tracers: tracers}).span(ctx, conversation.Report{Task: "tutor@1"})
	if parent := spans.Ended()[0].Parent(); parent.SpanID() != request.SpanContext().SpanID() || parent.IsRemote() {
		t.Errorf("it is below %v, which is remote: %t", parent, parent.IsRemote())
	}
}
