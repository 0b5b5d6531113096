package llm

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
)

// Fake is a model for tests. It answers with what its script says and keeps what it
// was asked. Safe for concurrent use.
type Fake struct {
	// Answer gives the text for a request; nil answers "{}" or "ok".
	Answer func(req Request) (Response, error)

	mu       sync.Mutex
	requests []Request
	failure  error
}

// Name gives "fake".
func (f *Fake) Name() string { return "fake" }

// Complete answers by the script. Like a real model it fills in what the script
// leaves out: who answered, what it cost, and that it was done.
func (f *Fake) Complete(ctx context.Context, req Request) (Response, error) {
	f.mu.Lock()
	f.requests = append(f.requests, req)
	failure := f.failure
	f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return Response{}, Interrupted(err)
	}
	if failure != nil {
		return Response{}, failure
	}
	resp := Response{Text: "ok"}
	if req.Schema != nil {
		resp.Text = "{}"
	}
	if f.Answer != nil {
		var err error
		if resp, err = f.Answer(req); err != nil {
			return Response{}, err
		}
	}
	if resp.Model == "" {
		resp.Model = f.Name()
	}
	if resp.Finish == "" {
		resp.Finish = Stop
	}
	if resp.Usage == (Usage{}) {
		resp.Usage = Usage{Input: EstimateTokens(req), Output: 1 + len(resp.Text)/4}
	}
	return resp, nil
}

// Stream implements Streamer: word by word, as the script's answer has them, then
// the calls of tools.
func (f *Fake) Stream(ctx context.Context, req Request, emit func(Piece) error) (Response, error) {
	resp, err := f.Complete(ctx, req)
	if err != nil {
		return resp, err
	}
	said := Response{Model: resp.Model}
	give := func(p Piece) error {
		if err := ctx.Err(); err != nil {
			return Interrupted(err)
		}
		return emit(p)
	}
	for word := range strings.SplitAfterSeq(resp.Text, " ") {
		if word == "" {
			continue
		}
		if err := give(Piece{Text: word, Refusal: resp.Finish == Refusal}); err != nil {
			return said, err
		}
		said.Text += word
	}
	for i, c := range resp.ToolCalls {
		if err := give(Piece{ToolCalls: []ToolCallPiece{{Index: i, ID: c.ID, Name: c.Name, Arguments: c.Arguments}}}); err != nil {
			return said, err
		}
		said.ToolCalls = append(said.ToolCalls, c)
	}
	return resp, nil
}

// Fail lets every later call fail with err; nil ends that.
func (f *Fake) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
}

// Requests gives what was asked so far, in order.
func (f *Fake) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Request(nil), f.requests...)
}

// JSON makes a response of v, for scripts.
func JSON(v any) Response {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test's own value
	}
	return Response{Text: string(text)}
}
