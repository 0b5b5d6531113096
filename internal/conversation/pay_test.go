package conversation

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// till is a ledger's way to the database, at which its reservations can be held up.
type till struct {
	postgres.Querier
	before func() // a reservation
}

func (q *till) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	q.before()
	return q.Querier.SendBatch(ctx, b)
}

// charging has a desk's answers paid for, with something that happens before each
// reservation.
func (d *desk) charging(t *testing.T, hard int64, before func()) {
	t.Helper()
	l := d.ledger(t, hard)
	l.DB = &till{l.DB, before}
	d.tutor.p.Ledger = l
	model, err := budget.NewStreamer(d.tutor.p.Model, l)
	if err != nil {
		t.Fatal(err)
	}
	d.tutor.p.Model = model
}

const sumsOfLedger = `SELECT coalesce(sum(reserved_micros), 0) FROM ledger_months`

// What an answer costs is put aside once and settled once.
func TestAnAnswerIsPaidForOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, says(nil, "Owls hunt at night."))
	reservations := 0
	d.charging(t, 1_000_000, func() { reservations++ })
	s := d.on(t, ann, NewSession{})
	for n := range 2 {
		if h := d.ask(t, ann, s.ID, Prompt{Content: "When do owls hunt?"}); h.message().State != Complete {
			t.Errorf("%+v", h.message())
		}
		d.over(t)
		if entries := d.number(t, `SELECT count(*) FROM ledger WHERE state = 'settled'`); reservations != n+1 || entries != int64(n+1) || d.number(t, sumsOfLedger) != 0 {
			t.Errorf("after %d answers: %d reservations, %d entries settled, %d reserved", n+1, reservations, entries, d.number(t, sumsOfLedger))
		}
	}
}

// Nobody hears that an answer has begun before its money, and with it the question, is
// as durable as what is told must be: not who asks, nor who asks the same again, nor who
// reads along.
func TestNothingIsToldBeforeItIsKept(t *testing.T) {
	t.Parallel()
	d := newDesk(t, says(nil, "ok"))
	reached, goOn := make(chan struct{}), make(chan struct{})
	d.charging(t, 1_000_000, func() { close(reached); <-goOn })
	s := d.on(t, ann, NewSession{})
	told := make(chan error, 3)
	send := func() {
		_, err := d.tutor.Send(as(t, ann), ann, s.ID, Prompt{ID: "one", Content: "Well?"})
		told <- err
	}
	go send()
	<-reached
	go send()
	read := follow(t, d.tutor, ann, s.ID, "", "") // while it is made: it waits for its money
	go func() {
		err := read(as(t, ann), func(Event) error { return errEnough })
		if errors.Is(err, errEnough) {
			err = nil
		}
		told <- err
	}()
	select {
	case err := <-told:
		t.Errorf("told before the money was put aside: %v", err)
		told <- err
	case <-time.After(100 * time.Millisecond):
	}
	close(goOn)
	for range 3 {
		if err := <-told; err != nil {
			t.Error(err)
		}
	}
	d.over(t)
}

// A budget that holds something, and too little for this answer, refuses it before it
// begins to stream; the session is free when that is told.
func TestTooDear(t *testing.T) {
	t.Parallel()
	model := says(nil, "ok")
	d := newDesk(t, model)
	d.charging(t, 50, func() {})
	s := d.on(t, ann, NewSession{})
	for range 3 {
		_, err := d.tutor.Send(as(t, ann), ann, s.ID, Prompt{Content: "Well?", Parent: Root})
		wantKind(t, err, fault.PaymentRequired)
		if !strings.Contains(fault.Message(err), "budget") {
			t.Error(err)
		}
	}
	if len(model.requests()) != 0 || d.number(t, sumsOfLedger) != 0 || d.number(t, `SELECT count(*) FROM messages WHERE state = 'failed'`) != 3 {
		t.Errorf("%d requests, %d reserved", len(model.requests()), d.number(t, sumsOfLedger))
	}
}

// A turn that a crash of the database took back, between its opening and its money, is not
// told of, not asked of a model and not paid for; sent again it is begun anew.
func TestATurnThatIsTakenBack(t *testing.T) {
	t.Parallel()
	model := says(nil, "ok")
	d := newDesk(t, model)
	crashes := true
	d.charging(t, 1_000_000, func() {
		if crashes {
			d.exec(t, `DELETE FROM messages`)
		}
		crashes = false
	})
	s := d.on(t, ann, NewSession{})
	_, err := d.tutor.Send(as(t, ann), ann, s.ID, Prompt{ID: "one", Content: "Well?"})
	wantKind(t, err, fault.Unavailable)
	d.over(t)
	if n := d.number(t, sumsOfLedger); len(model.requests()) != 0 || n != 0 {
		t.Errorf("%d requests, %d reserved", len(model.requests()), n)
	}
	if h := d.ask(t, ann, s.ID, Prompt{ID: "one", Content: "Well?"}); h.text != "ok" {
		t.Errorf("%+v", h.message())
	}
}

// Who goes away while the money is put aside gets the answer later, from where it is kept.
func TestGoneBeforeItIsPaidFor(t *testing.T) {
	t.Parallel()
	d := newDesk(t, says(nil, "ok"))
	ctx, leave := context.WithCancel(as(t, ann))
	d.charging(t, 1_000_000, leave)
	s := d.on(t, ann, NewSession{})
	turn, err := d.tutor.Send(ctx, ann, s.ID, Prompt{ID: "one", Content: "Well?"})
	if err != nil {
		wantKind(t, err, fault.Unavailable)
	}
	if h := hear(t, d.tutor, ann, s.ID, turn.Answer.ID, ""); h.text != "ok" {
		t.Errorf("%+v", h.message())
	}
}

// An answer that is stopped before its money is put aside is told as stopped.
func TestStoppedBeforeItIsPaidFor(t *testing.T) {
	t.Parallel()
	model := says(nil, "ok")
	d := newDesk(t, model)
	var s Session
	d.charging(t, 1_000_000, func() {
		if err := d.tutor.Stop(as(t, ann), ann, s.ID); err != nil {
			t.Error(err)
		}
	})
	s = d.on(t, ann, NewSession{})
	turn, err := d.tutor.Send(as(t, ann), ann, s.ID, Prompt{Content: "Well?"})
	if err != nil {
		t.Fatal(err)
	}
	h := hear(t, d.tutor, ann, s.ID, turn.Answer.ID, "")
	if d.over(t); h.message().State != Stopped || len(model.requests()) != 0 || d.number(t, sumsOfLedger) != 0 {
		t.Errorf("%+v after %d requests", h.message(), len(model.requests()))
	}
}
