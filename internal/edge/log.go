package edge

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"unicode"

	"lectern.dev/lectern/internal/trail"
)

// Logger writes what Cloud Logging reads: one JSON object a line, with severity,
// message, and the request's id and trace taken from ctx. On a terminal it
// writes plain text. Project is the prefix of trace names; without one the trace
// id stands alone.
// Keys: https://cloud.google.com/logging/docs/structured-logging
func Logger(w io.Writer, level slog.Leveler, project string) *slog.Logger {
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		return slog.New(contextual{slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}), ""})
	}
	prefix := ""
	if project != "" {
		prefix = "projects/" + project + "/traces/"
	}
	return slog.New(contextual{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: cloudKeys}), prefix})
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// cloudKeys renames slog's keys to those that Cloud Logging understands, and makes
// visible what in a text could fool who reads it. JSON itself escapes line breaks,
// so that no text can begin a line.
func cloudKeys(groups []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(visible(a.Value.String()))
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(visible(err.Error()))
		}
	}
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.MessageKey:
		a.Key = "message"
	case slog.LevelKey:
		a.Key = "severity"
		if level, _ := a.Value.Any().(slog.Level); level >= slog.LevelWarn && level < slog.LevelError {
			a.Value = slog.StringValue("WARNING")
		}
	}
	return a
}

// contextual adds the ids of the request in ctx to every record.
type contextual struct {
	slog.Handler
	tracePrefix string
}

func (h contextual) Handle(ctx context.Context, record slog.Record) error {
	t := trail.From(ctx)
	if t.Request != "" {
		record.AddAttrs(slog.String("request_id", t.Request))
	}
	if t.Span.IsValid() {
		record.AddAttrs(
			slog.String("logging.googleapis.com/trace", h.tracePrefix+t.Span.TraceID().String()),
			slog.String("logging.googleapis.com/spanId", t.Span.SpanID().String()),
			slog.Bool("logging.googleapis.com/trace_sampled", t.Span.IsSampled()),
		)
	}
	return h.Handler.Handle(ctx, record)
}

func (h contextual) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextual{h.Handler.WithAttrs(attrs), h.tracePrefix}
}

func (h contextual) WithGroup(name string) slog.Handler {
	return contextual{h.Handler.WithGroup(name), h.tracePrefix}
}

// visible writes characters as \uXXXX that turn the direction of text around, or
// that a terminal obeys and JSON does not escape.
func visible(text string) string {
	if !strings.ContainsFunc(text, misleading) {
		return text
	}
	var b strings.Builder
	for _, c := range text {
		if misleading(c) {
			fmt.Fprintf(&b, `\u%04x`, c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func misleading(c rune) bool {
	return unicode.Is(unicode.Bidi_Control, c) || c >= 0x7f && c <= 0x9f
}
