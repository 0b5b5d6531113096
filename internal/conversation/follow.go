package conversation

import (
	"context"
	"encoding/json"
	"errors"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
)

// Reader gives the events of an answer until its end.
type Reader func(ctx context.Context, send func(Event) error) error

// Follow reads an answer of a session from behind the event with the id last: "" is
// its beginning. With answer "" it is the one that last names, else the one that is
// being made. A nil Reader says that nothing will come any more. An answer that a
// process handed over when it ended is gone on with here.
func (t *Tutor) Follow(ctx context.Context, p account.Principal, session, answer, last string) (Reader, error) {
	named, seen, err := parseEventID(last)
	if err != nil {
		return nil, err
	}
	if answer == "" {
		answer = named
	}
	if answer == "" {
		s, err := GetSession(ctx, t.p.DB, p, session)
		if err != nil || s.Answering == "" {
			return nil, err
		}
		answer = s.Answering
	}
	if named != answer {
		seen = -1
	}
	a := relay.Answer{Organization: p.Organization, Session: session, Message: answer}
	if m := t.local(a); m != nil && m.user == p.User {
		return t.reader(a, p, m.answer, seen), nil
	}
	m, err := GetMessage(ctx, t.p.DB, p, session, answer)
	switch {
	case err != nil:
		return nil, err
	case m.Role != Assistant:
		return nil, fault.New(fault.NotFound, "There is no such answer.")
	case m.State != Streaming && seen > m.Events:
		return nil, nil
	}
	return t.reader(a, p, m, seen), nil
}

// reader gives the events behind the seen-th. What is told before and behind those of
// the log is told by functions of their own: most readers wait between, on a stack that
// is to be small.
func (t *Tutor) reader(a relay.Answer, p account.Principal, m Message, seen int64) Reader {
	return func(ctx context.Context, send func(Event) error) (err error) {
		if making := t.local(a); making != nil {
			if err := making.kept(ctx); err != nil {
				return err
			}
			if seen >= 0 {
				making.resumed.Add(1)
			}
			defer func() {
				if err != nil {
					making.disconnects.Add(1)
				}
			}()
		}
		if seen < 0 {
			if err := tellStart(a, &m, send); err != nil {
				return err
			}
			seen = 0
		}
		for {
			err = t.p.Relay.Follow(ctx, a, seen, func(events []relay.Event) error {
				for _, e := range events {
					if err := send(Event{eventID(a.Message, e.Seq), string(e.Kind), e.Data}); err != nil {
						return err
					}
					seen = e.Seq
				}
				return nil
			})
			if !errors.Is(err, relay.ErrHandedOver) {
				break
			}
			if err := t.takeUp(ctx, a, p, &m); err != nil {
				return err
			}
		}
		if err != nil && !errors.Is(err, relay.ErrGone) {
			return err
		}
		return t.tellEnd(ctx, a, p, seen, err != nil, send)
	}
}

func tellStart(a relay.Answer, m *Message, send func(Event) error) error {
	return send(started(a.Session, *m))
}

// tellEnd tells how an answer ended, and, where the log is gone, what it says to who
// has seen nothing of it: the row has all of it.
func (t *Tutor) tellEnd(ctx context.Context, a relay.Answer, p account.Principal, seen int64, gone bool, send func(Event) error) error {
	ended, err := t.ending(ctx, a, p)
	if err != nil {
		return err
	}
	if gone {
		for _, e := range retold(ended, seen) {
			if err := send(e); err != nil {
				return err
			}
		}
	}
	return send(last(ended))
}

// retold tells an answer whose log was removed, to who has seen nothing of it yet. Who
// has seen a part gets the row with the last event, which holds the whole text.
func retold(m Message, seen int64) []Event {
	if seen > 0 || m.Content == "" {
		return nil
	}
	var out []Event
	for _, c := range m.Citations {
		out = append(out, Event{eventID(m.ID, 0), string(relay.Citation), c})
	}
	return append(out, Event{eventID(m.ID, m.Events), string(relay.Delta), TextDelta{m.Content}})
}

// ending reads how an answer ended: from memory, where it ended here.
func (t *Tutor) ending(ctx context.Context, a relay.Answer, p account.Principal) (Message, error) {
	t.mu.Lock()
	m := t.ended[a]
	t.mu.Unlock()
	if m != nil {
		return *m, nil
	}
	ended, err := GetMessage(ctx, t.p.DB, p, a.Session, a.Message)
	if err == nil && ended.State == Streaming {
		err = fault.New(fault.Unavailable, "The answer goes on elsewhere. Read on from there.")
	}
	return ended, err
}

// takeUp goes on here with an answer that another process handed over when it ended.
// Nothing happens when somebody else was quicker.
func (t *Tutor) takeUp(ctx context.Context, a relay.Answer, p account.Principal, answer *Message) error {
	leave, err := t.enter()
	if err != nil {
		return err
	}
	defer leave()
	producer, err := t.p.Relay.Producer(ctx)
	if err != nil {
		return err
	}
	logged, text, won, err := t.p.Relay.Claim(ctx, a)
	if err != nil || !won {
		return err
	}
	// From here on it is ours: who asked may go, the answer goes on.
	t.begin(ctx, &making{
		turn:  Turn{Session: Session{ID: a.Session}, Answer: *answer, who: p, producer: producer, checkpoint: id.New(id.Checkpoint)},
		began: t.p.Now(), logged: logged, prefix: text, takenUp: true,
	})
	return nil
}

// recall reads again what another process knew of an answer that is gone on with.
func (m *making) recall(ctx context.Context) (err error) {
	turn, err := load(ctx, m.t.p.DB, m.turn.who, m.turn.Session.ID, m.turn.Answer.ID, m.turn.producer)
	if err != nil { // it may be tried again, and its end is to be stored in any case
		return err
	}
	turn.checkpoint = m.turn.checkpoint
	m.turn = turn
	if m.logged > 0 {
		m.scan.citations, err = m.t.citationsOf(ctx, m.turn.name(), m.logged)
	}
	return err
}

// errEnough ends the reading of a log whose end is known.
var errEnough = errors.New("enough")

// citationsOf reads what the logged part of an answer cites.
func (t *Tutor) citationsOf(ctx context.Context, a relay.Answer, logged int64) ([]Citation, error) {
	var out []Citation
	err := t.p.Relay.Follow(ctx, a, 0, func(events []relay.Event) error {
		for _, e := range events {
			if e.Kind == relay.Citation {
				var c Citation
				if err := json.Unmarshal(e.Data, &c); err != nil {
					return err
				}
				out = append(out, c)
			}
			if e.Seq >= logged {
				return errEnough
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, err
}
