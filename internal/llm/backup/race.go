package backup

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// race is one answer that one model makes, or two until one of them speaks.
type race struct {
	m     *Model
	ctx   context.Context
	req   llm.Request
	emit  func(llm.Piece) error
	ended chan *run // has room for all

	mu     sync.Mutex // of what follows, while models are at work
	runs   []*run     // written by decide alone
	winner *run
}

// run is one model's part in a race.
type run struct {
	side   *side
	ctx    context.Context
	cancel context.CancelFunc
	tell   func(verdict error) // the breaker
	began  time.Time
	over   bool // under race.mu

	// Of the run's goroutine, until it is in race.ended.
	resp     llm.Response
	err      error
	spoke    bool
	told     bool
	unheard  error // why emit took no more
	panicked error
}

// errLost ends the answer of a model that spoke second.
var errLost = errors.New("another model spoke first")

// patience is how long an answer that is there waits for the call that lost the race,
// so that what it cost is known by then: a call ends soon after it is cancelled.
const patience = 200 * time.Millisecond

// decide runs the race to its end.
func (r *race) decide() (llm.Response, error) {
	began := time.Now()
	var late <-chan time.Time // when the first model has taken too long
	var timer *time.Timer
	if r.start(r.m.first) {
		timer = time.NewTimer(r.m.pace.begin())
		defer timer.Stop()
		late = timer.C
	} else if !r.start(r.m.second) {
		e := fault.New(fault.Unavailable, "Neither the language model nor its backup can answer at present. Try again in some seconds.")
		e.RetryAfter = r.m.o.Rest
		return llm.Response{}, e
	}
	hedged := false
	var over []*run
	for {
		select {
		case <-late:
			late = nil
			left := r.m.o.FirstToken - time.Since(began)
			switch {
			case r.won() != nil || len(over) > 0:
			case r.m.pace.afford() || left <= 0:
				hedged = r.start(r.m.second)
			default:
				timer.Reset(left)
				late = timer.C
			}
		case x := <-r.ended:
			over = append(over, x)
			switch {
			case x.panicked != nil:
				panic(x.panicked)
			case x == r.won():
				return r.answer(x, over, hedged)
			case len(over) == 1 && !hedged && x.side == r.m.first && again(r.ctx, x.err) && r.start(r.m.second):
				warn(r.ctx, r.m, x.err)
			case len(over) == 2:
				return r.answer(r.best(), over, hedged)
			case !hedged:
				return r.answer(x, over, hedged)
			} // else the other is still at work
		}
	}
}

// start has a model begin, unless it is left alone or another has spoken.
func (r *race) start(s *side) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.winner != nil {
		return false
	}
	tell, refused := s.breaker.Allow()
	if refused != nil {
		return false
	}
	ctx, cancel := context.WithCancel(r.ctx)
	x := &run{side: s, ctx: ctx, cancel: cancel, tell: tell, began: time.Now()}
	r.runs = append(r.runs, x)
	go r.work(x)
	return true
}

func (r *race) won() *run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.winner
}

// work is a model's part, in a goroutine of its own.
func (r *race) work(x *run) {
	defer func() {
		if p := recover(); p != nil { // goes on where who asked can catch it
			x.panicked = fmt.Errorf("%v\n%s", p, debug.Stack())
			x.err = x.panicked
		}
		if !x.told {
			x.tell(r.verdict(x))
		}
		x.cancel()
		r.mu.Lock()
		x.over = true
		r.mu.Unlock()
		r.ended <- x
	}()
	x.resp, x.err = x.side.Stream(x.ctx, r.req, func(p llm.Piece) error {
		if !x.spoke {
			if p.Text == "" && len(p.ToolCalls) == 0 {
				return nil // nobody has said anything yet
			}
			if !r.claim(x) {
				return errLost
			}
		}
		x.unheard = r.emit(p)
		return x.unheard
	})
	if x.err == nil && !x.spoke {
		r.claim(x) // it is done, and had nothing to say
	}
}

// claim makes a model the one that answers, if it is the first to speak.
func (r *race) claim(x *run) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.winner != nil {
		return false
	}
	r.winner, x.spoke = x, true
	for _, one := range r.runs {
		if one != x {
			one.cancel()
		}
		if one.side == r.m.first && !one.over {
			r.m.pace.took(time.Since(one.began))
		}
	}
	if x.side.probed() { // others need not wait for the end of its answer
		x.told = true
		x.tell(nil)
	}
	return true
}

// verdict is what a run tells of its model. One that was stopped before it spoke has
// failed when it had time enough.
func (r *race) verdict(x *run) error {
	switch {
	case x.unheard != nil || x.panicked != nil:
		return errNothingSaid
	case x.err != nil && x.ctx.Err() != nil && !x.spoke && time.Since(x.began) >= r.m.o.FirstToken:
		return errSilent
	}
	return judge(x.ctx, x.err)
}

// best is the run, of two that failed, whose error is told: that of the model asked
// first, unless the other's says that the same call may work later.
func (r *race) best() *run {
	if better(r.runs[1].err, r.runs[0].err) {
		return r.runs[1]
	}
	return r.runs[0]
}

// answer is how the race ended: with this run.
func (r *race) answer(x *run, over []*run, hedged bool) (llm.Response, error) {
	over = r.wait(over)
	tries := llm.Tries{Hedged: hedged, Backup: x.spoke && x.side == r.m.second}
	for _, one := range over {
		tries = add(tries, triesOf(one.resp, one.err))
	}
	tries.Calls += len(r.runs) - len(over) // a call that has not ended is one at least
	return named(x.resp, x.side, tries), x.err
}

// wait gives the call that lost the time to end.
func (r *race) wait(over []*run) []*run {
	if len(over) == len(r.runs) {
		return over
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case x := <-r.ended:
		return append(over, x)
	case <-timer.C:
		return over
	}
}
