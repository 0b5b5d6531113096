package backup

import (
	"slices"
	"sync"
	"time"
)

// pace says how long to wait for a model before another one is asked too, by how soon
// it spoke so far.
//
// The wait is such that at most slow of the calls take longer: of n+1 calls that are
// alike, the next is among the k slowest with a chance of k/(n+1), whatever their
// distribution. When the model changes for the worse, many are slower than that:
// then credit, which each call adds to and each doubled one takes from, holds what
// is asked of the other model to the share that it may have.
type pace struct {
	mu      sync.Mutex
	floor   time.Duration
	ceiling time.Duration
	wait    time.Duration
	seen    []time.Duration // of the newest calls, in a ring
	next    int
	credit  float64
}

const (
	window    = 256  // calls that are remembered
	few       = 16   // calls of which nothing can be learnt yet
	slow      = 0.02 // share of calls that may be slower than the wait
	share     = 0.03 // share of calls that may be doubled before the ceiling
	mostSaved = 30   // doubled calls, so that a long calm does not pay for a long storm
)

func newPace(floor, ceiling time.Duration) *pace {
	return &pace{floor: floor, ceiling: ceiling, wait: ceiling}
}

// begin counts a call, and says how long to wait for it.
func (p *pace) begin() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.credit = min(p.credit+share, mostSaved)
	return p.wait
}

// took notes when a call spoke; one that was stopped before it did took at least so long.
func (p *pace) took(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.seen) < window {
		p.seen = append(p.seen, d)
	} else {
		p.seen[p.next] = d
		p.next = (p.next + 1) % window
	}
	if n := len(p.seen); n >= few {
		sorted := slices.Sorted(slices.Values(p.seen))
		slowest := max(1, int(slow*float64(n+1)))
		p.wait = min(max(sorted[n-slowest], p.floor), p.ceiling)
	}
}

// afford takes the credit for doubling a call, if there is enough.
func (p *pace) afford() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.credit < 1 {
		return false
	}
	p.credit--
	return true
}
