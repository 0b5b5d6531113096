package edge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// sent counts the requests that reach the handler.
func counting(n *int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { *n++; w.WriteHeader(http.StatusNoContent) })
}

// What browsers make of the ways in which a page writes to another site.
func TestWritesOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	const us, app = "https://lectern.example", "https://app.example"
	for _, c := range []struct {
		name, origin, site string
		more               map[string]string
		passes             bool
	}{
		{"our own page", us, "same-origin", nil, true},
		{"our own page, in an old browser", us, "", nil, true},
		{"typed or from a bookmark", "", "none", nil, true},
		{"a program", "", "", nil, true},
		{"a trusted page", app, "cross-site", nil, true},
		{"a form of another site", "https://evil.example", "cross-site", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, false},
		{"text/plain that is JSON", "https://evil.example", "cross-site", map[string]string{"Content-Type": "text/plain"}, false},
		{"fetch with no-cors", "https://evil.example", "cross-site", map[string]string{"Sec-Fetch-Mode": "no-cors"}, false},
		{"an old browser's form", "https://evil.example", "", nil, false},
		{"a subdomain of ours", "https://evil.lectern.example", "same-site", nil, false},
		{"a subdomain, in an old browser", "https://evil.lectern.example", "", nil, false},
		{"a sandboxed frame", "null", "cross-site", nil, false},
		{"a sandboxed frame, in an old browser", "null", "", nil, false},
		{"our host over http", "http://lectern.example", "cross-site", nil, false},
		{"our host over http, in an old browser", "http://lectern.example", "", nil, false},
		{"our host on another port", "https://lectern.example:8443", "", nil, false},
		{"a name that begins like ours", "https://lectern.example.evil.example", "", nil, false},
		{"a name that ends like ours", "https://evil-lectern.example", "", nil, false},
		{"a name that begins like the trusted", "https://app.example.evil.example", "cross-site", nil, false},
		{"the trusted over http", "http://app.example", "cross-site", nil, false},
		{"a subdomain of the trusted", "https://x.app.example", "cross-site", nil, false},
		{"no origin told, another site", "", "cross-site", nil, false},
		{"no origin told, a subdomain", "", "same-site", nil, false},
	} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "SURPRISE"} {
			reached := 0
			h := HTTP(counting(&reached), Options{TrustedOrigins: []string{app}})
			r := httptest.NewRequest(method, us+"/v1/things", strings.NewReader(`{"a":1}`))
			r.Header.Set("X-Forwarded-Proto", "https")
			for name, value := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			for name, value := range c.more {
				r.Header.Set(name, value)
			}
			w := call(t, h, r)
			if (reached == 1) != c.passes || !c.passes && w.Code != http.StatusForbidden {
				t.Errorf("%s with %s: %d, and it was carried out %d times", c.name, method, w.Code, reached)
			}
		}
	}
}

func TestOnlyTrustedPagesReadAnswers(t *testing.T) {
	t.Parallel()
	const app = "https://app.example"
	reached := 0
	h := HTTP(counting(&reached), Options{TrustedOrigins: []string{app, "http://localhost:3000"}})
	for origin, trusted := range map[string]bool{
		app: true, "http://localhost:3000": true,
		"": false, "null": false, "https://evil.example": false, "https://APP.example": false, "http://app.example": false, "https://app.example:443": false,
		"https://x.app.example": false, "https://app.example.evil.example": false, "https://app.example/": false, "https://app.examplé": false, "*": false,
		"http://localhost:3001": false, "http://localhost": false, "https://app.example https://evil.example": false,
	} {
		r := httptest.NewRequest("GET", "https://lectern.example/v1/things", nil)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		reads(t, origin, trusted, call(t, h, r))

		reached = 0
		r = httptest.NewRequest("OPTIONS", "https://lectern.example/v1/things", nil)
		r.Header.Set("Access-Control-Request-Method", "PATCH")
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type,idempotency-key,if-match,last-event-id")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := call(t, h, r)
		if reached != 0 || w.Code != http.StatusNoContent {
			t.Errorf("%q: a preflight is answered with %d, and reached the handler %d times", origin, w.Code, reached)
		}
		reads(t, origin, trusted, w)
		if allowed := w.Header().Get("Access-Control-Allow-Methods") + w.Header().Get("Access-Control-Allow-Headers"); (allowed != "") != trusted {
			t.Errorf("%q may %q", origin, allowed)
		}
	}
}

// reads checks whether an answer lets the page of origin read it.
func reads(t *testing.T, origin string, trusted bool, w *httptest.ResponseRecorder) {
	t.Helper()
	h := w.Header()
	want, credentials := "", ""
	if trusted {
		want, credentials = origin, "true"
	}
	if h.Get("Access-Control-Allow-Origin") != want || h.Get("Access-Control-Allow-Credentials") != credentials {
		t.Errorf("%q: %v", origin, h)
	}
	if !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
		t.Errorf("%q: a cache may give the answer to others: Vary %q", origin, h.Values("Vary"))
	}
}

func TestTrustedPagesSeeWhatTheyNeed(t *testing.T) {
	t.Parallel()
	h := HTTP(ok, Options{TrustedOrigins: []string{"https://app.example"}})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Origin", "https://app.example")
	exposed := call(t, h, r).Header().Get("Access-Control-Expose-Headers")
	for _, name := range []string{"Etag", "Location", "Retry-After", "X-Request-Id"} {
		if !strings.Contains(exposed, name) {
			t.Errorf("%s is not exposed: %s", name, exposed)
		}
	}
	// An error is readable too, or the page could not say what went wrong.
	r = httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", 2<<20)))
	r.Header.Set("Origin", "https://app.example")
	if w := call(t, h, r); w.Code != 413 || w.Header().Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	// With no list nobody is trusted; the library's own default would be everybody.
	r = httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Origin", "https://app.example")
	reads(t, "https://app.example", false, call(t, HTTP(ok, Options{}), r))
}
