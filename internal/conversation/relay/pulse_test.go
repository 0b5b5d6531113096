package relay_test

import (
	"context"
	"sync"
	"time"
)

// pulse is the time of a world. It beats when 10 ms have passed and the database has
// answered: on a machine that is busy with other things it goes slowly, as everything
// else does, so that processes live long enough for something to happen in them, and
// who has heard nothing for many beats was not only kept from the processor.
type pulse struct {
	felt  *sync.Cond
	beats int64
	over  bool
}

func (p *pulse) beat(w *world) {
	for {
		select {
		case <-w.ended:
			p.felt.L.Lock()
			p.over = true
			p.felt.L.Unlock()
			p.felt.Broadcast()
			return
		case <-time.After(10 * time.Millisecond):
		}
		if _, err := w.h.db.Exec(context.Background(), `SELECT`); err != nil {
			w.t.Error(err)
		}
		p.felt.L.Lock()
		p.beats++
		p.felt.L.Unlock()
		p.felt.Broadcast()
	}
}

func (p *pulse) now() int64 {
	p.felt.L.Lock()
	defer p.felt.L.Unlock()
	return p.beats
}

// wait waits for so many beats; false: the world has ended.
func (p *pulse) wait(beats int64) bool {
	p.felt.L.Lock()
	defer p.felt.L.Unlock()
	for until := p.beats + beats; p.beats < until && !p.over; {
		p.felt.Wait()
	}
	return !p.over
}
