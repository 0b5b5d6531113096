package house_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/edge"
)

// logged is what the houses of all tests log.
var logged lockedBuffer

func init() {
	slog.SetDefault(edge.Logger(io.MultiWriter(os.Stderr, &logged), slog.LevelInfo, "demo"))
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// lines are those that hold the text.
func (l *lockedBuffer) lines(text string) (found []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.b.Bytes()) {
		var fields map[string]any
		if bytes.Contains(line, []byte(text)) && json.Unmarshal(line, &fields) == nil {
			found = append(found, fields)
		}
	}
	return found
}

// watched is a house whose requests are all traced.
type watched struct {
	*testing.T
	house *house.House
	spans *tracetest.InMemoryExporter
	token string
}

func watch(t *testing.T) *watched {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
	h := open(t, house.Options{Sweep: time.Hour, Tracing: edge.Tracing{Tracers: tracers}})
	w := &watched{t, h, spans, token(t, h)}
	w.until("the first sweep is over", func() bool { return len(w.named("POST /{$}")) == 1 })
	return w
}

func (w *watched) named(name string) (found []tracetest.SpanStub) {
	for _, span := range w.spans.GetSpans() {
		if span.Name == name {
			found = append(found, span)
		}
	}
	return found
}

func (w *watched) until(what string, ok func() bool) {
	w.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("still not: %s", what)
		}
	}
}

// count is a number that the database has, looked up without a request.
func (w *watched) count(sql string, args ...any) (n int) {
	w.Helper()
	if err := w.house.Pool().QueryRow(w.Context(), sql, args...).Scan(&n); err != nil {
		w.Fatal(err)
	}
	return n
}

// ask sends a request through the gateway, as a client that traces nothing, and reads the
// answer into out.
func (w *watched) ask(id, method, path string, body, out any) {
	w.Helper()
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			w.Fatal(err)
		}
		sent = bytes.NewReader(raw)
	}
	q, err := http.NewRequestWithContext(w.Context(), method, w.house.URL()+path, sent)
	if err != nil {
		w.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+w.token)
	q.Header.Set("Content-Type", "application/json")
	if id != "" {
		q.Header.Set("X-Request-Id", id)
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode > 299 || out != nil && json.Unmarshal(raw, out) != nil {
		w.Fatalf("%s %s: %s %s", method, path, res.Status, raw)
	}
}

// made is the id in an answer.
type made struct {
	ID string `json:"id"`
}

// belongs are the spans of the trace that began with the request of that id; found is
// false unless there is exactly one.
func (w *watched) belongs(id string) (spans []tracetest.SpanStub, found bool) {
	all := w.spans.GetSpans()
	var roots []tracetest.SpanStub
	for _, span := range all {
		if !span.Parent.IsValid() && request(span) == id {
			roots = append(roots, span)
		}
	}
	if len(roots) != 1 {
		return nil, false
	}
	for _, span := range all {
		if span.SpanContext.TraceID() == roots[0].SpanContext.TraceID() {
			spans = append(spans, span)
		}
	}
	return spans, true
}

// request is the id that a request's span has; empty: it is another one.
func request(span tracetest.SpanStub) string {
	for _, a := range span.Attributes {
		if a.Key == "lectern.request_id" {
			return a.Value.AsString()
		}
	}
	return ""
}

// orphans are the spans below one that is not there, or not yet.
func orphans(spans []tracetest.SpanStub) (found []string) {
	known := map[trace.SpanID]bool{}
	for _, span := range spans {
		known[span.SpanContext.SpanID()] = true
	}
	for _, span := range spans {
		if span.Parent.IsValid() && !known[span.Parent.SpanID()] {
			found = append(found, span.Name)
		}
	}
	return found
}

