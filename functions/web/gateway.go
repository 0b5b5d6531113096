package web

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"lectern.dev/lectern/internal/edge"
)

// gateway passes requests on to the function at target, so that pages and API
// share one origin and the person's cookie. What a function streams is passed on
// at once: ReverseProxy flushes every write of an event stream.
func gateway(target *url.URL, transport http.RoundTripper) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		proxy := &httputil.ReverseProxy{
			Transport: transport,
			Rewrite:   func(p *httputil.ProxyRequest) { rewrite(p, target) },
			ModifyResponse: func(answer *http.Response) error {
				for name := range w.Header() { // set by our own edge already; twice would be two values
					answer.Header.Del(name)
				}
				if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
					edge.LongLived(w)
					endWhenDraining(ctx, cancel)
				}
				return nil
			},
			ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
				problem(w, r, unreachable(err))
			},
		}
		proxy.ServeHTTP(w, r.WithContext(ctx))
	})
}

// rewrite points the request at the function. Whether a page of another site sent
// it has been checked at our own door; the function, which has another host name,
// could only judge it wrongly.
func rewrite(p *httputil.ProxyRequest, target *url.URL) {
	p.SetURL(target)
	p.SetXForwarded()
	p.Out.Header.Del("Origin")
	p.Out.Header.Del("Sec-Fetch-Site")
	p.Out.Header.Set("X-Request-Id", edge.RequestID(p.In.Context()))
}

// endWhenDraining ends a stream when the process is told to stop, so that the
// drain need not wait for it; the reader comes again by itself.
func endWhenDraining(ctx context.Context, cancel context.CancelFunc) {
	go func() {
		select {
		case <-edge.Draining(ctx):
			cancel()
		case <-ctx.Done():
		}
	}()
}
