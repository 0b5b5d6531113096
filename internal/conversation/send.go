package conversation

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"time"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/fault"
)

// hardLimit is how long an answer may take altogether.
const hardLimit = 15 * time.Minute

// Send begins to answer a message, and returns when the answer has begun: Follow it.
// Conflict: another answer is being made in the session; the error is a *Busy.
// PaymentRequired, Exhausted: nothing was begun, or the answer has failed for that.
// Unavailable: the process ends, or the database is away; the same message can be sent
// again.
func (t *Tutor) Send(ctx context.Context, p account.Principal, session string, in Prompt) (Turn, error) {
	leave, err := t.enter()
	if err != nil {
		return Turn{}, err
	}
	defer leave()
	began := t.p.Now()
	producer, err := t.p.Relay.Producer(ctx)
	if err != nil {
		return Turn{}, err
	}
	turn, err := openPaid(ctx, t.p.DB, p, session, in, producer, t.p.Limits, t.p.Model.Name(), t.p.Ledger)
	if busy, ok := errors.AsType[*Busy](err); ok && t.bury(ctx, relay.Answer{Organization: p.Organization, Session: session, Message: busy.Message}) {
		turn, err = openPaid(ctx, t.p.DB, p, session, in, producer, t.p.Limits, t.p.Model.Name(), t.p.Ledger)
	}
	switch {
	case err != nil:
		return turn, err
	case turn.Again:
		return turn, t.local(turn.name()).kept(ctx)
	}
	crash.Point("turn.opened")
	m := &making{turn: turn, began: began, sure: make(chan struct{})}
	t.begin(ctx, m)
	err = m.kept(ctx)
	// The call of the model goes first: nobody waits for what is sent before its first word.
	runtime.Gosched()
	return turn, err
}

// bury tells whether the answer that was in the way has ended by now: one whose process
// has died ends when somebody looks.
func (t *Tutor) bury(ctx context.Context, a relay.Answer) bool {
	ended, err := t.p.Relay.Bury(ctx, a)
	if err != nil {
		slog.WarnContext(ctx, "an answer that is in the way could not be looked after", "session", a.Session, "message", a.Message, "error", err)
	}
	return ended
}

// enter counts who is about to begin something; nobody may when the process ends.
func (t *Tutor) enter() (leave func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining {
		e := fault.New(fault.Unavailable, "This server is about to end. Send it again: another one takes it.")
		e.RetryAfter = time.Second
		return nil, e
	}
	t.began.Add(1)
	return t.began.Done, nil
}

// begin makes an answer in the background: it goes on when who asked has gone.
func (t *Tutor) begin(ctx context.Context, m *making) {
	ctx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	ctx, cancel := context.WithTimeoutCause(ctx, t.limit, errTooLong)
	m.t, m.user, m.answer = t, m.turn.who.User, m.turn.Answer
	answer := m.turn.name()
	t.mu.Lock()
	t.making[answer] = m
	t.began.Add(1)
	t.mu.Unlock()
	m.live = t.p.Relay.Begin(answer, m.logged, stop)
	go func() {
		defer t.began.Done()
		defer stop(nil)
		defer cancel()
		m.run(ctx)
	}()
}

// name names the answer of a turn to the relay.
func (t Turn) name() relay.Answer {
	return relay.Answer{Organization: t.who.Organization, Session: t.Session.ID, Message: t.Answer.ID}
}

// local gives the answer that is being made here; nil: it is made elsewhere, or not now.
func (t *Tutor) local(a relay.Answer) *making {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.making[a]
}

// How many answers that ended here are remembered, for their readers, and how long
// they may be; longer ones are read again.
const (
	keptEndings   = 256
	keptContent   = 16 << 10 // bytes
	keptCitations = 30
)

// over takes an answer from those that are being made, and remembers how it ended.
func (t *Tutor) over(a relay.Answer, m *Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.making, a)
	if m == nil || len(m.Content) > keptContent || len(m.Citations) > keptCitations {
		return
	}
	t.ended[a] = m
	t.order = append(t.order, a)
	if len(t.order) > keptEndings {
		delete(t.ended, t.order[0])
		t.order = t.order[1:]
	}
}

// Stop ends the answer that is being made in a session; what there is of it is kept.
// Nothing happens when none is.
func (t *Tutor) Stop(ctx context.Context, p account.Principal, session string) error {
	s, err := GetSession(ctx, t.p.DB, p, session)
	if err != nil || s.Answering == "" {
		return err
	}
	return t.p.Relay.Stop(ctx, relay.Answer{Organization: p.Organization, Session: session, Message: s.Answering})
}