// follows checks, when all steps are done, that what followed from a request is one trace,
// from one root, under one request id, and that it has these spans.
func (w *watched) follows(id string, names ...string) {
	w.Helper()
	w.until("all steps are done", func() bool {
		return w.count(`SELECT count(*) FROM job_steps WHERE organization_id = 'org_local' AND state NOT IN ('succeeded', 'failed', 'canceled')`) == 0
	})
	var spans []tracetest.SpanStub
	w.until("the trace of "+id+" is whole", func() (found bool) {
		spans, found = w.belongs(id)
		return found && len(orphans(spans)) == 0 && !slices.ContainsFunc(names, func(name string) bool {
			return !slices.ContainsFunc(spans, func(s tracetest.SpanStub) bool { return s.Name == name })
		})
	})
	its := spans[0].SpanContext.TraceID()
	for _, span := range w.spans.GetSpans() {
		if of := request(span); of != "" && (of == id) != (span.SpanContext.TraceID() == its) {
			w.Errorf("%s of the request %s is in the trace %s, and that of %s is %s", span.Name, of, span.SpanContext.TraceID(), id, its)
		}
		if span.Name == "POST /" && !span.Parent.IsValid() {
			w.Errorf("a delivery follows from nothing: %v", span.Attributes)
		}
	}
	lines := logged.lines(its.String())
	w.Logf("%d spans and %d lines belong to %s", len(spans), len(lines), id)
	if len(lines) < 4 {
		w.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if line["request_id"] != id || line["logging.googleapis.com/trace_sampled"] != true {
			w.Errorf("the line is of another request: %v", line)
		}
	}
}

// below tells whether a span of that name is, over any others, below one of the other name.
func (w *watched) below(name, above string) {
	w.Helper()
	all := w.spans.GetSpans()
	by := map[trace.SpanID]tracetest.SpanStub{}
	for _, span := range all {
		by[span.SpanContext.SpanID()] = span
	}
	for _, span := range w.named(name) {
		for ; span.Parent.IsValid(); span = by[span.Parent.SpanID()] {
			if by[span.Parent.SpanID()].Name == above {
				return
			}
		}
	}
	w.Errorf("no %q is below %q", name, above)
}

// From the click to the video that is ready, behind the gateway, through a task and the
// event of its upload, everything is one trace and one request.
func TestOneTraceFromTheClickToTheVideo(t *testing.T) {
	t.Parallel()
	needs(t, "ffmpeg", "espeak-ng")
	w := watch(t)
	var course, module, lesson made
	w.ask("", "POST", "/v1/courses", map[string]any{"title": "Birds"}, &course)
	w.ask("", "POST", "/v1/courses/"+course.ID+"/modules", map[string]any{"title": "Owls"}, &module)
	w.ask("", "POST", "/v1/modules/"+module.ID+"/lessons", map[string]any{"title": "Barn owl"}, &lesson)
	w.ask("", "PUT", "/v1/lessons/"+lesson.ID+"/slides", map[string]any{"items": []any{map[string]any{
		"kind": "points", "title": "One", "points": []any{map[string]any{"text": "It hunts by ear."}},
		"narration": []any{map[string]any{"text": "It hunts by ear.", "reveals": 1}},
	}}}, nil)

	const click = "click-00000001"
	var ordered struct {
		Job made `json:"job"`
	}
	w.ask(click, "POST", "/v1/lessons/"+lesson.ID+"/renders", nil, &ordered)
	w.until("the video is ready", func() bool {
		return w.count(`SELECT count(*) FROM videos WHERE organization_id = 'org_local' AND lesson_id = $1 AND state = 'ready'`, lesson.ID) == 1
	})
	w.follows(click, "POST /v1/", "POST /v1/lessons/{lesson}/renders", "INSERT jobs", "POST /", "step render", "speak", "film shoot", "film upload", "UPDATE videos")
	w.below("POST /v1/lessons/{lesson}/renders", "POST /v1/")
	w.below("step render", "POST /v1/lessons/{lesson}/renders")
	w.below("UPDATE videos", "film upload") // which the event does
	for _, line := range logged.lines(ordered.Job.ID) {
		if line["request_id"] != click {
			t.Errorf("a line about the job is of another request: %v", line)
		}
	}
}

