package budget

import (
	"context"
	"math"
	"time"

	"lectern.dev/lectern/internal/fault"
)

// Meter pays for the time that this instance works for somebody.
type Meter struct {
	Ledger     *Ledger
	Renderer   string // what the price is looked up by
	Processors int    // of the instance: all are paid for while it works
}

// errUsedUp ends work that takes longer than anybody thought. It is tried again,
// and goes on with what was kept of it.
var errUsedUp = fault.New(fault.Unavailable, "Making the video took longer than was set aside for it, and was stopped.")

// Start reserves the longest time that work can take. The context that it gives
// ends when that is used up; stop, which must be called, settles the time that it took.
func (m Meter) Start(ctx context.Context, most time.Duration) (working context.Context, stop func(), err error) {
	most = min(most, lifetime*9/10)
	r, err := m.Ledger.Reserve(ctx, Render, m.Renderer, m.units(most))
	if err != nil {
		return nil, nil, err
	}
	begun := time.Now()
	working, cancel := context.WithTimeoutCause(ctx, most, errUsedUp)
	return working, func() {
		cancel()
		r.Settle(ctx, m.units(min(time.Since(begun), most)))
	}, nil
}

func (m Meter) units(d time.Duration) Units {
	return Units{Input: int64(math.Ceil(d.Seconds() * float64(max(1, m.Processors))))}
}
