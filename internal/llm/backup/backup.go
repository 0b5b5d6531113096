// Package backup puts a second model behind a first: it answers when the first fails
// before it has said anything, and races it when the first is slow to begin. Who
// speaks first goes on; the other is stopped, and what it cost is its own to settle.
//
// How long the first may take is learnt from how long it took: about one call in
// fifty is slower than that. However slow it becomes, no more than three calls in a
// hundred are doubled before Options.FirstToken, after which the second is always asked.
//
// A model that keeps failing is left alone for some seconds, then tried with one call.
// What is wrong with a request, or with who pays for it, no model makes good: such
// errors come back as they are, and speak for or against no model.
package backup

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// Options say when the second model is asked. Zero values are replaced by the defaults.
type Options struct {
	// FirstToken is the longest wait for the first token before the second model is
	// asked too; 0: 5 s. A model that took longer has failed, as far as trusting it goes.
	FirstToken time.Duration
	// Soonest is how long the second model always waits for the first to speak; 0: 50 ms.
	Soonest time.Duration
	// Rest is how long a model that keeps failing is left alone; 0: 10 s.
	Rest time.Duration
}

// Model is two models in one. It implements llm.Streamer, and is safe for concurrent use.
type Model struct {
	first, second *side
	pace          *pace
	o             Options
}

// New makes a model of two. Each is paid for by itself: both may be asked.
func New(first, second llm.Streamer, o Options) *Model {
	o.FirstToken = cmp.Or(o.FirstToken, 5*time.Second)
	o.Soonest = min(cmp.Or(o.Soonest, 50*time.Millisecond), o.FirstToken)
	o.Rest = cmp.Or(o.Rest, 10*time.Second)
	return &Model{newSide(first, o.Rest), newSide(second, o.Rest), newPace(o.Soonest, o.FirstToken), o}
}

// Name is the first model's. Response.Model says which one answered.
func (m *Model) Name() string { return m.first.Name() }

// Backup is the second model's name.
func (m *Model) Backup() string { return m.second.Name() }

// Complete implements llm.Model. The second model answers when the first fails; since
// a whole answer has no first token, they do not race.
func (m *Model) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	resp, err := m.first.complete(ctx, req)
	tries := triesOf(resp, err)
	if !again(ctx, err) {
		return named(resp, m.first, tries), err
	}
	warn(ctx, m, err)
	other, err2 := m.second.complete(ctx, req)
	tries = add(tries, triesOf(other, err2))
	if err2 != nil && !better(err2, err) {
		return named(resp, m.first, tries), err
	}
	tries.Backup = err2 == nil
	return named(other, m.second, tries), err2
}

// Stream implements llm.Streamer. What was shown stays: an answer that breaks off after
// its first piece is not begun again by the other model.
func (m *Model) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &race{m: m, ctx: ctx, req: req, emit: emit, ended: make(chan *run, 2)}
	return r.decide()
}

// again tells whether another model may make good what one failed with.
func again(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !llm.WasNotAsked(err) && (fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Exhausted))
}

// better tells whether of two errors the new one says more of use: that the same call may work later.
func better(err, old error) bool {
	return fault.Is(err, fault.Unavailable) && !fault.Is(old, fault.Unavailable)
}

func warn(ctx context.Context, m *Model, err error) {
	slog.WarnContext(ctx, "the model cannot answer; its backup does", "model", m.first.Name(), "backup", m.second.Name(), "error", err)
}

// triesOf counts what a model's part in an answer took. Who does not count made one call.
func triesOf(resp llm.Response, err error) llm.Tries {
	t := resp.Tries
	if t.Calls == 0 && !llm.WasNotAsked(err) && !resting(err) {
		t.Calls = 1
	}
	return t
}

func add(a, b llm.Tries) llm.Tries {
	a.Calls += b.Calls
	a.Retries += b.Retries
	return a
}

func named(resp llm.Response, s *side, t llm.Tries) llm.Response {
	resp.Model = cmp.Or(resp.Model, s.Name())
	resp.Tries = t
	return resp
}
