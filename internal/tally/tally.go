// Package tally sums what is measured while something is done, so that the one line
// that the log has of it tells: milliseconds of waiting for a connection, tokens, money.
// Who measures need not know who logs.
package tally

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// Tally is the sums of what was measured under a context. It is safe for concurrent use.
type Tally struct {
	outer *Tally // of the context that this one's was made from

	mu   sync.Mutex
	sums map[string]int64
}

type key struct{}

// Under gives a context under which everything that is measured is summed. What is
// measured under a context made from it is counted by both.
func Under(ctx context.Context) (context.Context, *Tally) {
	t := &Tally{outer: of(ctx)}
	return context.WithValue(ctx, key{}, t), t
}

// Add counts n more of what the name says, its unit included: "database_wait_ms". Where
// nothing is summed it does nothing.
func Add(ctx context.Context, name string, n int64) {
	for t := of(ctx); t != nil; t = t.outer {
		t.mu.Lock()
		if t.sums == nil {
			t.sums = map[string]int64{}
		}
		t.sums[name] += n
		t.mu.Unlock()
	}
}

// Attrs are the sums for a line of the log, sorted by name; what was not measured is
// not among them.
func (t *Tally) Attrs() []slog.Attr {
	t.mu.Lock()
	defer t.mu.Unlock()
	attrs := make([]slog.Attr, 0, len(t.sums))
	for _, name := range slices.Sorted(maps.Keys(t.sums)) {
		attrs = append(attrs, slog.Int64(name, t.sums[name]))
	}
	return attrs
}

func of(ctx context.Context) *Tally {
	t, _ := ctx.Value(key{}).(*Tally)
	return t
}
