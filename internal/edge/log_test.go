package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/fault"
)

// logged gives what the access log says about a request.
func logged(t testing.TB, h http.Handler, r *http.Request) string {
	t.Helper()
	var out bytes.Buffer
	before := slog.Default()
	slog.SetDefault(Logger(&out, slog.LevelDebug, "demo"))
	defer slog.SetDefault(before)
	h.ServeHTTP(httptest.NewRecorder(), r)
	return out.String()
}

// Not parallel: the log is the process's.
func TestTheAccessLogTellsNoSecret(t *testing.T) {
	const canary = "canary-0123456789"
	for _, target := range []string{
		"/sign-in/link?token=" + canary, "/reset?x=1&token=" + canary + "&y=2", "/a?TOKEN=" + canary, "/a?%74oken=" + canary, "/a?x=1;token=" + canary,
		"/a?token=" + canary + "&token=" + canary, "/a?%zz" + canary + "=1", "/o?X-Goog-Signature=" + canary, "/a?access_token=" + canary, "/a?password=" + canary,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		path, query, _ := strings.Cut(target, "?")
		r.URL = &url.URL{Path: path, RawQuery: query}
		r.Header.Set("Authorization", "Bearer "+canary)
		r.Header.Set("Cookie", "__Host-lectern="+canary)
		r.Header.Set("Referer", "https://lectern.example/reset?token="+canary)
		r.Header.Set("X-Lectern-Client", canary)
		line := logged(t, HTTP(ok, Options{}), r)
		if strings.Contains(line, canary) || !strings.Contains(line, path) {
			t.Errorf("%s: %s", target, line)
		}
	}
}

func TestTheAccessLogNamesTheClient(t *testing.T) {
	r := httptest.NewRequest("GET", "/a?q=owls", nil)
	r.Header.Set("X-Forwarded-For", "8.8.8.8, 203.0.113.9")
	line := logged(t, HTTP(ok, Options{Front: Front{TrustedHops: 1}}), r)
	if !strings.Contains(line, `"remoteIp":"203.0.113.9"`) || !strings.Contains(line, `"requestUrl":"/a?q=owls"`) {
		t.Error(line)
	}
}

// Whatever a request holds, it is one line, whose other fields are ours, and nothing
// in it turns text around or is obeyed by a terminal.
func TestNoRequestForgesTheLog(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
			"\r\n", "\n", `{"severity":"ERROR","message":"forged"}`, `","severity":"ALERT`, "\u202e", "\u2066", "\u2028", "\x1b[31m", "\u009b31m", "\x00", "\x7f", "é", "a", `\`, `"`, "\xff",
		}), 1, 20).Draw(rt, "text"), "")
		r := httptest.NewRequest("GET", "/", nil)
		r.Method = "GET" + text
		r.URL = &url.URL{Path: "/" + text, RawQuery: "q=" + text}
		r.Header = http.Header{"User-Agent": {text}, "X-Request-Id": {text}, "Traceparent": {text}, "X-Forwarded-For": {text}}
		line := logged(t, HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			slog.WarnContext(r.Context(), text, "title", text, "error", errors.New(text), slog.Group("g", slog.String("x", text)))
			Failed(r.Context(), fault.Wrap(fault.Invalid, errors.New(text), "A sentence."))
		}), Options{Front: Front{TrustedHops: 1}}), r)
		lines := strings.Split(strings.TrimSuffix(line, "\n"), "\n")
		if len(lines) != 2 {
			rt.Fatalf("%d lines: %q", len(lines), line)
		}
		for _, l := range lines {
			var entry map[string]any
			if err := json.Unmarshal([]byte(l), &entry); err != nil {
				rt.Fatalf("%v: %q", err, l)
			}
			if s := entry["severity"]; s != "WARNING" && s != "INFO" {
				rt.Fatalf("the severity is %v: %q", s, l)
			}
			if i := strings.IndexFunc(l, func(c rune) bool {
				return c < ' ' || c >= 0x7f && c <= 0x9f || unicode.Is(unicode.Bidi_Control, c) || c == '\u2028'
			}); i >= 0 {
				rt.Fatalf("%q at %d of %q", l[i:i+1], i, l)
			}
		}
	})
}

func TestLongFieldsAreCut(t *testing.T) {
	r := httptest.NewRequest("GET", "/"+strings.Repeat("é", 20_000), nil)
	r.Header.Set("User-Agent", strings.Repeat("é", 20_000))
	if line := logged(t, HTTP(ok, Options{}), r); len(line) > 8000 || !json.Valid([]byte(line)) {
		t.Errorf("%d bytes", len(line))
	}
}

// All that follows from one click has one request id: its deliveries are told apart by
// what the platform calls them. Of a stranger nothing is believed.
func TestTheLogTellsDeliveriesApart(t *testing.T) {
	task := httptest.NewRequest("POST", "/", nil)
	task.Header.Set("X-Request-Id", "click-0001")
	task.Header.Set("X-Cloudtasks-Taskname", "ab12-job_1-1")
	task.Header.Set("X-Cloudtasks-Taskretrycount", "3")
	line := logged(t, Task(anyone, func(context.Context, []byte) error { return nil }), task)
	for _, want := range []string{`"request_id":"click-0001"`, `"task":"ab12-job_1-1"`, `"task_retry":"3"`} {
		if !strings.Contains(line, want) {
			t.Errorf("%s is not in %s", want, line)
		}
	}
	event := httptest.NewRequest("POST", "/", nil)
	event.Header.Set("Ce-Id", "9876543210")
	if line := logged(t, Delivery(anyone, func(*http.Request, []byte) error { return nil }), event); !strings.Contains(line, `"event":"9876543210"`) {
		t.Error(line)
	}
	stranger := CallersFunc(func(*http.Request) error { return fault.New(fault.Denied, "Not you.") })
	if line := logged(t, Task(stranger, nil), task); strings.Contains(line, "ab12") {
		t.Errorf("a stranger is believed: %s", line)
	}
}
