package relay

import (
	"context"
	"errors"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// atOnce is the most events that a reader is given at once.
const atOnce = 256

// Follow gives the events of an answer after a place in order, without gaps, several
// at once when they are there, and returns nil when the answer has ended and all
// were given: its row tells how. Give must not keep the slice. Wherever the answer is
// made, it ends: when its process has died it is marked as interrupted here, with
// what the log has of it (as failed, if that is nothing).
//
// ErrHandedOver: nobody makes the answer at present. Claim it and go on with it, or
// Follow again when somebody else was quicker. ErrGone: the log does not have what
// was asked for any more. NotFound: there is no such answer. Unavailable: the
// database has been away for a long time.
func (r *Relay) Follow(ctx context.Context, a Answer, after int64, give func([]Event) error) error {
	for {
		log, leave, err := r.read(a)
		if err != nil {
			return err
		}
		after, err = follow(ctx, log.answer, log.reader, after, give)
		leave()
		if !errors.Is(err, errElsewhere) {
			return err
		}
	}
}

// reading is somebody's place at an answer.
type reading struct {
	*answer
	*reader
}

// read finds where an answer can be read: where it is made here, else at the poller.
func (r *Relay) read(a Answer) (reading, func(), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return reading{}, nil, errClosed
	}
	if l := r.lives[a]; l != nil {
		in := reading{l.log, l.log.enter()}
		return in, func() { in.leave(in.reader) }, nil
	}
	w := r.watched[a]
	if w == nil {
		w = &answer{}
		r.watched[a] = w
		if !r.polling {
			r.polling = true
			go r.poller()
		} else {
			notify(r.look)
		}
	}
	in := reading{w, w.enter()}
	return in, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if in.leave(in.reader) == 0 && r.watched[a] == w {
			delete(r.watched, a)
		}
	}, nil
}

// follow gives what comes until it is over; errElsewhere: here, at least.
func follow(ctx context.Context, a *answer, r *reader, seq int64, give func([]Event) error) (int64, error) {
	var space []Event // most of the time there is one event at a time
	for {
		events, total, over := a.after(seq, atOnce, space)
		if cap(events) <= 8 {
			space = events
		}
		if len(events) > 0 {
			if err := give(events); err != nil {
				return seq, err
			}
			seq = events[len(events)-1].Seq
		}
		switch {
		case errors.Is(over, errEnded):
			return seq, nil
		case errors.Is(over, ErrGone) && seq >= total:
			return seq, nil
		case over != nil:
			return seq, over
		case len(events) > 0:
			if err := ctx.Err(); err != nil {
				return seq, postgres.Fault(err)
			}
			continue
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return seq, postgres.Fault(ctx.Err())
		}
	}
}

var errNoAnswer = fault.New(fault.NotFound, "There is no such answer here.")
