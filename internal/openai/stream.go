package openai

import (
	"context"
	"errors"

	"lectern.dev/lectern/internal/llm"
)

// Stream implements llm.Streamer.
func (m Model) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	return llm.Response{}, errors.New("not yet")
}
