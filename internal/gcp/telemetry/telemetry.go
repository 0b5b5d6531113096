// Package telemetry sends spans to Google Cloud, or to any collector that speaks OTLP over
// HTTP. It sends nothing unless it is told where.
package telemetry

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/oauth2"
	"golang.org/x/time/rate"
)

// Settings say where telemetry goes, and whose requests are traced.
type Settings struct {
	Project  string   `env:"TELEMETRY_PROJECT"`           // id of the Google Cloud project that spans are sent to, by its Telemetry API; empty: none
	Endpoint string   `env:"OTEL_EXPORTER_OTLP_ENDPOINT"` // a collector of OTLP over HTTP that spans, and the figures of chat, are sent to, such as http://127.0.0.1:4318, and not to TELEMETRY_PROJECT; empty: none
	Headers  []string `env:"OTEL_EXPORTER_OTLP_HEADERS"`  // "name=value,…": what is sent along to that collector; secret
	Ratio    float64  `env:"TRACES_RATIO, default=1"`     // share of requests, from 0 to 1, that is traced where the caller does not say (the platform does, and a task is traced as what sent it was); of an instance, five a second at most
}

// Google's own collector, and what a token for it must allow.
// https://cloud.google.com/stackdriver/docs/reference/telemetry/overview
const (
	googleEndpoint = "https://telemetry.googleapis.com"
	googleScope    = "https://www.googleapis.com/auth/cloud-platform"
)

// Tracing makes spans. The zero value makes none.
type Tracing struct {
	Tracers trace.TracerProvider
	// Flush sends what is still here. A collector that is down holds it until ctx ends.
	Flush func(context.Context) error
}

// Open gives the tracing of a service. It connects at the first export, in the background;
// a collector that is down costs nothing but the spans. The clients of Google Cloud trace
// by themselves, with what is set for the whole process: that is set here.
func (s Settings) Open(ctx context.Context, service string) (Tracing, error) {
	if s.Ratio < 0 || s.Ratio > 1 {
		return Tracing{}, errors.New("TRACES_RATIO is not between 0 and 1")
	}
	to, err := s.Collector(ctx, "/v1/traces")
	if err != nil || to.URL == "" {
		return Tracing{}, err
	}
	tracers := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(newSampler(s.Ratio)),
		sdktrace.WithResource(s.Resource(service)),
		// What a request leaves is sent at its end; the rest soon, while there is a CPU.
		sdktrace.WithBatcher(&exporter{to}, sdktrace.WithBatchTimeout(time.Second)),
	)
	otel.SetTracerProvider(belowRequests{TracerProvider: tracers})
	otel.SetErrorHandler(complain())
	return Tracing{Tracers: tracers, Flush: tracers.ForceFlush}, nil
}

// Collector is where telemetry of one sort goes, and who says so.
type Collector struct {
	URL     string // empty: nowhere
	Headers map[string]string
	Client  *http.Client
}

// Collector gives where what the path names goes.
func (s Settings) Collector(ctx context.Context, path string) (Collector, error) {
	base := s.Endpoint
	if base == "" && s.Project == "" {
		return Collector{}, nil
	}
	c := Collector{Client: &http.Client{Transport: transport(), CheckRedirect: stay}}
	if base == "" {
		c.Client.Transport = &oauth2.Transport{Source: &identity{ctx: context.WithoutCancel(ctx)}, Base: c.Client.Transport}
		base = googleEndpoint
	}
	if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Collector{}, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT is not an address such as http://127.0.0.1:4318")
	}
	c.URL = strings.TrimSuffix(base, "/") + path
	c.Headers = map[string]string{}
	for _, header := range s.Headers {
		name, value, ok := strings.Cut(strings.TrimSpace(header), "=")
		decoded, err := url.PathUnescape(value)
		if !ok || err != nil {
			return Collector{}, errors.New("OTEL_EXPORTER_OTLP_HEADERS is not name=value,…")
		}
		c.Headers[name] = decoded
	}
	return c, nil
}

// stay has a redirect be the answer: followed, it would come to a GET without the spans,
// whose page counts as thanks, or take the headers to somebody else.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// transport keeps a connection for as long as one that was frozen with its process may be
// alive on the other side. It speaks HTTP/1, which closes the connection of a call that got
// no answer: HTTP/2 would have the next try on the same one, dead or not.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost, t.IdleConnTimeout = 1, 20*time.Second
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	return t
}

// Resource says whose telemetry it is. Instances write time series of their own: in
// one they would overwrite each other's points.
func (s Settings) Resource(service string) *resource.Resource {
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

// complain logs what telemetry cannot do, but not at every request while a collector is down.
func complain() otel.ErrorHandlerFunc {
	often := rate.NewLimiter(rate.Every(time.Minute), 1)
	return func(err error) {
		if often.Allow() {
			slog.Warn("telemetry is not sent", "error", err)
		}
	}
}
