package edge

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever is answered carries the headers.
func TestEveryAnswerIsSecured(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "strict-origin-when-cross-origin",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy": "camera=()", "Content-Security-Policy": "default-src 'none'", "X-Request-Id": "",
		"Strict-Transport-Security": "max-age=63072000",
	}
	api := testAPI()
	preflight := http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"PUT"}}
	for name, c := range map[string]struct {
		h            http.Handler
		method, path string
		header       http.Header
		status       int
	}{
		"health":            {api, "GET", "/healthz", nil, 200},
		"the document":      {api, "GET", "/openapi.json", nil, 200},
		"the docs":          {api, "GET", "/docs", nil, 200},
		"nothing there":     {api, "GET", "/nowhere", nil, 404},
		"a wrong method":    {api, "TRACE", "/v1/things/1", nil, 405},
		"nobody":            {api, "PUT", "/v1/things/1", nil, 401},
		"a preflight":       {api, "OPTIONS", "/v1/things/1", preflight, 204},
		"another site":      {api, "PUT", "/v1/things/1", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		"a redirect":        {api, "GET", "//docs", nil, 307},
		"a panic":           {HTTP(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("x") }), Options{}), "GET", "/", nil, 500},
		"a failed start":    {Lazy(func(context.Context) (http.Handler, error) { return nil, errors.New("x") }), "GET", "/", nil, 500},
		"a task":            {Task(anyone, func(context.Context, []byte) error { return nil }), "POST", "/", nil, 200},
		"a task by GET":     {Task(anyone, func(context.Context, []byte) error { return nil }), "GET", "/", nil, 405},
		"a page of its own": {HTTP(ok, Options{}), "GET", "/", nil, 200},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		for header, values := range c.header {
			r.Header[header] = values
		}
		r.Header.Set("X-Forwarded-Proto", "https")
		w := call(t, c.h, r)
		if w.Code != c.status {
			t.Errorf("%s: %d, want %d", name, w.Code, c.status)
		}
		for header, value := range want {
			if got := w.Header().Get(header); got == "" || !strings.HasPrefix(got, value) {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
	}
	if w := call(t, api, httptest.NewRequest("GET", "/healthz", nil)); w.Header().Get("Strict-Transport-Security") != "" {
		t.Error("a server without https says that it has it")
	}
}

// What an operation answers is nobody else's, unless it says so.
func TestAnswersOfOperationsAreNotStored(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/v1/things/1", "/v1/things/none"} {
		if w := send(t, "PUT", path, `{"title":"a"}`); w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %q", path, w.Header().Get("Cache-Control"))
		}
	}
}

func TestWhoIsRefusedIsToldHowToAsk(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{"": `Bearer realm="lectern"`, "wrong": `Bearer realm="lectern", error="invalid_token"`} {
		r := httptest.NewRequest("PUT", "/v1/things/1", strings.NewReader(`{"title":"a"}`))
		if sent != "" {
			r.Header.Set("Authorization", sent)
		}
		if w := call(t, testAPI(), r); w.Code != 401 || w.Header().Get("WWW-Authenticate") != want {
			t.Errorf("%q: %d %q", sent, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
	r := httptest.NewRequest("PUT", "/v1/things/1", strings.NewReader(`{"title":"a"}`))
	r.Header.Set("Authorization", "weak")
	if w := call(t, testAPI(), r); w.Code != 403 || w.Header().Get("WWW-Authenticate") != `Bearer realm="lectern", error="insufficient_scope", scope="things:write"` {
		t.Errorf("%d %q", w.Code, w.Header().Get("WWW-Authenticate"))
	}
}
