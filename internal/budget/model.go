package budget

import (
	"context"
	"log/slog"

	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/llm"
)

// Model is a language model whose every call is paid for, by who pays in ctx.
// Beside the model's own errors it gives those of Ledger.Reserve.
type Model struct {
	llm.Model
	Ledger *Ledger
}

// Complete implements llm.Model. A request that leaves the answer's length to the
// model is bounded here: what has no bound cannot be reserved.
func (m Model) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	price, err := m.Ledger.Prices.Of(Tokens, m.Name())
	if err != nil {
		return llm.Response{}, err
	}
	if req.MaxTokens <= 0 {
		req.MaxTokens = price.longestAnswer()
	}
	most := Units{mostTokens(req), int64(req.MaxTokens)}
	r, err := m.Ledger.Reserve(ctx, Tokens, m.Name(), most)
	if err != nil {
		return llm.Response{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, lifetime*9/10) // it must be settled before it expires
	defer cancel()
	resp, err := m.Model.Complete(bounded, req)
	crash.Point("budget.called")
	switch {
	case err == nil || resp.Usage != (llm.Usage{}):
		r.Settle(ctx, plausible(ctx, req, resp, most))
	case bounded.Err() != nil || llm.MayBeUsed(err):
		r.Settle(ctx, Units{int64(llm.EstimateTokens(req)), most.Output}) // how far it came nobody knows
	default:
		r.Release(ctx)
	}
	return resp, err
}

// mostTokens is what a request has at most: tokenizers work on bytes, so a token is
// never less than one. Around each part the server puts a few of its own.
func mostTokens(req llm.Request) int64 {
	const around, mark = 16, 64
	n := around
	for _, m := range req.Messages {
		n += around + len(m.Text)
	}
	for _, p := range req.Passages {
		n += mark + len(p.ID) + len(p.Source) + len(p.Heading) + len(p.Text) + len(p.Text)/2 // marks inside of it are broken up
	}
	if req.Schema != nil {
		n += mark + len(req.Schema.Name) + len(req.Schema.JSON)
	}
	return int64(n)
}

// plausible is the usage that a response reports, as far as it can be believed: what
// is missing, or less than a third of our own estimate, is replaced by that, and what
// is more than there can have been by the most there can have been.
func plausible(ctx context.Context, req llm.Request, resp llm.Response, most Units) Units {
	// An answer can be longer than was asked for: then that is what it cost.
	longest := max(most.Output, int64(len(resp.Text)))
	used := Units{
		believe(int64(resp.Usage.Input), int64(llm.EstimateTokens(req)), most.Input),
		believe(int64(resp.Usage.Output), int64(llm.EstimateText(resp.Text)), longest),
	}
	if reported := (Units{int64(resp.Usage.Input), int64(resp.Usage.Output)}); used != reported {
		slog.WarnContext(ctx, "a usage that cannot be right is counted as it must have been",
			"model", resp.Model, "reported", reported, "counted", used)
	}
	return used
}

func believe(reported, estimate, most int64) int64 {
	if reported < (estimate+2)/3 {
		return estimate
	}
	return min(reported, most)
}
