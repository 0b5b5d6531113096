package account

import (
	"context"
	"time"
)

// A hash shall take this long: enough to make guessing dear, not so long that who
// signs in waits.
const (
	shortestHash = 30 * time.Millisecond
	longestWait  = 100 * time.Millisecond
)

// Measured is what a hash of a cost takes on this machine.
type Measured struct {
	Cost HashCost
	Took time.Duration // the quickest of several
}

// Fits tells whether it takes 30 to 100 ms.
func (m Measured) Fits() bool { return m.Took >= shortestHash && m.Took <= longestWait }

// Calibrate measures today's cost on this machine and those above it, with more
// memory or more passes, until one takes too long. It proposes the dearest that fits;
// ok is false when none does, since even today's takes longer than 100 ms.
func Calibrate(ctx context.Context) (all []Measured, best HashCost, ok bool, err error) {
	return calibrate(ctx, measure)
}

// dearer are the steps, each about half as dear again as the one before.
var dearer = []HashCost{
	Today,
	{MemoryKiB: 19 << 10, Iterations: 3, Lanes: 1},
	{MemoryKiB: 32 << 10, Iterations: 3, Lanes: 1},
	{MemoryKiB: 46 << 10, Iterations: 3, Lanes: 1},
	{MemoryKiB: 64 << 10, Iterations: 3, Lanes: 1},
	{MemoryKiB: 96 << 10, Iterations: 3, Lanes: 1},
	{MemoryKiB: 128 << 10, Iterations: 3, Lanes: 1},
}

func calibrate(ctx context.Context, measure func(context.Context, HashCost) (time.Duration, error)) (all []Measured, best HashCost, ok bool, err error) {
	for _, cost := range dearer {
		took, err := measure(ctx, cost)
		if err != nil {
			return nil, HashCost{}, false, err
		}
		m := Measured{cost, took}
		all = append(all, m)
		if m.Took > longestWait {
			break
		}
		best, ok = cost, true
	}
	return all, best, ok, nil
}

// measure gives the quickest of five: what else runs on the machine only adds.
func measure(ctx context.Context, cost HashCost) (time.Duration, error) {
	h, err := NewHasher(HashOptions{Cost: cost, BudgetMiB: 256})
	if err != nil {
		return 0, err
	}
	var quickest time.Duration
	for i := range 5 {
		began := time.Now()
		if err := h.Dummy(ctx, "how long does it take"); err != nil {
			return 0, err
		}
		if took := time.Since(began); i == 0 || took < quickest {
			quickest = took
		}
	}
	return quickest, nil
}
