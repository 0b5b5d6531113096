package telemetry

import (
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// How many requests of an instance are traced in a second, and at once. Anybody can ask
// to be, and spans are paid for.
const (
	tracesPerSecond = 5
	tracesAtOnce    = 100
)

// sampler traces what the caller says, or else a share of all, and never more than the
// bound. What is below a request of this process is traced as that is.
type sampler struct {
	sdktrace.Sampler
	bound *rate.Limiter
}

func newSampler(ratio float64) sampler {
	return sampler{sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio)), rate.NewLimiter(tracesPerSecond, tracesAtOnce)}
}

// ShouldSample implements sdktrace.Sampler.
func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	r := s.Sampler.ShouldSample(p)
	parent := trace.SpanContextFromContext(p.ParentContext)
	if begins := !parent.IsValid() || parent.IsRemote(); begins && r.Decision == sdktrace.RecordAndSample && !s.bound.Allow() {
		r.Decision = sdktrace.Drop
	}
	return r
}
