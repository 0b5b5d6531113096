package chat

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	nometrics "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	notraces "go.opentelemetry.io/otel/trace/noop"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/trail"
)

// Telemetry is where figures and spans go; its zero value is nowhere.
type Telemetry struct {
	Meters  metric.MeterProvider
	Tracers trace.TracerProvider
	// Flush sends what is still here; nil: there is nothing to do.
	Flush func(context.Context) error
}

// flushTime is how long the end of a process waits for telemetry: a collector that is
// down holds a flush until its ctx ends.
const flushTime = 500 * time.Millisecond

func (t Telemetry) flush(ctx context.Context) {
	if t.Flush == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	_ = t.Flush(ctx) // what is lost are figures
}

// observer tells operators of turns: in the log, as metrics and as spans. Names are
// those of OpenTelemetry's conventions for generative AI where they have one.
// https://opentelemetry.io/docs/specs/semconv/gen-ai/
type observer struct {
	tracer      trace.Tracer
	turns       metric.Int64Counter
	tokens      metric.Int64Histogram
	duration    metric.Float64Histogram
	ttfb        metric.Float64Histogram
	cost        metric.Int64Counter
	streams     metric.Int64UpDownCounter
	disconnects metric.Int64Counter
	resumes     metric.Int64Counter
	retries     metric.Int64Counter
	hedges      metric.Int64Counter
	backups     metric.Int64Counter
}

const instrumentation = "lectern.dev/lectern/functions/chat"

// The bounds of histograms: a first byte is a matter of a second, an answer of many.
var (
	firstByteSeconds = []float64{0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60}
	answerSeconds    = []float64{0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900}
	tokenCounts      = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576}
)

func newObserver(t Telemetry) *observer {
	if t.Meters == nil {
		t.Meters = nometrics.NewMeterProvider()
	}
	if t.Tracers == nil {
		t.Tracers = notraces.NewTracerProvider()
	}
	m := t.Meters.Meter(instrumentation)
	count := func(name, unit, description string) metric.Int64Counter {
		c, _ := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description)) // its name is right; see the test
		return c
	}
	seconds := func(name, description string, bounds []float64) metric.Float64Histogram {
		h, _ := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(bounds...))
		return h
	}
	o := &observer{
		tracer:      t.Tracers.Tracer(instrumentation),
		turns:       count("lectern.chat.turns", "{turn}", "Turns that are over"),
		duration:    seconds("gen_ai.client.operation.duration", "From the request to the last byte of the answer", answerSeconds),
		ttfb:        seconds("gen_ai.client.operation.time_to_first_chunk", "From the request to the first byte of the answer", firstByteSeconds),
		cost:        count("lectern.chat.cost", "{micro_usd}", "What the turns came to, in millionths of a US dollar"),
		disconnects: count("lectern.chat.disconnects", "{reader}", "Readers that went before the end"),
		resumes:     count("lectern.chat.resumes", "{reader}", "Readers that came again"),
		retries:     count("lectern.chat.retries", "{call}", "Calls of a model that repeated a failed one"),
		hedges:      count("lectern.chat.hedges", "{turn}", "Turns in which a second model was asked before the first had spoken"),
		backups:     count("lectern.chat.backups", "{turn}", "Turns that the second model answered"),
	}
	o.tokens, _ = m.Int64Histogram("gen_ai.client.token.usage", metric.WithUnit("{token}"),
		metric.WithDescription("Tokens of a turn"), metric.WithExplicitBucketBoundaries(tokenCounts...))
	o.streams, _ = m.Int64UpDownCounter("lectern.chat.streams", metric.WithUnit("{stream}"), metric.WithDescription("Streams that are open"))
	return o
}

// turn tells of a turn that is over.
func (o *observer) turn(ctx context.Context, r conversation.Report) {
	logTurn(ctx, r)
	o.measure(ctx, r)
	o.span(ctx, r)
}

// measure counts it. Ids are no attributes: every value of one is a time series.
func (o *observer) measure(ctx context.Context, r conversation.Report) {
	model := []attribute.KeyValue{attribute.String("gen_ai.operation.name", "chat"), attribute.String("gen_ai.response.model", r.Model)}
	by := metric.WithAttributeSet(attribute.NewSet(append(model, attribute.String("lectern.chat.task", r.Task), attribute.String("lectern.chat.state", string(r.State)))...))
	o.turns.Add(ctx, 1, by)
	o.cost.Add(ctx, r.CostMicros, by)
	o.duration.Record(ctx, r.TTLB.Seconds(), by)
	if r.TTFB > 0 {
		o.ttfb.Record(ctx, r.TTFB.Seconds(), by)
	}
	for kind, n := range map[string]int{"input": r.Usage.Input, "output": r.Usage.Output} {
		o.tokens.Record(ctx, int64(n), metric.WithAttributeSet(attribute.NewSet(append(model, attribute.String("gen_ai.token.type", kind))...)))
	}
	of := metric.WithAttributeSet(attribute.NewSet(model...))
	for counter, n := range map[metric.Int64Counter]int64{
		o.disconnects: r.Disconnects, o.resumes: r.Resumed, o.retries: int64(r.Tries.Retries),
		o.hedges: number(r.Tries.Hedged), o.backups: number(r.Tries.Backup),
	} {
		counter.Add(ctx, n, of)
	}
}

func number(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// span tells of it within the trace of the request that began it, beside the spans of the
// models that were asked for it.
func (o *observer) span(ctx context.Context, r conversation.Report) {
	above := trace.ContextWithSpanContext(ctx, trail.From(ctx).Span)
	end := time.Now()
	_, span := o.tracer.Start(above, "invoke_agent "+r.Task, trace.WithTimestamp(end.Add(-r.TTLB)), trace.WithAttributes(
		attribute.String("gen_ai.operation.name", "invoke_agent"),
		attribute.String("gen_ai.agent.name", r.Task),
		attribute.String("gen_ai.conversation.id", r.Session),
		attribute.String("gen_ai.response.id", r.Message),
		attribute.String("gen_ai.response.model", r.Model),
		attribute.Int("gen_ai.usage.input_tokens", r.Usage.Input),
		attribute.Int("gen_ai.usage.output_tokens", r.Usage.Output),
		attribute.String("lectern.organization", r.Organization),
		attribute.String("lectern.user", r.User),
		attribute.String("lectern.chat.state", string(r.State)),
		attribute.Int64("lectern.chat.cost_micros", r.CostMicros),
		attribute.Int("lectern.chat.passages", r.Passages),
		attribute.Int("lectern.chat.citations", r.Citations),
		attribute.Int("lectern.chat.retries", r.Tries.Retries),
		attribute.Bool("lectern.chat.hedged", r.Tries.Hedged),
		attribute.Bool("lectern.chat.backup", r.Tries.Backup),
		attribute.Int64("lectern.chat.disconnects", r.Disconnects),
		attribute.Int64("lectern.chat.resumed", r.Resumed),
	))
	if r.TTFB > 0 {
		span.AddEvent("first byte", trace.WithTimestamp(end.Add(r.TTFB-r.TTLB)))
	}
	if r.Error != nil {
		span.SetAttributes(attribute.String("error.type", fault.KindOf(r.Error).String()))
		span.SetStatus(codes.Error, "")
	}
	span.End(trace.WithTimestamp(end))
}

// reading counts an open stream until the function is called.
func (o *observer) reading(ctx context.Context) (done func()) {
	ctx = context.WithoutCancel(ctx)
	o.streams.Add(ctx, 1)
	return func() { o.streams.Add(ctx, -1) }
}
