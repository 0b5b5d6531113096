package budget

import (
	"context"

	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/llm"
)

// Streamer is Model for one that can answer piece by piece.
type Streamer struct {
	llm.Streamer
	Ledger *Ledger
}

// NewStreamer has a model paid for from the ledger. One without a price is refused now,
// and not when the first person needs it.
func NewStreamer(model llm.Streamer, ledger *Ledger) (llm.Streamer, error) {
	if _, err := ledger.Prices.Of(Tokens, model.Name()); err != nil {
		return nil, err
	}
	return &Streamer{Streamer: model, Ledger: ledger}, nil
}

// Complete implements llm.Model.
func (s *Streamer) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	return Model{s.Streamer, s.Ledger}.Complete(ctx, req)
}

// underWay is how many tokens a model may have made that did not arrive, when its
// answer breaks off: those of about half a second.
const underWay = 64

// Stream implements llm.Streamer. An answer that breaks off, is stopped or has lost a
// race is settled too, by what came of it and what may have been under way: it ends
// as soon as the model's own Stream returns.
func (s *Streamer) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (resp llm.Response, err error) {
	r, req, err := s.Ledger.reserveCall(ctx, s.Name(), req)
	if err != nil {
		return llm.Response{}, llm.NotAsked(err)
	}
	bounded, cancel := context.WithTimeout(ctx, lifetime*9/10) // it must be settled before it expires
	defer cancel()
	asked := int64(llm.EstimateTokens(req)) // the request itself must not stay for as long as the answer takes
	came := int64(0)                        // bytes that were passed on, whatever the response says of them
	returned := false
	defer func() {
		if !returned { // a panic goes on; what was put aside must not wait to be counted in full
			r.Settle(ctx, broken(ctx, asked, llm.Response{}, came, r.most))
		}
	}()
	resp, err = s.Streamer.Stream(bounded, req, func(p llm.Piece) error {
		came += sizeOfPiece(p)
		return emit(p)
	})
	returned = true
	crash.Point("budget.called")
	switch {
	case err == nil:
		r.Settle(ctx, plausible(ctx, asked, resp, r.most))
	case came > 0 || resp.Usage != (llm.Usage{}) || bounded.Err() != nil || llm.MayBeUsed(err):
		r.Settle(ctx, broken(ctx, asked, resp, came, r.most))
	default:
		r.Release(ctx)
	}
	return resp, err
}

// broken is what an answer used that broke off after so many bytes; asked is about how
// many tokens the request had. A usage that the server has told by
// then is believed as far as that of a whole answer.
func broken(ctx context.Context, asked int64, resp llm.Response, came int64, most Units) Units {
	if resp.Usage.Output > 0 {
		return plausible(ctx, asked, resp, most)
	}
	said := (came + 3) / 4
	return Units{
		believe(int64(resp.Usage.Input), asked, most.Input),
		max(said, min(said+underWay, most.Output)),
	}
}

func sizeOfPiece(p llm.Piece) int64 {
	n := len(p.Text)
	for _, c := range p.ToolCalls {
		n += len(c.ID) + len(c.Name) + len(c.Arguments)
	}
	return int64(n)
}
