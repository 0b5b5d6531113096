package relay

import (
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// answer is what this process knows of an answer's log: kept once, for all who read
// it here, for as long as it is made or read.
type answer struct {
	mu      sync.Mutex
	text    []byte // the data of all events, one behind the other
	ends    []end  // where each of them ends
	over    error  // errEnded, or why the readers have to look elsewhere
	total   int64  // events that it has had, when it is over
	readers []*reader

	looked  bool      // the poller's: whether it was asked about at all,
	doubted time.Time // and since when its process seems dead
}

// end is where an event ends in the text, and its kind.
type end struct {
	at       uint32
	citation bool
}

// reader is one who is woken when there is more.
type reader struct {
	wake chan struct{}
	at   int // in readers
}

// add puts events behind those that are there; they must follow on them.
func (a *answer) add(events []Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range events {
		a.text = append(a.text, e.Data...)
		a.ends = append(a.ends, end{uint32(len(a.text)), e.Kind == Citation})
	}
	a.wakeAll()
}

// finish says that nothing more comes here, and why.
func (a *answer) finish(why error, total int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over == nil {
		a.over, a.total = why, total
		a.wakeAll()
	}
}

func (a *answer) wakeAll() {
	for _, r := range a.readers {
		notify(r.wake)
	}
}

// after gives the events behind a place, at most limit, in the space of into; over
// is set when no more will come than these.
func (a *answer) after(seq int64, limit int, into []Event) (events []Event, total int64, over error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	events = into[:0]
	if seq < int64(len(a.ends)) {
		start := uint32(0)
		if seq > 0 {
			start = a.ends[seq-1].at
		}
		for _, e := range a.ends[seq:min(int64(len(a.ends)), seq+int64(limit))] {
			seq++
			kind := Delta
			if e.citation {
				kind = Citation
			}
			events = append(events, Event{seq, kind, json.RawMessage(a.text[start:e.at:e.at])})
			start = e.at
		}
	}
	if seq < int64(len(a.ends)) {
		return events, 0, nil
	}
	return events, a.total, a.over
}

func (a *answer) count() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return int64(len(a.ends))
}

func (a *answer) enter() *reader {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &reader{make(chan struct{}, 1), len(a.readers)}
	a.readers = append(a.readers, r)
	return r
}

// leave tells how many readers are left.
func (a *answer) leave(r *reader) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := len(a.readers) - 1
	a.readers[last].at = r.at
	a.readers[r.at] = a.readers[last]
	a.readers = slices.Delete(a.readers, last, last+1)
	return last
}
