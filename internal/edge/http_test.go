package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/fault"
)

func call(t *testing.T, h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func problemIn(t *testing.T, w *httptest.ResponseRecorder) Problem {
	t.Helper()
	var p Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("not a problem document: %q", w.Body)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type %q", ct)
	}
	if p.Status != w.Code || p.RequestID == "" || p.RequestID != w.Header().Get("X-Request-Id") {
		t.Errorf("problem %+v with status %d and id %q", p, w.Code, w.Header().Get("X-Request-Id"))
	}
	return p
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") })

func TestRequestIDIsTakenOnlyWhenSane(t *testing.T) {
	t.Parallel()
	for sent, taken := range map[string]bool{
		"abcdef-12345678": true, "": false, "short": false, "with space in it": false,
		"line\nbreak-12345": false, strings.Repeat("x", 129): false, "<script>alert": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["X-Request-Id"] = []string{sent}
		got := call(t, HTTP(ok, Options{}), r).Header().Get("X-Request-Id")
		if (got == sent) != taken || len(got) < 8 || strings.Trim(strings.ToLower(got), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("sent %q, got %q", sent, got)
		}
	}
}

func TestPanicIsAProblemOrACut(t *testing.T) {
	t.Parallel()
	w := call(t, HTTP(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret") }), Options{}), httptest.NewRequest("GET", "/", nil))
	if p := problemIn(t, w); p.Status != 500 || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%+v", p)
	}

	server := httptest.NewServer(HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "event: x\n\n")
		_ = http.NewResponseController(w).Flush()
		panic("mid-stream")
	}), Options{}))
	defer server.Close()
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err == nil || string(b) != "event: x\n\n" {
		t.Errorf("the client got %q and %v; want the sent part and a cut", b, err)
	}
}

func TestBodyLimitSecurityHeadersOriginsAndHealth(t *testing.T) {
	t.Parallel()
	h := HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			writeProblem(r.Context(), w, tooLarge(4))
		}
	}), Options{MaxBody: 4, TrustedOrigins: []string{"https://app.example"}})

	w := call(t, h, httptest.NewRequest("POST", "/", strings.NewReader("12345")))
	if w.Code != 413 {
		t.Errorf("declared oversize: %d", w.Code)
	}
	problemIn(t, w)
	chunked := httptest.NewRequest("POST", "/", io.NopCloser(strings.NewReader("12345")))
	chunked.ContentLength = -1
	if w := call(t, h, chunked); w.Code != 413 {
		t.Errorf("undeclared oversize: %d", w.Code)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "strict-origin-when-cross-origin"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	for origin, want := range map[string]int{"https://evil.example": 403, "https://app.example": 200, "null": 403} {
		r := httptest.NewRequest("POST", "http://lectern.example/", nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if w := call(t, h, r); w.Code != want {
			t.Errorf("origin %s: %d, want %d", origin, w.Code, want)
		}
	}
	if w := call(t, h, httptest.NewRequest("GET", "/healthz", nil)); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("healthz: %d %q", w.Code, w.Body)
	}
}

func TestKindsBecomeStatuses(t *testing.T) {
	t.Parallel()
	for kind := fault.Internal; kind <= fault.Unavailable; kind++ {
		if statuses[kind] == 0 {
			t.Errorf("%v has no status", kind)
		}
		w := call(t, Front{}.instrument(failing(fault.Wrap(kind, errors.New("inner secret"), "A sentence."))), httptest.NewRequest("GET", "/", nil))
		p := problemIn(t, w)
		if strings.Contains(w.Body.String(), "secret") || (kind != fault.Internal && p.Detail != "A sentence.") {
			t.Errorf("%v: %+v", kind, p)
		}
		if (w.Header().Get("Retry-After") != "") != (kind == fault.Unavailable) {
			t.Errorf("%v: Retry-After %q", kind, w.Header().Get("Retry-After"))
		}
	}
}

func TestLogHasTheShapeOfCloudLogging(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := Logger(&out, slog.LevelDebug, "demo")
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	r.Header.Set("X-Request-Id", "request-0001")
	Front{}.instrument(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.With("job", "job_1").WarnContext(r.Context(), "line\nbreak")
	})).ServeHTTP(httptest.NewRecorder(), r)
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || bytes.Count(out.Bytes(), []byte("\n")) != 1 {
		t.Fatalf("not one JSON line: %q", out.String())
	}
	for key, want := range map[string]any{
		"severity": "WARNING", "message": "line\nbreak", "job": "job_1", "request_id": "request-0001",
		"logging.googleapis.com/trace":         "projects/demo/traces/4bf92f3577b34da6a3ce929d0e0e4736",
		"logging.googleapis.com/spanId":        "00f067aa0ba902b7",
		"logging.googleapis.com/trace_sampled": true,
	} {
		if got[key] != want {
			t.Errorf("%s: %v, want %v", key, got[key], want)
		}
	}
}
