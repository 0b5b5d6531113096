// Package logtest reads, in tests, what the log says: each line as Cloud Logging gets it,
// and whether it has what the metrics in terraform/metrics.tf are made of.
package logtest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"sync"
	"testing"

	"lectern.dev/lectern/internal/edge"
)

// What is logged under a Log's context goes there, of everything else what is wrong to stderr.
func init() {
	slog.SetDefault(slog.New(Handler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))))
}

// Line is what Cloud Logging has of a line.
type Line map[string]any

// Number is a figure, by its path: "survey.stuck_jobs"; nil where there is none.
func (l Line) Number(path string) *float64 {
	if n, ok := l.at(path).(float64); ok {
		return &n
	}
	return nil
}

// Text is a text by its path; empty where there is none.
func (l Line) Text(path string) string {
	s, _ := l.at(path).(string)
	return s
}

// Log keeps what is logged under its context.
type Log struct {
	mu    sync.Mutex
	lines []Line
}

type key struct{}

// Under gives a context whose lines are kept.
func Under(parent context.Context) (context.Context, *Log) {
	l := &Log{}
	return context.WithValue(parent, key{}, l), l
}

// Of gives the lines with a message.
func (l *Log) Of(message string) []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []Line
	for _, line := range l.lines {
		if line["message"] == message {
			found = append(found, line)
		}
	}
	return found
}

// One gives the only line with a message.
func (l *Log) One(t testing.TB, message string) Line {
	t.Helper()
	found := l.Of(message)
	if len(found) != 1 {
		t.Fatalf("%d lines %q in %v", len(found), message, l.lines)
	}
	return found[0]
}

// Handler hands on what belongs to no Log.
func Handler(next slog.Handler) slog.Handler { return router{next} }

type router struct{ slog.Handler }

func (r router) Enabled(ctx context.Context, level slog.Level) bool {
	return of(ctx) != nil || r.Handler.Enabled(ctx, level)
}

func (r router) Handle(ctx context.Context, record slog.Record) error {
	l := of(ctx)
	if l == nil {
		return r.Handler.Handle(ctx, record)
	}
	line, err := Read(ctx, record)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return err
}

func (r router) WithAttrs(attrs []slog.Attr) slog.Handler { return router{r.Handler.WithAttrs(attrs)} }

func (r router) WithGroup(name string) slog.Handler { return router{r.Handler.WithGroup(name)} }

// Read gives a record as Cloud Logging would get it.
func Read(ctx context.Context, record slog.Record) (Line, error) {
	var out bytes.Buffer
	if err := edge.Logger(&out, slog.LevelDebug, "demo").Handler().Handle(ctx, record); err != nil {
		return nil, err
	}
	var line Line
	err := json.Unmarshal(out.Bytes(), &line)
	return line, err
}

func of(ctx context.Context) *Log {
	l, _ := ctx.Value(key{}).(*Log)
	return l
}
