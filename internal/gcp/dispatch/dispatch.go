// Package dispatch carries what the emulators deliver to a handler in the same
// process, without a network between.
package dispatch

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// Client gives a client whose requests, whatever their URL, are answered by h.
// Like a server, it gives up waiting when the request's context ends while h goes
// on, and answers 500 when h panics.
func Client(h http.Handler) *http.Client { return &http.Client{Transport: transport{h}} }

type transport struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := &recorder{header: make(http.Header), status: http.StatusOK}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				slog.ErrorContext(in.Context(), "a handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				out.status = http.StatusInternalServerError
			}
		}()
		t.handler.ServeHTTP(out, in)
	}()
	select {
	case <-done:
		return out.response(req), nil
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// recorder is the whole answer in memory: those of tasks and events are small.
type recorder struct {
	header http.Header
	status int
	wrote  bool
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if !r.wrote {
		r.status, r.wrote = status, true
	}
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	r.wrote = true
	return r.body.Write(p)
}

func (r *recorder) response(req *http.Request) *http.Response {
	return &http.Response{
		Status: fmt.Sprintf("%d %s", r.status, http.StatusText(r.status)), StatusCode: r.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.header.Clone(), Body: io.NopCloser(&r.body), ContentLength: int64(r.body.Len()), Request: req,
	}
}
