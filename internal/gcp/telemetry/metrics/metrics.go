// Package metrics sends figures to a collector. Google Cloud counts the lines of the log
// instead, which tell the same of every function. It lies apart because its SDK is large,
// and one function of all has a CPU between requests to send by.
package metrics

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"lectern.dev/lectern/internal/gcp/telemetry"
)

// Meters measure. The zero value measures nothing.
type Meters struct {
	metric.MeterProvider
	// Flush sends what is still here. A collector that is down holds it until ctx ends.
	Flush func(context.Context) error
}

// Open gives the meters of a service, where a collector is named. It connects at the first export, in the background.
func Open(ctx context.Context, s telemetry.Settings, service string) (Meters, error) {
	if s.Endpoint == "" {
		return Meters{}, nil
	}
	to, err := s.Collector(ctx, "/v1/metrics")
	if err != nil {
		return Meters{}, err
	}
	figures, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(to.URL), otlpmetrichttp.WithHTTPClient(to.Client), otlpmetrichttp.WithHeaders(to.Headers))
	if err != nil {
		return Meters{}, fmt.Errorf("telemetry: %w", err)
	}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(figures)), sdkmetric.WithResource(s.Resource(service)))
	return Meters{meters, meters.ForceFlush}, nil
}
