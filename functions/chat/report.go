package chat

import (
	"context"
	"log/slog"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/fault"
)

// logTurn writes the one line about a turn: ids and figures, and nothing that people
// or the model have said.
func logTurn(ctx context.Context, r conversation.Report) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("organization", r.Organization),
		slog.String("user", r.User),
		slog.String("session", r.Session),
		slog.String("message_id", r.Message),
		slog.String("task", r.Task),
		slog.String("model", r.Model),
		slog.String("state", string(r.State)),
		slog.Int("input_tokens", r.Usage.Input),
		slog.Int("output_tokens", r.Usage.Output),
		slog.Int64("cost_micros", r.CostMicros),
		slog.Int64("ttfb_ms", r.TTFB.Milliseconds()),
		slog.Int64("ttlb_ms", r.TTLB.Milliseconds()),
		slog.Int("calls", r.Tries.Calls),
		slog.Int("retries", r.Tries.Retries),
		slog.Bool("hedged", r.Tries.Hedged),
		slog.Bool("backup", r.Tries.Backup),
		slog.Int("passages", r.Passages),
		slog.Int("citations", r.Citations),
		slog.Int64("disconnects", r.Disconnects),
		slog.Int64("resumed", r.Resumed),
	}
	if r.Error != nil {
		level = slog.LevelWarn
		if fault.Is(r.Error, fault.Internal) {
			level = slog.LevelError
		}
		attrs = append(attrs, slog.String("error", r.Error.Error()), slog.String("kind", fault.KindOf(r.Error).String()))
	}
	slog.LogAttrs(ctx, level, "turn", attrs...)
}
