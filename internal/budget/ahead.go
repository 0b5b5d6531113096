package budget

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/llm"
)

// Ahead puts aside the most that a call of a model can cost which is about to be made, so
// that who cannot pay is told before anything else is. The first Streamer or Model of that
// model which is asked for it under the context that Ahead gives takes what is put aside, and
// settles it, instead of asking the database again; it must be of the same ledger, and the
// request no dearer. What another call is made instead of, as that of a backup model, is
// given back before that call reserves for itself: the budget may not hold both. Done,
// which must be called when no more is asked, gives back what is left.
//
// Also (nil: nothing) puts other statements before it, into the same exchange and
// transaction: when it has come back without an error, they are as durable as the
// reservation, and so is all that was committed before. The errors are those of Reserve,
// and those of the statements.
func (l *Ledger) Ahead(ctx context.Context, model string, req llm.Request, also func(*pgx.Batch)) (ahead context.Context, done func(), err error) {
	_, most, err := l.bounded(model, req)
	if err != nil {
		return ctx, func() {}, err
	}
	r, err := l.reserve(ctx, Tokens, model, most, also)
	if err != nil {
		return ctx, func() {}, err
	}
	p := &putAside{reservation: r, model: model}
	return context.WithValue(ctx, aheadKey{}, p), func() {
		if left := p.take(); left != nil {
			left.Release(ctx)
		}
	}, nil
}

type aheadKey struct{}

// putAside is a reservation that waits for its call.
type putAside struct {
	model string

	mu          sync.Mutex
	reservation *Reservation // nil: it was taken
}

func (p *putAside) take() *Reservation {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.reservation
	p.reservation = nil
	return r
}

// takeAhead gives what was put aside in ctx for a call, once, when it holds the call, and
// gives it back when it does not.
func takeAhead(ctx context.Context, l *Ledger, model string, most Units) *Reservation {
	p, ok := ctx.Value(aheadKey{}).(*putAside)
	if !ok {
		return nil
	}
	r := p.take()
	switch {
	case r == nil:
	case p.model == model && r.ledger == l && most.Input <= r.most.Input && most.Output <= r.most.Output:
		return r
	default:
		r.Release(ctx)
	}
	return nil
}