// From the upload's first request, which the bucket's event knows nothing of, to the
// passages, and from the order to the written course: one trace and one request each.
func TestOneTraceFromTheUploadAndTheOrder(t *testing.T) {
	t.Parallel()
	w := watch(t)
	var course made
	w.ask("", "POST", "/v1/courses", map[string]any{"title": "Packages"}, &course)

	text := documents()[0]
	var answer struct {
		Upload struct {
			URL, Method string
			Headers     map[string]string
		}
	}
	w.ask("upload-0000001", "POST", "/v1/courses/"+course.ID+"/sources", map[string]any{"name": text.Name, "content_type": text.Type, "size": text.Size}, &answer)
	content, _ := text.Content()
	q, err := http.NewRequestWithContext(t.Context(), answer.Upload.Method, answer.Upload.URL, content)
	if err != nil {
		t.Fatal(err)
	}
	q.ContentLength = text.Size
	for name, value := range answer.Upload.Headers {
		q.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	_ = res.Body.Close()
	w.until("it is read", func() bool {
		return w.count(`SELECT count(*) FROM sources WHERE organization_id = 'org_local' AND state = 'ready'`) == 1
	})
	w.follows("upload-0000001", "POST /v1/courses/{course}/sources", "POST /", "step ingest")
	w.below("step ingest", "POST /v1/courses/{course}/sources")

	w.ask("order-00000001", "POST", "/v1/courses/"+course.ID+"/generations", map[string]any{"lessons": 2}, nil)
	w.follows("order-00000001", "POST /v1/courses/{course}/generations", "step plan", "step write", "chat offline-1")
	w.below("chat offline-1", "step write")
	w.below("step write", "POST /v1/courses/{course}/generations")
}

// What the sweep makes good belongs to who began it, and not to the sweep.
func TestASweepGoesOnWithTheTrail(t *testing.T) {
	t.Parallel()
	w := watch(t)
	var course made
	w.ask("", "POST", "/v1/courses", map[string]any{"title": "Packages"}, &course)
	w.ask("", "POST", "/v1/courses/"+course.ID+"/sources", map[string]any{"name": "owls.md", "size": 3}, nil)
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	_, err := w.house.Pool().Exec(t.Context(), `
		WITH j AS (
			INSERT INTO jobs (job_id, organization_id, kind, subject, course_id, content, state, created_by, trail)
			SELECT 'job_lost', 'org_local', 'ingest', source_id, course_id, '1', 'queued', 'user_local', $1
			FROM sources WHERE organization_id = 'org_local')
		INSERT INTO job_steps (job_id, name, organization_id, kind, subject, content, state, units, changed_at)
		SELECT 'job_lost', 'ingest', 'org_local', 'ingest', source_id, '', 'queued', 1, now() - interval '1 hour'
		FROM sources WHERE organization_id = 'org_local'`, "click-of-old "+parent)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.house.SweepOnce(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	w.until("the step was begun", func() bool { return len(w.named("send again")) > 0 && len(w.named("step ingest")) > 0 })
	for _, name := range []string{"send again", "step ingest"} {
		if id := w.named(name)[0].SpanContext.TraceID().String(); !strings.Contains(parent, id) {
			t.Errorf("%s is of the trace %s", name, id)
		}
	}
	for _, line := range logged.lines("job_lost") {
		if line["request_id"] != "click-of-old" {
			t.Errorf("a line of another request: %v", line)
		}
	}
}

// needs skips a test, and fails it in CI, where a program is missing.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is not installed", name)
			}
			t.Skipf("%s is not installed", name)
		}
	}
}

// With a collector in its environment the laptop's house sends spans there, while it runs
// and when it ends.
func TestTheHouseSendsSpansWhereItIsTold(t *testing.T) {
	got := make(chan int, 1000)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil && r.URL.Path == "/v1/traces" && bytes.Contains(body, []byte("GET /v1/courses")) {
			got <- len(body)
		}
	}))
	t.Cleanup(collector.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	w := &watched{T: t, house: open(t, house.Options{Sweep: time.Hour})}
	w.token = token(t, w.house)
	w.ask("", "GET", "/v1/courses", nil, nil)
	select {
	case <-got:
	case <-time.After(20 * time.Second):
		t.Error("the collector has heard nothing")
	}
}
