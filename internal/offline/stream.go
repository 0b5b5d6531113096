package offline

import (
	"context"
	"strings"
	"unicode/utf8"

	"lectern.dev/lectern/internal/llm"
)

// Stream implements llm.Streamer: a few words at a time.
func (m Model) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	resp, err := m.Complete(ctx, req)
	if err != nil {
		return resp, err
	}
	sent, err := streamed(ctx, resp.Text, emit)
	if err != nil {
		return llm.Response{Text: resp.Text[:sent], Model: resp.Model}, err
	}
	return resp, nil
}

// within cuts a text to about so many tokens, at the end of a word.
func within(text string, tokens int) (string, llm.Finish) {
	if tokens <= 0 || llm.EstimateText(text) <= tokens {
		return text, llm.Stop
	}
	n := min(4*tokens, len(text))
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	if space := strings.LastIndexAny(text[:n], " \n"); space > 0 {
		n = space
	}
	return text[:n], llm.Length
}
