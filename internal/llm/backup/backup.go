// Package backup puts a second model behind a first: it answers when the first fails
// before it has said anything, and races it when the first is slow to begin.
package backup

import (
	"context"
	"errors"
	"time"

	"lectern.dev/lectern/internal/llm"
)

// Options say when the second model is asked. Zero values are replaced by the defaults.
type Options struct {
	FirstToken time.Duration // the longest wait for the first token before the second model is asked too; 0: 5 s
}

// Model is two models in one. It implements llm.Streamer.
type Model struct {
	first, second llm.Streamer
	o             Options
}

// New makes a model of two. Each is paid for by itself: both may be asked.
func New(first, second llm.Streamer, o Options) *Model { return &Model{first, second, o} }

// Name is the first model's.
func (m *Model) Name() string { return m.first.Name() }

// Complete implements llm.Model.
func (m *Model) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	return llm.Response{}, errors.New("not yet")
}

// Stream implements llm.Streamer.
func (m *Model) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	return llm.Response{}, errors.New("not yet")
}
