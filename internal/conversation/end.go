package conversation

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

const (
	persistence = 2 * time.Minute  // that the end of an answer waits for a database that is down
	oneTry      = 10 * time.Second // of which this is one try: a connection can break without anybody hearing of it
	gathering   = 30 * time.Second // in which is read what an answer rests on
)

// end says how an answer ended, and stores it: no reader is told before. It gives nil
// when that is not this process's to say any more, or the database stayed away; then
// the answer ends with what the log has of it.
func (m *making) end(ctx context.Context, err error) (*Message, error) {
	if elsewhere(ctx, err) {
		return nil, cmp.Or(context.Cause(ctx), err)
	}
	o := &m.outcome
	o.Content, o.Citations, o.TTFB = m.said.String(), m.scan.citations, m.ttfb
	o.Tokens = countTokens(o.Model, o.Content)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, relay.ErrStopped):
		o.State, o.Finish = Stopped, ""
	case err == nil:
		o.State = Complete
	case errors.Is(err, relay.ErrTooLong):
		o.State, o.Finish = Complete, llm.Length
	default:
		o.State, o.Finish, o.Problem = Interrupted, "", problemOf(cause, err)
		if o.Content == "" {
			o.State = Failed
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), persistence)
	defer cancel()
	var stored Message
	var kept error
	o.Events, kept = m.live.Flush(ctx)
	if kept == nil || errors.Is(kept, relay.ErrHandedOver) { // its row says whether it is ours still
		crash.Point("turn.before-end")
		kept = m.t.persist(ctx, func(ctx context.Context) (err error) {
			stored, err = finish(ctx, m.t.p.DB, m.turn, m.whole())
			return err
		})
	}
	if kept == nil {
		crash.Point("turn.ended")
	}
	if kept != nil {
		if !errors.Is(kept, relay.ErrLost) && !errors.Is(kept, relay.ErrHandedOver) {
			slog.ErrorContext(ctx, "the end of an answer could not be stored", "session", m.turn.Session.ID, "message", m.turn.Answer.ID, "error", kept)
		}
		return nil, kept
	}
	return &stored, nil
}

// whole is the outcome with what another process has made of the answer, as far as that is
// known: what it was asked is in what this one was asked.
func (m *making) whole() Outcome {
	o := m.outcome
	if m.takenUp {
		o.Usage.Output += int(countTokens(o.Model, m.prefix))
	}
	return o
}

// elsewhere tells whether somebody else says how the answer goes on. One that was done, or
// stopped by a person, before this process handed it over ends here yet.
func elsewhere(ctx context.Context, err error) bool {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, relay.ErrLost) || errors.Is(err, relay.ErrLost):
		return true
	case errors.Is(cause, relay.ErrStopped) || err == nil:
		return false
	}
	return errors.Is(cause, relay.ErrHandedOver) || errors.Is(err, relay.ErrHandedOver)
}

// problemOf tells a reader why an answer is not whole.
func problemOf(cause, err error) string {
	switch {
	case errors.Is(cause, errTooLong):
		return "The answer took longer than 15 minutes. Ask for the rest of it."
	case fault.KindOf(err) == fault.Internal:
		return "Something went wrong on our side while the answer was made. Ask again, or for the rest of it."
	}
	return fault.Message(err)
}

// persist does something again while the database is away, as long as ctx and this process allow.
func (t *Tutor) persist(ctx context.Context, do func(ctx context.Context) error) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := t.try(ctx, do)
		if !fault.Is(err, fault.Unavailable) || errors.Is(err, relay.ErrLost) || errors.Is(err, relay.ErrHandedOver) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		case <-t.gone:
			return err
		}
	}
}

// try does something within the time of one try.
func (t *Tutor) try(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, t.oneTry)
	defer cancel()
	return do(ctx)
}

// remember keeps what is worth it for later conversations, and sums the branch up when
// it has become long. Nothing of it holds an answer up or breaks one.
func (m *making) remember(ctx context.Context, stored Message) {
	ctx, cancel := context.WithTimeout(ctx, m.t.oneTry) // no summary's: that takes its own
	defer cancel()
	turn := m.turn
	db, who, course := m.t.p.DB, turn.who, turn.Session.CourseID
	var err error
	opens := len(turn.History) == 0 && turn.Summary == nil
	// A row a turn would be too much: the first question of a session stands for it, and
	// one more whenever the conversation is summed up.
	if (opens || len(toSum(turn, stored)) > 0) && turn.Continues == nil && turn.Task.Name != quizTask {
		err = note(ctx, db, who, course, Asked, turn.Question.Content)
	}
	if q := stored.Quiz; q != nil && q.Right != nil && !*q.Right && m.ground != nil && m.ground.quiz.judged != nil {
		err = errors.Join(err, note(ctx, db, who, course, Missed, m.ground.quiz.judged.Prompt))
	}
	if err != nil {
		slog.WarnContext(ctx, "what was asked could not be remembered", "session", turn.Session.ID, "error", err)
	}
	if stored.State == Complete || stored.State == Stopped {
		m.t.summarizeLater(ctx, turn, stored)
	}
}

// report tells operators of the turn.
func (m *making) report(ctx context.Context, err error, stored *Message, micros int64) {
	if m.t.p.Report == nil {
		return
	}
	r := Report{
		Organization: m.turn.who.Organization, User: m.turn.who.User, Session: m.turn.Session.ID, Message: m.turn.Answer.ID,
		Task: m.turn.Task.ID, Model: m.outcome.Model, State: Streaming, Usage: m.outcome.Usage, CostMicros: micros,
		TTFB: m.ttfb, TTLB: m.t.p.Now().Sub(m.began), Tries: m.tries, Citations: len(m.scan.citations),
		Disconnects: m.disconnects.Load(), Resumed: m.resumed.Load(), Error: err,
	}
	if stored != nil {
		r.State = stored.State
	}
	if m.ground != nil {
		r.Passages = len(m.ground.quoted)
	}
	m.t.p.Report(ctx, r)
}
