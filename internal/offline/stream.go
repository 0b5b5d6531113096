package offline

import (
	"context"

	"lectern.dev/lectern/internal/llm"
)

// Stream implements llm.Streamer.
func (m Model) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	resp, err := m.Complete(ctx, req)
	if err != nil {
		return resp, err
	}
	return resp, emit(llm.Piece{Text: resp.Text})
}
