package conversation

import (
	"context"
	"errors"
	"time"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
)

// Parts are what a tutor works with.
type Parts struct {
	DB     postgres.Beginner
	Relay  *relay.Relay
	Model  llm.Streamer // paid for, with its backup behind it
	Limits Limits
	// Afford says PaymentRequired when the organisation has nothing left to spend, before
	// anything is begun: a *budget.Ledger's. Nil: nobody asks.
	Afford func(ctx context.Context, q postgres.Querier, organization string) error
	// Report is told of every turn when it is over; nil: nobody.
	Report func(context.Context, Report)
	// Now is the clock of durations; nil: time.Now.
	Now func() time.Time
}

// Limits bound what is asked at once; 0: any number.
type Limits struct {
	AnswersPerUser         int // that are being made for one person
	AnswersPerOrganization int
}

// Tutor answers messages. Answers go on when who asked has gone.
type Tutor struct {
	p         Parts
	summaries summarizer
}

// New makes a tutor.
func New(p Parts) *Tutor { return &Tutor{p: p} }

// Report is what is said of one turn, for operators.
type Report struct {
	Organization, User, Session, Message string
	Task, Model                          string
	State                                State
	Usage                                llm.Usage
	CostMicros                           int64
	TTFB, TTLB                           time.Duration // from the request to the first and the last byte; 0: never
	Tries                                llm.Tries
	Passages, Citations                  int
	Disconnects, Resumed                 int64
	Error                                error
}

var errNotYet = errors.New("not yet")

// Send begins to answer a message, and returns when the answer has begun: Follow it.
// Conflict: another answer is being made in the session; the error is a *Busy.
func (t *Tutor) Send(ctx context.Context, p account.Principal, session string, in Prompt) (Turn, error) {
	return Turn{}, errNotYet
}

// Busy is the Conflict of a session in which an answer is being made.
type Busy struct {
	error
	Message string // that answer
}

// Unwrap gives the fault.
func (b *Busy) Unwrap() error { return b.error }

// Event is what a reader of an answer is sent.
type Event struct {
	ID   string // what to come again with
	Name string // "start", "delta", "citation", "done" or "error"
	Data any
}

// Started, Done and Broken are the data of "start", "done" and "error".
type (
	// Started begins an answer.
	Started struct {
		Message Message `json:"message"`
		Session string  `json:"session"`
	}
	// Done ends one that is whole, or was stopped.
	Done struct {
		Message Message `json:"message"`
		Usage   *Usage  `json:"usage,omitempty"`
		Model   string  `json:"model"`
	}
	// Broken ends one that is not whole. What there is of it is kept.
	Broken struct {
		Message Message `json:"message"`
		Detail  string  `json:"detail" doc:"what happened, and what can be done"`
	}
	// TextDelta is the data of "delta".
	TextDelta struct {
		Text string `json:"text"`
	}
)

// Reader gives the events of an answer until its end.
type Reader func(ctx context.Context, send func(Event) error) error

// Follow reads an answer of a session from behind the event with the id last: "" is
// its beginning. With answer "" it is the one that last names, else the one that is
// being made. A nil Reader says that nothing will come any more. An answer that a
// process handed over when it ended is gone on with here.
func (t *Tutor) Follow(ctx context.Context, p account.Principal, session, answer, last string) (Reader, error) {
	return nil, errNotYet
}

// Stop ends the answer that is being made in a session; what there is of it is kept.
func (t *Tutor) Stop(ctx context.Context, p account.Principal, session string) error {
	return errNotYet
}

// Drain lets answers go on until ctx ends, then hands over those that are not done.
// Nothing may be sent after it.
func (t *Tutor) Drain(ctx context.Context) {}
