package chat

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"testing"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(lines))
	os.Exit(m.Run())
}

// lines is the log: it keeps what is told of turns, by session, and shows what is our fault.
var lines = &keeping{Handler: slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}), turns: map[string][]slog.Record{}}

type keeping struct {
	slog.Handler
	mu    sync.Mutex
	turns map[string][]slog.Record
}

func (*keeping) Enabled(context.Context, slog.Level) bool { return true }

func (k *keeping) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "turn" {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "session" {
				k.mu.Lock()
				defer k.mu.Unlock()
				k.turns[a.Value.String()] = append(k.turns[a.Value.String()], r.Clone())
			}
			return true
		})
	}
	if k.Handler.Enabled(ctx, r.Level) {
		return k.Handler.Handle(ctx, r)
	}
	return nil
}

// of gives the lines about a session's turns.
func (k *keeping) of(session string) []slog.Record {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.turns[session]
}
