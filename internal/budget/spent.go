package budget

import (
	"context"
	"sync/atomic"
)

// Spent sums what was settled under a context, in millionths of a US dollar. It is
// safe for concurrent use.
type Spent struct {
	micros atomic.Int64
	outer  *Spent // of the context that this one's was made from
}

type spentKey struct{}

// Counting gives a context under which everything that is settled is summed. What is
// counted under a context made from it is counted by both.
//
// A model that was raced and lost is settled when its call has ended, which may be
// after the answer of the winner: whoever asks for the sum at once may miss it.
func Counting(ctx context.Context) (context.Context, *Spent) {
	s := &Spent{outer: countOf(ctx)}
	return context.WithValue(ctx, spentKey{}, s), s
}

// Micros is what was settled so far.
func (s *Spent) Micros() int64 { return s.micros.Load() }

func countOf(ctx context.Context) *Spent {
	s, _ := ctx.Value(spentKey{}).(*Spent)
	return s
}

func (s *Spent) add(micros int64) {
	for ; s != nil; s = s.outer {
		s.micros.Add(micros)
	}
}
