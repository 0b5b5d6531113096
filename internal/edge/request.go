package edge

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
)

// request is what the edge knows about the request in ctx. The error is set by
// whoever answers with it and read once, by the access log.
type request struct {
	id      string
	trace   string // 32 hex digits; empty when the caller sent none
	span    string // 16 hex digits
	sampled bool
	client  netip.Addr // who sent it; see Front
	dialect Dialect    // in which its errors are told; nil: ours
	err     error

	outer  bool    // HTTP is around the handler, and runs the stream when the handler has returned
	stream *stream // that it is answered with; nil: none
}

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	q, _ := ctx.Value(requestKey{}).(*request)
	return q
}

// RequestID gives the id that the response carries in X-Request-Id; empty outside
// a request.
func RequestID(ctx context.Context) string {
	if q := requestOf(ctx); q != nil {
		return q.id
	}
	return ""
}

// Traceparent gives the trace of the request in ctx as a header to pass on, with a
// task for example; empty when the caller sent none.
func Traceparent(ctx context.Context) string {
	q := requestOf(ctx)
	if q == nil || q.trace == "" {
		return ""
	}
	flags := "00"
	if q.sampled {
		flags = "01"
	}
	return "00-" + q.trace + "-" + q.span + "-" + flags
}

// Failed notes the error with which a request was answered, for the access log.
// API operations, tasks and events do it by themselves; a handler that writes its
// own error page calls it.
func Failed(ctx context.Context, err error) {
	if q := requestOf(ctx); q != nil {
		q.err = err
	}
}

func newRequest(r *http.Request) *request {
	q := &request{id: r.Header.Get("X-Request-Id")}
	if !saneID(q.id) {
		q.id = rand.Text()
	}
	q.trace, q.span, q.sampled = parseTraceparent(r.Header.Get("traceparent"))
	return q
}

// saneID tells whether an id from outside may enter the log and the response.
func saneID(s string) bool {
	if len(s) < 8 || len(s) > 128 {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// parseTraceparent reads version-trace-parent-flags; a malformed header is no trace.
// https://www.w3.org/TR/trace-context/#traceparent-header-field-values
func parseTraceparent(s string) (trace, span string, sampled bool) {
	parts := strings.Split(s, "-")
	if len(parts) < 4 || !lowerHex(parts[0], 2) || parts[0] == "ff" || (parts[0] == "00" && len(parts) != 4) ||
		!lowerHex(parts[1], 32) || !lowerHex(parts[2], 16) || !lowerHex(parts[3], 2) ||
		strings.Trim(parts[1], "0") == "" || strings.Trim(parts[2], "0") == "" {
		return "", "", false
	}
	flags, _ := hex.DecodeString(parts[3])
	return parts[1], parts[2], flags[0]&1 == 1
}

func lowerHex(s string, length int) bool {
	return len(s) == length && strings.Trim(s, "0123456789abcdef") == ""
}
