package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/tally"
	"lectern.dev/lectern/internal/trail"
)

// Options say how HTTP treats requests. The zero value suits an API of small bodies.
type Options struct {
	MaxBody        int64    // bytes; 0: 1 MiB
	TrustedOrigins []string // "https://host": other origins whose pages may call with our cookies
	Front                   // who tells the client's address
	// Drain finishes what goes on without a request, when the process has been told to
	// stop; its ctx ends when there is no more time. Nil: nothing does.
	Drain func(ctx context.Context)
}

// HTTP puts around a public handler all that every one of them needs: request id
// and trace, access log, recovery from panics, body limit, security headers, CORS,
// refusal of cross-origin writes, GET /healthz and GET /health. It panics on a malformed trusted
// origin and on a gateway key that is too short, which are wrong settings.
func HTTP(handler http.Handler, o Options) http.Handler {
	trusted, err := parseOrigins(o.TrustedOrigins)
	if err = errors.Join(err, o.check()); err != nil {
		panic(err)
	}
	if o.MaxBody == 0 {
		o.MaxBody = 1 << 20
	}
	served := o.instrument(speak(handler, healthz(trusted.share(limitBody(trusted.protect(handler), o.MaxBody)))))
	if o.Drain == nil {
		return served
	}
	return draining{served, o.Drain}
}

// draining is a handler that has something to finish; see Serve.
type draining struct {
	http.Handler
	drain func(ctx context.Context)
}

// Drain finishes what goes on without a request.
func (d draining) Drain(ctx context.Context) { d.drain(ctx) }

// instrument gives a request its id and trace, sets the headers of every answer,
// recovers panics, and logs the request once, when it is over. A stream that the handler
// has begun runs when the handler has returned.
func (f Front) instrument(next http.Handler) http.Handler {
	return f.instrumented(next, true)
}

// instrumented is instrument for a handler that begins the request's span itself, or not;
// see Follow.
func (f Front) instrumented(next http.Handler, begin bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := newRequest(r)
		q.client, q.outer = f.client(r), true
		// A stream may go on when the server takes the request for answered; see line.
		measuring, sums := tally.Under(trail.Carry(context.WithoutCancel(r.Context()), q))
		ctx, end := context.WithCancel(measuring)
		released := context.AfterFunc(r.Context(), end)
		v := &visit{
			q: q, out: recorder{ResponseWriter: w}, sums: sums, method: r.Method, url: loggedURL(r.URL),
			agent: shorten(r.UserAgent(), 512), health: isHealth(r.URL.Path),
		}
		if !v.health {
			q.tracing = tracingOf(ctx)
		}
		if begin {
			ctx = q.begin(ctx, r.Method)
		}
		secure(w.Header(), r)
		w.Header().Set("X-Request-Id", q.id)
		v.ctx = ctx
		asked := r.WithContext(ctx)
		asked.Pattern = "" // of a mux before us, which knows one of our addresses only
		cut := v.serve(func() { next.ServeHTTP(&v.out, asked) })
		v.route = route(asked.Pattern)
		if q.stream != nil && v.out.status == 0 {
			all := linesFor(r)
			if line := all.take(w); line != nil {
				released()
				v.out.ResponseWriter, v.out.status = line, http.StatusOK
				go v.stream(all, line, end)
				return
			}
			cut = v.serve(v.run)
		}
		released()
		end()
		v.over()
		if cut {
			panic(http.ErrAbortHandler)
		}
	})
}

// visit is a request while it is answered, with what is logged of it then.
type visit struct {
	q                  *request
	out                recorder
	ctx                context.Context
	sums               *tally.Tally // of what was measured while it was answered
	method, url, agent string
	route              string // the pattern that its address matches; empty: none
	health             bool   // a prober asks
	stack              string // of a panic
}

// run runs the stream.
func (v *visit) run() { v.q.stream.run(&v.out) }

// stream runs the stream on a line, and logs it.
func (v *visit) stream(all *lines, on *line, hungUp func()) {
	all.run(on, hungUp, v.over, func() (cut bool) { return v.serve(v.run) })
}

// serve does a part of what a request asks for and recovers its panics. Cut says that a
// part of the answer is out: the connection is to be cut rather than an error appended.
func (v *visit) serve(part func()) (cut bool) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		v.q.stream = nil
		if p != http.ErrAbortHandler {
			v.stack = string(debug.Stack())
			v.q.err = fmt.Errorf("panic: %v", p)
			if v.out.status == 0 {
				writeProblem(v.ctx, &v.out, v.q.err)
				return
			}
		}
		cut = true
	}()
	part()
	return false
}

// over tells of the request.
func (v *visit) over() {
	v.log()
	v.q.end(v.ctx, v.method, v.route, v.out.code())
}

// log writes the one line about a request: at ERROR when it was our fault, at
// WARNING when a part we need was missing or a delivery is given up, at DEBUG for
// health checks.
func (v *visit) log() {
	level := slog.LevelInfo
	attrs := []slog.Attr{slog.Group("httpRequest",
		slog.String("requestMethod", v.method),
		slog.String("requestUrl", v.url),
		slog.Int("status", v.out.code()),
		slog.String("latency", fmt.Sprintf("%.6fs", time.Since(v.q.began).Seconds())),
		slog.Int64("responseSize", v.out.size),
		slog.String("userAgent", v.agent),
		slog.String("remoteIp", loggedAddress(ClientAddress(v.ctx))),
	)}
	attrs = append(attrs, v.q.delivery...)
	if v.health {
		level = slog.LevelDebug
	}
	if err := v.q.err; err != nil {
		attrs = append(attrs, slog.String("error", err.Error()), slog.String("kind", fault.KindOf(err).String()))
		switch {
		case fault.Is(err, fault.Internal):
			level = slog.LevelError
		case fault.Is(err, fault.Unavailable):
			level = slog.LevelWarn
		case v.out.code() < 300: // a delivery that is acknowledged although it failed
			level = slog.LevelWarn
			attrs = append(attrs, slog.String("outcome", "not retried"))
		}
	}
	attrs = append(attrs, v.sums.Attrs()...)
	if v.stack != "" {
		attrs = append(attrs, slog.String("stack_trace", v.stack))
	}
	slog.LogAttrs(v.ctx, level, "request", attrs...)
}

// isHealth tells whether a prober asks. What stands before Cloud Run answers /healthz
// itself, so that from outside it is /health.
func isHealth(path string) bool { return path == "/healthz" || path == "/health" }

func healthz(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isHealth(r.URL.Path) && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			_, _ = w.Write([]byte("ok\n")) // the prober may be gone
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limitBody refuses a declared oversize at once and cuts an undeclared one.
func limitBody(next http.Handler, limit int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > limit {
			w.Header().Set("Connection", "close") // nobody will read the rest
			failing(tooLarge(limit)).ServeHTTP(w, r)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		next.ServeHTTP(w, r)
	})
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "The request is larger than the %d KiB that are taken here.", limit>>10)
}

// failing answers every request with err.
func failing(err error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Failed(r.Context(), err)
		writeProblem(r.Context(), w, err)
	})
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	size   int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.size += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach flush and deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK // what net/http sends for a handler that wrote nothing
	}
	return r.status
}
