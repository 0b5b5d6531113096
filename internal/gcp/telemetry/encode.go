package telemetry

import (
	"math"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// encode writes spans of one resource as an ExportTraceServiceRequest. The numbers are
// those of the fields in
// https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto
func encode(spans []sdktrace.ReadOnlySpan) []byte {
	var scopes []instrumentation.Scope
	by := map[instrumentation.Scope][]sdktrace.ReadOnlySpan{}
	for _, s := range spans {
		of := s.InstrumentationScope()
		if by[of] == nil {
			scopes = append(scopes, of)
		}
		by[of] = append(by[of], s)
	}
	var all message
	all.in(1, func(m *message) { // resource_spans
		m.in(1, func(m *message) { m.attributes(1, spans[0].Resource().Attributes()) })
		for _, of := range scopes {
			m.in(2, func(m *message) { // scope_spans
				m.in(1, func(m *message) {
					m.text(1, of.Name)
					m.text(2, of.Version)
				})
				for _, s := range by[of] {
					m.in(2, func(m *message) { m.span(s) })
				}
			})
		}
	})
	return all
}

// message is a protobuf message that is being written.
type message []byte

func (m *message) span(s sdktrace.ReadOnlySpan) {
	own, parent := s.SpanContext(), s.Parent()
	m.id(1, 2, own)
	m.text(3, own.TraceState().String())
	if parent.IsValid() {
		id := parent.SpanID()
		m.bytes(4, id[:])
	}
	m.text(5, s.Name())
	m.number(6, uint64(s.SpanKind())) //nolint:gosec // the kinds have the same numbers
	m.time(7, s.StartTime())
	m.time(8, s.EndTime())
	m.attributes(9, s.Attributes())
	m.number(10, uint64(s.DroppedAttributes())) //nolint:gosec // a count
	for _, e := range s.Events() {
		m.in(11, func(m *message) {
			m.time(1, e.Time)
			m.text(2, e.Name)
			m.attributes(3, e.Attributes)
		})
	}
	m.number(12, uint64(s.DroppedEvents())) //nolint:gosec // a count
	for _, l := range s.Links() {
		m.in(13, func(m *message) {
			m.id(1, 2, l.SpanContext)
			m.attributes(4, l.Attributes)
			m.flags(6, l.SpanContext)
		})
	}
	m.number(14, uint64(s.DroppedLinks())) //nolint:gosec // a count
	m.in(15, func(m *message) {            // without its text, in which clients quote
		m.number(3, map[codes.Code]uint64{codes.Ok: 1, codes.Error: 2}[s.Status().Code])
	})
	m.flags(16, own)
}

// unsaid are attributes of clients that trace by themselves which may hold a secret, or what
// people wrote: the address of an upload that is under way is all that one needs to go on
// with it, and the text of an error quotes it.
var unsaid = map[attribute.Key]bool{
	"url.full": true, "url.query": true, "http.url": true, "http.target": true,
	"exception.message": true, "exception.stacktrace": true, "status.message": true, "error.message": true,
}

func (m *message) attributes(field protowire.Number, all []attribute.KeyValue) {
	for _, a := range all {
		if unsaid[a.Key] {
			continue
		}
		m.in(field, func(m *message) {
			m.text(1, string(a.Key))
			m.in(2, func(m *message) { m.value(a.Value) })
		})
	}
}

func (m *message) value(v attribute.Value) {
	switch v.Type() {
	case attribute.BOOL:
		*m = protowire.AppendTag(*m, 2, protowire.VarintType)
		*m = protowire.AppendVarint(*m, protowire.EncodeBool(v.AsBool()))
	case attribute.INT64:
		*m = protowire.AppendTag(*m, 3, protowire.VarintType)
		*m = protowire.AppendVarint(*m, uint64(v.AsInt64())) //nolint:gosec // as protobuf has negative numbers
	case attribute.FLOAT64:
		*m = protowire.AppendTag(*m, 4, protowire.Fixed64Type)
		*m = protowire.AppendFixed64(*m, math.Float64bits(v.AsFloat64()))
	case attribute.STRINGSLICE:
		m.in(5, func(m *message) {
			for _, one := range v.AsStringSlice() {
				m.in(1, func(m *message) { m.string(1, one) })
			}
		})
	case attribute.STRING:
		m.string(1, v.AsString())
	default:
		m.string(1, v.String()) // lists of numbers, which nobody makes
	}
}

// in writes a message within this one.
func (m *message) in(field protowire.Number, write func(m *message)) {
	var inner message
	write(&inner)
	m.bytes(field, inner)
}

func (m *message) bytes(field protowire.Number, b []byte) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendBytes(*m, b)
}

// string writes a text. One that is not UTF-8 would have the whole batch refused.
func (m *message) string(field protowire.Number, s string) {
	m.bytes(field, []byte(strings.ToValidUTF8(s, "\uFFFD")))
}

func (m *message) text(field protowire.Number, s string) {
	if s != "" {
		m.string(field, s)
	}
}

func (m *message) number(field protowire.Number, n uint64) {
	if n != 0 {
		*m = protowire.AppendTag(*m, field, protowire.VarintType)
		*m = protowire.AppendVarint(*m, n)
	}
}

func (m *message) time(field protowire.Number, t time.Time) {
	*m = protowire.AppendTag(*m, field, protowire.Fixed64Type)
	*m = protowire.AppendFixed64(*m, uint64(t.UnixNano())) //nolint:gosec // after 1970
}

func (m *message) id(trace, span protowire.Number, c trace.SpanContext) {
	traceID, spanID := c.TraceID(), c.SpanID()
	m.bytes(trace, traceID[:])
	m.bytes(span, spanID[:])
}

func (m *message) flags(field protowire.Number, c trace.SpanContext) {
	*m = protowire.AppendTag(*m, field, protowire.Fixed32Type)
	*m = protowire.AppendFixed32(*m, uint32(c.TraceFlags()))
}
