package edge

import (
	"context"
	"io"
	"log/slog"
	"os"
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

// cloudKeys renames slog's keys to those that Cloud Logging understands.
func cloudKeys(groups []string, a slog.Attr) slog.Attr {
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
	if q := requestOf(ctx); q != nil {
		record.AddAttrs(slog.String("request_id", q.id))
		if q.trace != "" {
			record.AddAttrs(
				slog.String("logging.googleapis.com/trace", h.tracePrefix+q.trace),
				slog.String("logging.googleapis.com/spanId", q.span),
				slog.Bool("logging.googleapis.com/trace_sampled", q.sampled),
			)
		}
	}
	return h.Handler.Handle(ctx, record)
}

func (h contextual) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextual{h.Handler.WithAttrs(attrs), h.tracePrefix}
}

func (h contextual) WithGroup(name string) slog.Handler {
	return contextual{h.Handler.WithGroup(name), h.tracePrefix}
}
