// Package trail is what a request leaves wherever its work goes on: in tasks, in events,
// and days later in a sweep. All of it has the id of the request that it began with, and
// is one trace.
package trail

import (
	"context"
	"encoding/hex"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// Trail leads back to a request. Its zero value leads nowhere.
type Trail struct {
	Request string            // id of the request that the work began with
	Span    trace.SpanContext // what the work goes on from; may be none
}

// Carrier is what stands in a ctx for a request, and knows its trail.
type Carrier interface{ Trail() Trail }

type key struct{}

// Carry puts a request into a ctx.
func Carry(ctx context.Context, c Carrier) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// Carried gives the request that Carry put into ctx, whatever trail is followed since;
// nil: none.
func Carried(ctx context.Context) Carrier {
	c := carrier(ctx)
	if f, ok := c.(followed); ok {
		return f.Carrier
	}
	return c
}

func carrier(ctx context.Context) Carrier {
	c, _ := ctx.Value(key{}).(Carrier)
	return c
}

// followed is a request on whose time the trail of another is followed.
type followed struct {
	Carrier
	trail Trail
}

// Trail implements Carrier.
func (f followed) Trail() Trail { return f.trail }

// From gives the trail of what is done under ctx.
func From(ctx context.Context) (t Trail) {
	if c := carrier(ctx); c != nil {
		t = c.Trail()
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		t.Span = span
	}
	return t
}

// The headers that carry a trail.
const (
	requestHeader = "X-Request-Id"
	spanHeader    = "Traceparent"
)

// Beside is under which name an object's metadata has the trail of who wrote it.
const Beside = "trail"

// Headers are those that carry the trail on, with a task for example.
func (t Trail) Headers() map[string]string {
	headers := map[string]string{}
	if t.Request != "" {
		headers[requestHeader] = t.Request
	}
	if parent := t.parent(); parent != "" {
		headers[spanHeader] = parent
	}
	return headers
}

// Of reads the headers that somebody has sent; what is malformed in them is left out.
func Of(h http.Header) Trail {
	t := Trail{Span: parseParent(h.Get(spanHeader))}
	if id := h.Get(requestHeader); sane(id) {
		t.Request = id
	}
	return t
}

// String is the trail as it is kept beside what it leads back from.
func (t Trail) String() string {
	return strings.TrimRight(t.Request+" "+t.parent(), " ")
}

// Parse reads what String gave; what is malformed in it is left out.
func Parse(text string) Trail {
	request, parent, _ := strings.Cut(text, " ")
	t := Trail{Span: parseParent(parent)}
	if sane(request) {
		t.Request = request
	}
	return t
}

// sane tells whether an id from outside may enter the log and the response.
func sane(id string) bool {
	if len(id) < 8 || len(id) > 128 {
		return false
	}
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// parent is the span as version-trace-parent-flags; empty when there is none.
// https://www.w3.org/TR/trace-context/#traceparent-header-field-values
func (t Trail) parent() string {
	if !t.Span.IsValid() {
		return ""
	}
	flags := "-00"
	if t.Span.IsSampled() {
		flags = "-01"
	}
	return "00-" + t.Span.TraceID().String() + "-" + t.Span.SpanID().String() + flags
}

// parseParent reads such a text; a malformed one is no span.
func parseParent(s string) trace.SpanContext {
	parts := strings.SplitN(s, "-", 5) // a later version may have more of them, and anybody as many as a header holds
	if len(parts) < 4 || !lowerHex(parts[0], 2) || parts[0] == "ff" || (parts[0] == "00" && len(parts) != 4) ||
		!lowerHex(parts[1], 32) || !lowerHex(parts[2], 16) || !lowerHex(parts[3], 2) {
		return trace.SpanContext{}
	}
	span := trace.SpanContextConfig{Remote: true}
	_, _ = hex.Decode(span.TraceID[:], []byte(parts[1]))
	_, _ = hex.Decode(span.SpanID[:], []byte(parts[2]))
	flags, _ := hex.DecodeString(parts[3])
	span.TraceFlags = trace.TraceFlags(flags[0]) & trace.FlagsSampled
	if c := trace.NewSpanContext(span); c.IsValid() { // neither is all zeros
		return c
	}
	return trace.SpanContext{}
}

func lowerHex(s string, length int) bool {
	return len(s) == length && strings.Trim(s, "0123456789abcdef") == ""
}
