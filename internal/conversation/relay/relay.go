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
// of its answers ends it as interrupted, with what the log has of it.
package relay

import (
	"context"
	"encoding/json"
	"errors"
	"time"

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

// Options are what a relay works with. Zero durations are replaced by the defaults.
type Options struct {
	DB    postgres.Beginner // a pool of lectern_system of its own; two connections are enough
	Flush time.Duration     // how long text is collected before it is logged; 0: 25 ms
	Lease time.Duration     // how long a process counts as alive after it has said so; 0: 6 s
	Poll  time.Duration     // how often answers of other processes are looked up; 0: 100 ms
}

// Relay is a process's part in it.
type Relay struct{ o Options }

// New makes a relay. It does nothing until it is asked to.
func New(o Options) *Relay { return &Relay{o} }

var errNotYet = errors.New("not yet")

// Producer gives the id of this process, which is alive from now on until Close:
// messages that are being answered here carry it.
func (r *Relay) Producer(ctx context.Context) (string, error) { return "", errNotYet }

// Begin takes up an answer whose row carries this process's id. The log has logged
// events of it already: 0, unless another process began it. Cancel is called, with
// one of the reasons above, when the answer is to end.
func (r *Relay) Begin(a Answer, logged int64, cancel context.CancelCauseFunc) *Live { return nil }

// Live is an answer that is made here. It is used by one goroutine.
type Live struct{}

// Text adds to the answer. It is logged with what comes in the next moment, and
// before a citation. It blocks only when very much is waiting to be logged.
func (l *Live) Text(text string) error { return errNotYet }

// Cite adds a citation.
func (l *Live) Cite(data json.RawMessage) error { return errNotYet }

// Flush returns when all that was added is in the log, and tells how many events
// the answer then has. Unavailable: the log could not be written for a long time.
func (l *Live) Flush(ctx context.Context) (events int64, err error) { return 0, errNotYet }

// End tells readers that the row says how the answer ended. It must be called.
func (l *Live) End() {}

// Follow gives the events of an answer after a place in order, without gaps, several
// at once when they are there, and returns nil when the answer has ended and all
// were given: its row tells how. Give must not keep the slice. Wherever the answer is
// made, it ends: when its process has died it is marked as interrupted here.
// ErrGone: the log does not have what was asked for any more.
func (r *Relay) Follow(ctx context.Context, a Answer, after int64, give func([]Event) error) error {
	return errNotYet
}

// ErrGone says that an answer's events were removed some time after its end.
var ErrGone = errors.New("the log does not go back so far")

// Stop has an answer end, wherever it is made: at once when that is here.
func (r *Relay) Stop(ctx context.Context, a Answer) error { return errNotYet }

// Claim takes over an answer that was handed over, or was made by a process that has
// died; won is false when somebody else was quicker. Logged is how many events
// there are, and text what they say together.
func (r *Relay) Claim(ctx context.Context, a Answer) (logged int64, text string, won bool, err error) {
	return 0, "", false, errNotYet
}

// HandOver gives away all answers that are made here, with all that was added to them
// in the log: their contexts end with ErrHandedOver.
func (r *Relay) HandOver(ctx context.Context) error { return errNotYet }

// Close says that this process is not alive any more.
func (r *Relay) Close(ctx context.Context) error { return errNotYet }

// Swept counts what one Sweep made good.
type Swept struct {
	Interrupted int // answers whose process died and that nobody read
	Events      int // removed from the log, their answers having ended long ago
}

// Sweep ends what nobody reads, and empties the log, over all organisations.
func Sweep(ctx context.Context, db postgres.Beginner) (Swept, error) { return Swept{}, errNotYet }
