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

// streamed gives a text in groups of a few words, each with the space behind it.
func streamed(ctx context.Context, text string, emit func(llm.Piece) error) (sent int, err error) {
	const group = 3
	for from := 0; from < len(text); from = sent {
		end, words := from, 0
		for end < len(text) && words < group {
			next := strings.IndexAny(text[end:], " \n")
			if next < 0 {
				end = len(text)
				break
			}
			end += next + 1
			words++
		}
		if err := ctx.Err(); err != nil {
			return sent, llm.Interrupted(err)
		}
		if err := emit(llm.Piece{Text: text[from:end]}); err != nil {
			return sent, err
		}
		sent = end
	}
	return sent, nil
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
