package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// How much is written at once.
const (
	maxBatch      = 1 << 20 // bytes
	maxBatchParts = 4000    // events
)

// enqueue has the writer come by at an answer, at once when that is urgent.
func (r *Relay) enqueue(l *Live, urgent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if urgent {
		r.urgent = append(r.urgent, l)
	} else {
		r.dirty = append(r.dirty, l)
	}
	if !r.writing {
		r.writing = true
		go r.write()
	} else if urgent {
		notify(r.more)
	}
}

// write logs what there is until there is nothing more. What is not urgent goes
// together, Flush apart.
func (r *Relay) write() {
	w := writer{r: r}
	for {
		now := time.Now()
		due := now.Sub(r.taken) >= r.o.Flush
		b, all, idle := r.take(due)
		if idle {
			return
		}
		if len(b.parts) > 0 {
			w.log(b)
		}
		if due && all {
			r.taken = now
		}
		if len(b.parts) == 0 && !due {
			select {
			case <-r.more:
			case <-time.After(r.o.Flush - time.Since(r.taken)):
			}
		}
	}
}

// batch is what is written at once.
type batch struct {
	parts []part
	size  int
}

// part is the new events of one answer.
type part struct {
	live   *Live
	size   int // of what they were made from
	events []Event
}

// take gives what is urgent, and when due what is not. All is set when nothing of
// that was left for the next batch, idle when there is nothing and the writer has
// been taken off its duty.
func (r *Relay) take(due bool) (b batch, all, idle bool) {
	r.mu.Lock()
	if len(r.urgent) == 0 && len(r.dirty) == 0 {
		r.writing = false
		r.mu.Unlock()
		return b, true, true
	}
	urgent, dirty := r.urgent, []*Live(nil)
	r.urgent = nil
	if due {
		dirty, r.dirty = r.dirty, nil
	}
	r.mu.Unlock()
	n := 0
	for i, l := range append(urgent, dirty...) {
		l.take(&b, i < len(urgent))
		n++
		if b.size >= maxBatch || len(b.parts) >= maxBatchParts {
			break
		}
	}
	if rest := append(urgent, dirty...)[n:]; len(rest) > 0 {
		cut := max(0, len(urgent)-n)
		r.mu.Lock()
		r.urgent = append(append([]*Live{}, rest[:cut]...), r.urgent...)
		r.dirty = append(append([]*Live{}, rest[cut:]...), r.dirty...)
		r.mu.Unlock()
		return b, false, false
	}
	return b, true, false
}

// take makes events of what is waiting.
func (l *Live) take(b *batch, urgent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if urgent {
		l.hurried = false
	} else {
		l.queued = false
	}
	if len(l.pending) == 0 {
		return
	}
	p := part{live: l, size: l.size, events: make([]Event, len(l.pending))}
	for i, piece := range l.pending {
		l.seq++
		data := piece.text
		if piece.kind == Delta {
			data = delta(data)
		}
		p.events[i] = Event{l.seq, piece.kind, data}
		b.size += len(data)
	}
	l.pending, l.size = l.pending[:0], 0
	b.parts = append(b.parts, p)
	l.changed.Broadcast()
}

// delta is the data of an event with text, on one line.
func delta(text []byte) json.RawMessage {
	var line bytes.Buffer
	line.Grow(len(text) + 16)
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	_ = e.Encode(struct { // a text cannot fail
		Text string `json:"text"`
	}{string(text)})
	return bytes.TrimSuffix(line.Bytes(), []byte("\n"))
}

// writer is the goroutine that writes the log.
type writer struct {
	r       *Relay
	failing time.Time // since when nothing could be written; zero: it can
}

// log writes a batch, and shows it to the readers here. It tries until the database
// has been away for too long.
func (w *writer) log(b batch) {
	for try := 0; ; try++ {
		lost, err := w.try(b.parts)
		switch {
		case err == nil:
			w.failing = time.Time{}
			w.shown(b.parts, lost)
			return
		case !fault.Is(err, fault.Unavailable):
			w.apart(b.parts, err)
			return
		case w.failing.IsZero():
			w.failing = time.Now()
		case time.Since(w.failing) > w.r.o.Outage:
			for _, p := range b.parts {
				w.broken(p, err)
			}
			return
		}
		pause := min(500*time.Millisecond, 10*time.Millisecond<<min(try, 10))
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-w.r.stopped:
			for _, p := range b.parts {
				w.broken(p, err)
			}
			return
		}
	}
}

// apart writes the answers of a batch that the database refuses one by one, so that
// none suffers from another.
func (w *writer) apart(parts []part, err error) {
	if len(parts) == 1 {
		w.broken(parts[0], err)
		return
	}
	for _, p := range parts {
		w.log(batch{parts: []part{p}})
	}
}

func (w *writer) broken(p part, err error) {
	w.r.waiting.Add(-int64(p.size))
	p.live.giveUp(fault.Wrap(fault.Unavailable, err, "The answer could not be kept, because the database cannot be reached. Try again in a moment."))
}

// shown gives the logged events to the readers; lost says whose were not logged.
func (w *writer) shown(parts []part, lost map[*Live]bool) {
	for _, p := range parts {
		w.r.waiting.Add(-int64(p.size))
		if lost[p.live] {
			p.live.giveUp(ErrLost)
			continue
		}
		p.live.log.add(p.events)
		p.live.mu.Lock()
		p.live.changed.Broadcast()
		p.live.mu.Unlock()
	}
}

// try writes once. An error leaves open whether anything was written.
func (w *writer) try(parts []part) (lost map[*Live]bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var rows rows
	for _, p := range parts {
		rows.add(p)
	}
	n, err := w.r.insert(ctx, &rows)
	if err != nil || n == len(rows.seqs) {
		return nil, postgres.Fault(err)
	}
	// Some were there already, from a try whose end was not heard, or some answer is
	// not ours any more: what stands in the log counts.
	there, err := w.r.logged(ctx, &rows)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	lost = map[*Live]bool{}
	i := 0
	for _, p := range parts {
		for range p.events {
			if !there[i] {
				lost[p.live] = true
			}
			i++
		}
	}
	return lost, nil
}

var errElsewhere, errEnded = errors.New("the answer goes on elsewhere"), errors.New("the answer has ended")
