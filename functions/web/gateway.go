package web

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/trail"
)

// gateway passes requests on to the function at target, so that pages and API
// share one origin and the person's cookie. What a function streams is passed on
// at once: ReverseProxy flushes every write of an event stream.
func (s *site) gateway(target *url.URL) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		completion := r.URL.Path == completions
		if completion {
			if err := waitLong(w, r); err != nil {
				problem(w, r, err)
				return
			}
		}
		out := &patient{ResponseWriter: w}
		proxy := &httputil.ReverseProxy{
			Transport: s.deps.Transport,
			Rewrite:   func(p *httputil.ProxyRequest) { s.rewrite(p, target) },
			ModifyResponse: func(answer *http.Response) error {
				for name := range w.Header() { // set by our own edge already; twice would be two values
					answer.Header.Del(name)
				}
				if answer.Header.Get("Cache-Control") == "" {
					answer.Header.Set("Cache-Control", "no-store") // it may be about somebody
				}
				switch kind, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";"); kind {
				case "text/event-stream":
					edge.LongLived(w)
					out.streams = true
					if !completion { // which nobody can go on reading
						endWhenDraining(ctx, cancel)
					}
				case "text/csv": // a long ledger over a slow line
					edge.LongLived(w)
				}
				return nil
			},
			ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
				problem(w, r, unreachable(err))
			},
		}
		proxy.ServeHTTP(out, r.WithContext(ctx))
	})
}

// patient lets readers of a stream go who take nothing of it, as the functions would: they
// see only that we take it.
type patient struct {
	http.ResponseWriter
	streams  bool
	patience edge.Patience
}

func (p *patient) Write(b []byte) (int, error) {
	if p.streams {
		p.patience.Begin(http.NewResponseController(p.ResponseWriter), time.Now())
	}
	return p.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// passed are the headers of a request that functions are told. What else a client
// sends stays outside: whose request it is, by which host name and over which line
// it came, is not for the client to say (X-Forwarded-*, X-Lectern-Client, …).
// Whether a page of another site sent it has been checked at our own door; the
// function, which has another host name, could only judge it wrongly (Origin,
// Sec-Fetch-Site).
var passed = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Encoding", "Content-Type", "Cookie",
	"Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID", "Prefer", "Range", "User-Agent", "X-Lectern-Session",
	"X-Stainless-Retry-Count", // by which a request that OpenAI's clients repeat is known
}

// rewrite points the request at the function.
func (s *site) rewrite(p *httputil.ProxyRequest, target *url.URL) {
	p.SetURL(target)
	p.Out.Header = http.Header{}
	for _, name := range passed {
		if values, ok := p.In.Header[http.CanonicalHeaderKey(name)]; ok {
			p.Out.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	pass(p.In.Context(), p.Out.Header)
	s.vouch(p.In.Context(), p.Out, p.In.URL)
}

// pass tells the function which request this is a part of.
func pass(ctx context.Context, h http.Header) {
	for name, value := range trail.From(ctx).Headers() {
		h.Set(name, value)
	}
}

// vouch tells the function whose request this is. The path that is signed is the one
// that the function sees, whatever its address begins with.
func (s *site) vouch(ctx context.Context, out *http.Request, path *url.URL) {
	key := ""
	if len(s.deps.Front.GatewayKeys) > 0 {
		key = s.deps.Front.GatewayKeys[0]
	}
	edge.SignClient(&http.Request{Method: out.Method, URL: path, Header: out.Header}, key, edge.ClientAddress(ctx))
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
