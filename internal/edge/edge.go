// Package edge stands between the platform and a handler: the server and its
// drain, the request's id and trace, the log, the outcome of a task or an event,
// problem documents, the OpenAPI glue and server-sent events.
//
// It knows no noun. A handler returns errors with a fault kind; the one table
// that turns kinds into behaviour is here (see status, Task and Event).
package edge

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Limits that hold for every function. Streams and tasks lift the two timeouts
// for themselves (see LongLived).
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second // headers and body
	writeTimeout      = 60 * time.Second
	idleTimeout       = 120 * time.Second // above the 60 s that proxies keep connections
	maxHeaderBytes    = 64 << 10

	// drainTimeout is how long requests in flight may go on after SIGTERM; the
	// platform kills the process after 10 s.
	drainTimeout = 8 * time.Second
	// requestTimeout is how long an API operation may take; below readTimeout, whose
	// end would cancel the request without a word.
	requestTimeout = 25 * time.Second
)

// Build makes a function's handler with its production parts. Settings that are
// missing or wrong come back as an error; connections open at first use.
type Build func(ctx context.Context) (http.Handler, error)

// Lazy builds the handler at the first request and keeps it; a failure is
// answered with 503 and tried again at the next request, where sync.Once would
// keep it for ever. It is what a function registers with the Functions
// Framework, whose main constructs nothing.
func Lazy(build Build) http.HandlerFunc {
	var (
		mu      sync.Mutex
		handler http.Handler
	)
	get := func(ctx context.Context) (http.Handler, error) {
		mu.Lock()
		defer mu.Unlock()
		if handler != nil {
			return handler, nil
		}
		h, err := build(context.WithoutCancel(ctx))
		if err == nil {
			handler = h
		}
		return h, err
	}
	return func(w http.ResponseWriter, r *http.Request) {
		h, err := get(r.Context())
		if err != nil {
			Front{}.instrument(failing(err)).ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	}
}

type drainKey struct{}

// Draining is closed when the process has been told to stop: a stream then ends
// cleanly and a long task hands over. It is nil, and so never ready, where the
// server is not ours.
func Draining(ctx context.Context) <-chan struct{} {
	return drained(ctx).Done()
}

// drained ends when Draining closes.
func drained(ctx context.Context) context.Context {
	if c, ok := ctx.Value(drainKey{}).(context.Context); ok {
		return c
	}
	return context.Background()
}

// LongLived lifts the server's read and write timeouts for one request whose body
// has been read: a stream, a proxied stream, a task.
func LongLived(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // a recorder has no connection
	_ = c.SetWriteDeadline(time.Time{})
}
