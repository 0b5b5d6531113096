package edge

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/rs/cors"

	"lectern.dev/lectern/internal/fault"
)

// origins are the other sites whose pages may use this one with its cookies.
type origins map[string]bool

// parseOrigins wants each exactly as browsers send it: no path, no wildcard, no
// "null", lower case.
func parseOrigins(list []string) (origins, error) {
	trusted := make(origins, len(list))
	for _, origin := range list {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" ||
			origin != strings.ToLower(u.Scheme+"://"+u.Host) || strings.ContainsAny(u.Host, "*,") {
			return nil, fmt.Errorf("the trusted origin %q is not one such as https://host", origin)
		}
		trusted[origin] = true
	}
	return trusted, nil
}

// share answers preflights and lets pages of trusted origins read answers, with
// credentials (CORS). Other pages are told nothing: their browser refuses.
func (o origins) share(next http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowOriginFunc:  func(origin string) bool { return o[origin] }, // an empty list of cors' own would allow all
		AllowCredentials: true,
		AllowedMethods:   []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders: []string{
			"Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID", "Traceparent", "X-Request-Id", "X-Lectern-Session",
			// What OpenAI's JavaScript client sends.
			"X-Stainless-Arch", "X-Stainless-Helper-Method", "X-Stainless-Lang", "X-Stainless-Os", "X-Stainless-Package-Version", "X-Stainless-Retry-Count",
			"X-Stainless-Runtime", "X-Stainless-Runtime-Version", "X-Stainless-Timeout", "Openai-Organization", "Openai-Project",
		},
		ExposedHeaders: []string{"ETag", "Location", "Retry-After", "X-Lectern-Message", "X-Request-Id", "X-Should-Retry"},
		MaxAge:         7200, // seconds; browsers remember no longer
	}).Handler(next)
}

// protect refuses what a page of another site makes a browser send with our cookies
// (CSRF): everything but GET, HEAD and OPTIONS, which change nothing.
func (o origins) protect(next http.Handler) http.Handler {
	refuse := failing(fault.New(fault.Denied, "This request was sent by a page of another site, so it was not carried out."))
	protection := http.NewCrossOriginProtection()
	for origin := range o {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			panic(err) // parseOrigins is stricter
		}
	}
	protection.SetDenyHandler(refuse)
	protected := protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.downgraded(r) {
			refuse.ServeHTTP(w, r)
			return
		}
		protected.ServeHTTP(w, r)
	})
}

// downgraded tells whether a page that came over http writes to us over https.
// Browsers that send no Sec-Fetch-Site leave it to us to see that such a page, which
// anybody on the way can forge, is not ours though its host is.
func (o origins) downgraded(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	origin := r.Header.Get("Origin")
	return encrypted(r) && strings.HasPrefix(origin, "http://") && !o[origin]
}
