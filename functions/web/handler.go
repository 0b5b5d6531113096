package web

import (
	"net/http"
	"net/url"
	"time"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
)

// maxBody is what the gateway passes on at most, in bytes; the functions behind it
// set their own, lower limits. Uploads go straight to the bucket.
const maxBody = 8 << 20

// Deps are what web stands on.
type Deps struct {
	Transport http.RoundTripper // carries requests to the other functions; nil: a pool of connections
	Courses   *url.URL          // where they answer: scheme and host
	Auth      *url.URL          // nil: not there, its addresses answer 404
	Chat      *url.URL          // nil: the same
	Media     *url.URL          // origin that videos are played from; nil: this one
}

// site answers pages.
type site struct {
	deps   Deps
	client *http.Client
	assets *assets
	pages  pages
}

// New makes the handler of the whole site: pages, static files, and the gateway.
func New(d Deps) http.Handler {
	if d.Transport == nil {
		d.Transport = transport()
	}
	files := newAssets()
	s := &site{
		deps:   d,
		client: &http.Client{Transport: d.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		assets: files,
		pages:  parsePages(files),
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.page(s.showCourses))
	mux.Handle("GET /courses/{course}", s.page(s.showCourse))
	mux.Handle("GET /lessons/{lesson}", s.page(s.showLesson))
	mux.Handle("GET /docs", s.page(s.showDocs))
	mux.Handle("POST /courses/{course}/generations", s.act(s.generate))
	mux.Handle("POST /courses/{course}/renders", s.act(s.renderCourse))
	mux.Handle("POST /lessons/{lesson}/renders", s.act(s.renderLesson))
	mux.Handle("POST /jobs/{job}/cancel", s.act(s.cancelJob))
	mux.Handle("POST /jobs/{job}/resume", s.act(s.resumeJob))
	mux.Handle("GET /static/", files)
	mux.HandleFunc("GET /favicon.ico", files.byName["icon.svg"].serve)
	mux.HandleFunc("GET /openapi.json", s.serveOpenAPI)
	mux.Handle("/v1/", gateway(d.Courses, d.Transport))
	for path, target := range map[string]*url.URL{"/v1/auth/": d.Auth, "/v1/budget": d.Auth, "/v1/chat/": d.Chat, "/v1/models": d.Chat} {
		if target == nil {
			mux.HandleFunc(path, notServed)
			continue
		}
		mux.Handle(path, gateway(target, d.Transport))
	}
	mux.Handle("/", s.page(func(*http.Request) (string, any, error) {
		return "", nil, fault.New(fault.NotFound, "There is no page at this address.")
	}))
	return edge.HTTP(s.secure(mux), edge.Options{MaxBody: maxBody})
}

// secure lets pages load what this site serves and nothing else; only videos may
// come from the bucket's origin. There is no inline script or style, and script
// cannot turn text into HTML (trusted types without any policy).
func (s *site) secure(next http.Handler) http.Handler {
	media := ""
	if s.deps.Media != nil {
		media = " " + s.deps.Media.String()
	}
	policy := "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; " +
		"img-src 'self'" + media + "; media-src 'self'" + media + "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
		"require-trusted-types-for 'script'; trusted-types 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		next.ServeHTTP(w, r)
	})
}

// transport keeps connections to the other functions open between requests; the
// default of two a host would open one for nearly every page. A stream may be
// silent for long, so only the time to the first byte of an answer is bounded.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64
	t.ResponseHeaderTimeout = 30 * time.Second
	return t
}

func notServed(w http.ResponseWriter, r *http.Request) {
	problem(w, r, fault.New(fault.NotFound, "This part of Lectern is not served here."))
}

func (s *site) api(r *http.Request) api { return api{s.client, s.deps.Courses, r} }
