package budget

import (
	"context"

	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/llm"
)

// Model is a language model whose every call is paid for, by who pays in ctx.
// Beside the model's own errors it gives those of Ledger.Reserve, marked as
// llm.NotAsked: no other model can make them good.
type Model struct {
	llm.Model
	Ledger *Ledger
}

// Complete implements llm.Model. A request that leaves the answer's length to the
// model is bounded here: what has no bound cannot be reserved.
func (m Model) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	r, req, err := m.Ledger.reserveCall(ctx, m.Name(), req)
	if err != nil {
		return llm.Response{}, llm.NotAsked(err)
	}
	bounded, cancel := context.WithTimeout(ctx, lifetime*9/10) // it must be settled before it expires
	defer cancel()
	resp, err := m.Model.Complete(bounded, req)
	crash.Point("budget.called")
	switch {
	case err == nil || resp.Usage != (llm.Usage{}):
		r.Settle(ctx, plausible(ctx, int64(llm.EstimateTokens(req)), resp, r.most))
	case bounded.Err() != nil || llm.MayBeUsed(err):
		r.Settle(ctx, Units{int64(llm.EstimateTokens(req)), r.most.Output}) // how far it came nobody knows
	default:
		r.Release(ctx)
	}
	return resp, err
}

// reserveCall puts aside the most that a call of a model can cost, unless Ahead has, and
// gives the request with a bound to its answer.
func (l *Ledger) reserveCall(ctx context.Context, model string, req llm.Request) (*Reservation, llm.Request, error) {
	req, most, err := l.bounded(model, req)
	if err != nil {
		return nil, req, err
	}
	if r := takeAhead(ctx, l, model, most); r != nil {
		return r, req, nil
	}
	r, err := l.Reserve(ctx, Tokens, model, most)
	return r, req, err
}

// bounded gives a request with a bound to its answer, and the most that it can use.
func (l *Ledger) bounded(model string, req llm.Request) (llm.Request, Units, error) {
	price, err := l.Prices.Of(Tokens, model)
	if err != nil {
		return req, Units{}, err
	}
	if err := checkExtra(req.Extra); err != nil {
		return req, Units{}, err
	}
	if req.MaxTokens <= 0 {
		req.MaxTokens = price.longestAnswer()
	}
	return req, Units{mostTokens(req), int64(req.MaxTokens)}, nil
}
