package metrics

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"

	"lectern.dev/lectern/internal/gcp/telemetry"
)

func TestACollectorIsSentFigures(t *testing.T) {
	t.Parallel()
	got := make(chan *collector.ExportMetricsServiceRequest, 9)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(r.Body)
		}
		raw, err := io.ReadAll(body)
		sent := new(collector.ExportMetricsServiceRequest)
		if r.URL.Path != "/v1/metrics" || r.Header.Get("Api-Key") != "secret" || err != nil || proto.Unmarshal(raw, sent) != nil {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		got <- sent
	}))
	t.Cleanup(s.Close)
	meters, err := Open(t.Context(), telemetry.Settings{Endpoint: s.URL, Headers: []string{"api-key=secret"}}, "chat")
	if err != nil {
		t.Fatal(err)
	}
	turns, err := meters.Meter("test").Int64Counter("lectern.chat.turns")
	if err != nil {
		t.Fatal(err)
	}
	turns.Add(t.Context(), 3)
	if err := meters.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	figure := (<-got).ResourceMetrics[0].ScopeMetrics[0].Metrics[0]
	if n := figure.GetSum().DataPoints[0].GetAsInt(); figure.Name != "lectern.chat.turns" || n != 3 {
		t.Errorf("%s is %d", figure.Name, n)
	}
	if off, err := Open(t.Context(), telemetry.Settings{Project: "demo"}, "chat"); err != nil || off.MeterProvider != nil || off.Flush != nil {
		t.Errorf("%+v, %v", off, err)
	}
}
