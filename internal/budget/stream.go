package budget

import (
	"context"
	"errors"

	"lectern.dev/lectern/internal/llm"
)

// Streamer is Model for one that can answer piece by piece.
type Streamer struct {
	llm.Streamer
	Ledger *Ledger
}

// Complete implements llm.Model.
func (s Streamer) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	return Model{s.Streamer, s.Ledger}.Complete(ctx, req)
}

// Stream implements llm.Streamer.
func (s Streamer) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	return llm.Response{}, errors.New("not yet")
}
