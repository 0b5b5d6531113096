// Package relay carries answers from the process that makes them to everybody who
// reads them, there and elsewhere, by way of a log in Postgres: nothing is shown to
// a reader that is not in the log, so a reader who comes again, anywhere, goes on at
// the very byte.
//
// A process writes the events of all its answers together, one statement at a time
// (group commit): what is added while a statement runs goes with the next one. So
// answers hold no connection, and a thousand of them cost hardly more than one.
// Readers in the same process are woken when an event is logged; those elsewhere are
// served by one query of their process for all of them.
//
// A process says every few seconds that it lives. When it does not, whoever reads one
// of its answers ends it as interrupted, with what the log has of it. Whoever ends or
// takes over an answer of another process first locks that process's writing out
// (an advisory lock that every append shares), so that one which was only frozen adds
// nothing to an answer that has ended.
package relay

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// Kind says what an event tells.
type Kind string

// The kinds of logged events. How an answer begins and ends is told by its row.
const (
	Delta    Kind = "delta"    // {"text": …}
	Citation Kind = "citation" // a conversation.Citation
)

// Event is a part of an answer, as it stands in the log.
type Event struct {
	Seq  int64 // 1, 2, 3 … without gaps
	Kind Kind
	Data json.RawMessage // on one line
}

// Answer names an answer: a message of an assistant.
type Answer struct{ Organization, Session, Message string }

// Why an answer's context ended; see Begin.
var (
	ErrStopped    = errors.New("a person stopped the answer")
	ErrLost       = errors.New("the answer is not this process's any more")
	ErrHandedOver = errors.New("the process ends; another goes on with the answer")
)

// ErrGone says that an answer's events were removed some time after its end.
var ErrGone = errors.New("the log does not go back so far")

// ErrTooLong refuses text that would make an answer longer than MaxText.
var ErrTooLong = fault.New(fault.TooLarge, "The answer has become too long and ends here.")

// Bounds of an answer, in bytes.
const (
	MaxText  = 1 << 20  // of all its text
	maxEvent = 16 << 10 // of the text of one event
)

// Options are what a relay works with. Zero durations are replaced by the defaults.
type Options struct {
	DB    postgres.Beginner // a pool of lectern_system of its own; two connections are enough
	Flush time.Duration     // how long text is collected before it is logged; 0: 25 ms
	Lease time.Duration     // how long a process counts as alive after it has said so; 0: 6 s
	Poll  time.Duration     // how often answers of other processes are looked up; 0: 100 ms
	// Outage is how long the log may fail before answers are given up; 0: 75 s.
	Outage time.Duration
}

// Relay is a process's part in it. It uses at most two connections at a time: one
// writes the log, the other does everything else.
type Relay struct {
	o    Options
	id   string
	lane chan struct{} // who has it in hand may use the second connection
	door chan struct{} // and who has this one, ask for it; what keeps this process alive need not

	waiting atomic.Int64 // bytes that are not in the log yet, of all answers
	stopped chan struct{}

	mu        sync.Mutex
	lives     map[Answer]*Live
	watched   map[Answer]*answer // of other processes, with readers here
	claimed   map[Answer]*answer // taken over, and not begun yet
	urgent    []*Live            // to be logged now
	dirty     []*Live            // to be logged at the next turn
	writing   bool               // the goroutine is there; so with the next two
	keeping   bool
	polling   bool
	taken     time.Time     // the writer's: when it last took all that was there
	more      chan struct{} // tells the writer that something is urgent
	look      chan struct{} // tells the poller that somebody new reads
	confirmed time.Time     // when this process last said that it lives
	used      time.Time     // when its id was last asked for, or an answer ended
	leaving   bool          // all is handed over; nothing new begins
	closed    bool
}

// New makes a relay. It does nothing until it is asked to.
func New(o Options) *Relay {
	for _, d := range []struct {
		of *time.Duration
		is time.Duration
	}{{&o.Flush, 25 * time.Millisecond}, {&o.Lease, 6 * time.Second}, {&o.Poll, 100 * time.Millisecond}, {&o.Outage, 75 * time.Second}} {
		if *d.of == 0 {
			*d.of = d.is
		}
	}
	return &Relay{
		o: o, id: id.New(id.Producer), lane: make(chan struct{}, 1), door: make(chan struct{}, 1), stopped: make(chan struct{}),
		lives: map[Answer]*Live{}, watched: map[Answer]*answer{}, claimed: map[Answer]*answer{},
		more: make(chan struct{}, 1), look: make(chan struct{}, 1),
	}
}

var errClosed = fault.New(fault.Unavailable, "The server is going down. Try again in a moment.")

// alone runs fn with the second connection, when it is their turn who ask. They wait
// before a door, one behind the other, so that a thousand who come at once are not in
// the way of ahead.
func (r *Relay) alone(ctx context.Context, fn func(ctx context.Context) error) error {
	select {
	case r.door <- struct{}{}:
	case <-ctx.Done():
		return postgres.Fault(ctx.Err())
	}
	defer func() { <-r.door }()
	return r.ahead(ctx, fn)
}

// ahead is alone for what cannot wait, such as saying that this process lives: it
// waits for one other at most. The ctx of fn is not that of who asks, which stands for
// their organisation: it only ends with it.
func (r *Relay) ahead(ctx context.Context, fn func(ctx context.Context) error) error {
	select {
	case r.lane <- struct{}{}:
	case <-ctx.Done():
		return postgres.Fault(ctx.Err())
	}
	defer func() { <-r.lane }()
	own, cancel := context.WithTimeout(context.Background(), errand)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	return postgres.Fault(fn(own))
}

// errand is how long an exchange in the lane may take: one that hangs must not outlast
// the lease, which is renewed when a third of it has passed, and in the same lane.
const errand = 3 * time.Second

// patience is how long the log may take to be written once.
const patience = 5 * time.Second

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // told already
	}
}
