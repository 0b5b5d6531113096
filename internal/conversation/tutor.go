package conversation

import (
	"context"
	"sync"
	"time"

	"lectern.dev/lectern/internal/budget"
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
	// Ledger is what Model is paid from: who has nothing left in it, or too little for the
	// answer, is told before anything is streamed. Nil: nobody pays.
	Ledger *budget.Ledger
	// Alone says that no other process could go on with an answer while this one ends, so
	// that there is nothing to wait for: the next start does, or shows it as interrupted.
	Alone bool
	// Report is told of every turn when it is over; nil: nobody.
	Report func(context.Context, Report)
	// Now is the clock of durations; nil: time.Now.
	Now func() time.Time
}

// Limits bound what is asked at once, and how many sessions there may be; 0: any number.
type Limits struct {
	AnswersPerUser          int // that are being made for one person; an API credential may stand for many
	AnswersPerOrganization  int
	SessionsPerUser         int // see Room
	SessionsPerOrganization int
}

// Tutor answers messages. Answers go on when who asked has gone.
type Tutor struct {
	p         Parts
	limit     time.Duration // of an answer
	oneTry    time.Duration // to store its end
	margin    time.Duration // of the time to drain, for handing over
	summaries summarizer

	mu       sync.Mutex
	draining bool
	began    sync.WaitGroup            // sends that have begun and answers that are being made
	making   map[relay.Answer]*making  // here, now
	ended    map[relay.Answer]*Message // here, lately: what readers are told at the end
	order    []relay.Answer            // of ended, the oldest first
	gone     chan struct{}             // closed when nothing can be waited for any more
}

// New makes a tutor.
func New(p Parts) *Tutor {
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Tutor{p: p, limit: hardLimit, oneTry: oneTry, margin: drainMargin, making: map[relay.Answer]*making{}, ended: map[relay.Answer]*Message{}, gone: make(chan struct{})}
}

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

// Busy is the Conflict of a session in which an answer is being made.
type Busy struct {
	error
	Message string // that answer
}

// Unwrap gives the fault.
func (b *Busy) Unwrap() error { return b.error }
