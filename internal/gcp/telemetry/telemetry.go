// Package telemetry sends metrics and spans to Google Cloud, or to any collector that
// speaks OTLP over gRPC. It sends nothing unless it is told where.
package telemetry

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/oauth"
)

// Settings say where telemetry goes. The other variables of OpenTelemetry's exporters
// and samplers (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, …) work, too.
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
type Settings struct {
	Project  string `env:"TELEMETRY_PROJECT"`           // id of the Google Cloud project that metrics and spans are sent to, by its Telemetry API; empty: none
	Endpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"` // a collector that metrics and spans are sent to, such as http://127.0.0.1:4317, and not to TELEMETRY_PROJECT; empty: none
}

// Google's own collector.
// https://cloud.google.com/stackdriver/docs/reference/telemetry/overview
const (
	googleEndpoint = "telemetry.googleapis.com:443"
	googleScope    = "https://www.googleapis.com/auth/cloud-platform"
)

// Providers make what measures and traces. The zero value measures nothing.
type Providers struct {
	Meters  metric.MeterProvider
	Tracers trace.TracerProvider
	// Flush sends what is still here. A collector that is down holds it until ctx ends.
	Flush func(context.Context) error
}

// Open gives the providers of a service. It connects at the first export, in the
// background; a collector that is down costs nothing but the telemetry.
func (s Settings) Open(ctx context.Context, service string) (Providers, error) {
	if s.Project == "" && s.Endpoint == "" {
		return Providers{}, nil
	}
	var traceOptions []otlptracegrpc.Option
	var metricOptions []otlpmetricgrpc.Option
	if s.Endpoint == "" {
		who, err := oauth.NewApplicationDefault(ctx, googleScope)
		if err != nil {
			return Providers{}, fmt.Errorf("TELEMETRY_PROJECT: %w", err)
		}
		sign := grpc.WithPerRPCCredentials(who)
		traceOptions = append(traceOptions, otlptracegrpc.WithEndpoint(googleEndpoint), otlptracegrpc.WithDialOption(sign))
		metricOptions = append(metricOptions, otlpmetricgrpc.WithEndpoint(googleEndpoint), otlpmetricgrpc.WithDialOption(sign))
	} else {
		traceOptions = append(traceOptions, otlptracegrpc.WithEndpointURL(s.Endpoint))
		metricOptions = append(metricOptions, otlpmetricgrpc.WithEndpointURL(s.Endpoint))
	}
	spans, err1 := otlptracegrpc.New(ctx, traceOptions...)
	figures, err2 := otlpmetricgrpc.New(ctx, metricOptions...)
	if err := errors.Join(err1, err2); err != nil {
		return Providers{}, fmt.Errorf("telemetry: %w", err)
	}
	who := s.resource(service)
	tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithResource(who))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(figures)), sdkmetric.WithResource(who))
	return Providers{Meters: meters, Tracers: tracers, Flush: func(ctx context.Context) error {
		failed := make(chan error, 1)
		go func() { failed <- meters.ForceFlush(ctx) }()
		return errors.Join(tracers.ForceFlush(ctx), <-failed)
	}}, nil
}

// resource says whose telemetry it is. Instances write time series of their own: in
// one they would overwrite each other's points.
func (s Settings) resource(service string) *resource.Resource {
	attributes := []attribute.KeyValue{
		attribute.String("service.name", cmp.Or(os.Getenv("K_SERVICE"), service)), // the platform's name for it
		attribute.String("service.instance.id", rand.Text()),
	}
	if revision := os.Getenv("K_REVISION"); revision != "" {
		attributes = append(attributes, attribute.String("service.version", revision))
	}
	if s.Project != "" {
		attributes = append(attributes, attribute.String("gcp.project_id", s.Project))
	}
	return resource.NewSchemaless(attributes...)
}
