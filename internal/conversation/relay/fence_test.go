package relay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/postgres"
)

// A process that was frozen for longer than its lease finds its answers ended: what
// it then says comes to nobody, its own readers included.
func TestFrozenProcess(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.aged(t)
	for _, taken := range []string{"interrupted", "claimed"} {
		t.Run(taken, func(t *testing.T) {
			t.Parallel()
			way := &process{Beginner: h.pool(t)}
			zombie, here := h.relay(t, relay.Options{DB: way, Lease: 600 * time.Millisecond}), h.relay(t, relay.Options{})
			a := h.answer(t, zombie)
			why := make(causes, 1)
			live := zombie.Begin(a, 0, why.cancel)
			must(t, live.Text("One, "))
			_, err := live.Flush(t.Context())
			must(t, err)
			var own transcript
			ended := make(chan error, 1)
			go func() { ended <- zombie.Follow(t.Context(), a, 0, own.give) }()
			way.freeze()
			must(t, live.Text("two")) // on its way when the process freezes
			want := "One, "
			if taken == "interrupted" {
				var seen transcript
				must(t, here.Follow(t.Context(), a, 0, seen.give))
				if got := h.get(t, a); got.State != "interrupted" || got.Content != want || got.Events != seen.last {
					t.Errorf("%+v", got)
				}
			} else {
				var logged int64
				eventually(t, "claimed", func() bool {
					n, text, won, err := here.Claim(t.Context(), a)
					must(t, err)
					if won && text != want {
						t.Errorf("%q", text)
					}
					logged = n
					return won
				})
				mine := here.Begin(a, logged, make(causes, 1).cancel)
				must(t, mine.Text("three"))
				want += "three"
				n, err := mine.Flush(t.Context())
				must(t, err)
				defer func() {
					if !h.finish(t, here, a, "complete", want, n) {
						t.Error("lost")
					}
					mine.End()
					must(t, <-ended)
					if own.String() != h.logged(t, a) || own.text(t) != want {
						t.Errorf("the frozen process's reader saw %s", own.String())
					}
				}()
			}
			way.thaw()
			if _, err := live.Flush(t.Context()); !errors.Is(err, relay.ErrLost) {
				t.Errorf("the frozen process goes on: %v", err)
			}
			if err := <-why; !errors.Is(err, relay.ErrLost) {
				t.Error(err)
			}
			if h.finish(t, zombie, a, "complete", "One, two", 2) {
				t.Error("the frozen process ends the answer")
			}
			live.End()
			if taken == "interrupted" {
				must(t, <-ended)
				if own.String() != h.logged(t, a) || own.text(t) != want {
					t.Errorf("the frozen process's reader saw %s", own.String())
				}
			}
		})
	}
}

// An answer that was claimed, and not gone on with yet, takes nothing from who made
// it before.
func TestFrozenProcessBehindAClaim(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.aged(t)
	way := &process{Beginner: h.pool(t)}
	zombie, here := h.relay(t, relay.Options{DB: way, Lease: 600 * time.Millisecond}), h.relay(t, relay.Options{})
	a := h.answer(t, zombie)
	live := zombie.Begin(a, 0, make(causes, 1).cancel)
	must(t, live.Text("One, "))
	_, err := live.Flush(t.Context())
	must(t, err)
	way.freeze()
	must(t, live.Text("two"))
	eventually(t, "claimed", func() bool {
		_, _, won, err := here.Claim(t.Context(), a)
		must(t, err)
		return won
	})
	mine := here.Begin(a, 1, make(causes, 1).cancel)
	defer mine.End()
	way.thaw()
	if _, err := live.Flush(t.Context()); !errors.Is(err, relay.ErrLost) {
		t.Errorf("the frozen process goes on: %v", err)
	}
	if got := h.logged(t, a); got != "1 delta {\"text\":\"One, \"}\n" {
		t.Error(got)
	}
}

// While somebody ends a process's answers, that process logs nothing.
func TestAppendWaitsForWhoEndsAnswers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.relay(t, relay.Options{Lease: time.Hour})
	a := h.answer(t, r)
	live := r.Begin(a, 0, make(causes, 1).cancel)
	defer live.End()
	tx, err := h.db.BeginTx(t.Context(), pgx.TxOptions{})
	must(t, err)
	_, err = tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('producer ' || $1, 0))`, relay.ID(r))
	must(t, err)
	must(t, live.Text("One, "))
	time.Sleep(300 * time.Millisecond)
	if got := h.logged(t, a); got != "" {
		t.Errorf("logged under the lock: %s", got)
	}
	_, err = tx.Exec(t.Context(), `UPDATE messages SET state = 'interrupted', finished_at = now() WHERE message_id = $1`, a.Message)
	must(t, err)
	must(t, tx.Commit(t.Context()))
	if _, err := live.Flush(t.Context()); !errors.Is(err, relay.ErrLost) || h.logged(t, a) != "" {
		t.Errorf("it looks at what was before the lock: %v", err)
	}
}

// What a process had in hand when it froze is waited for: an append that the
// database has begun is part of the answer, or of nothing.
func TestAppendUnderWay(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"interrupt", "claim", "sweep"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.aged(t)
			here := h.relay(t, relay.Options{})
			producer := "prd_" + end
			h.exec(t, `INSERT INTO producers VALUES ($1, now() - interval '1 second')`, producer)
			a := h.row(t, producer)
			h.exec(t, `INSERT INTO stream_events VALUES ($1, 1, $2, 'delta', '{"text":"One, "}')`, a.Message, a.Organization)
			other := h.row(t, producer+"_other") // of a process that holds nothing up
			tx, err := h.db.BeginTx(t.Context(), pgx.TxOptions{})
			must(t, err)
			for _, sql := range []string{
				`SELECT pg_advisory_xact_lock_shared(hashtextextended('producer ` + producer + `', 0))`,
				`INSERT INTO stream_events VALUES ('` + a.Message + `', 2, 'org_local', 'delta', '{"text":"two"}')`,
			} {
				_, err := tx.Exec(t.Context(), sql)
				must(t, err)
			}
			done := make(chan error, 1)
			var seen transcript
			switch end {
			case "interrupt":
				go func() { done <- here.Follow(t.Context(), a, 0, seen.give) }()
				must(t, here.Follow(t.Context(), other, 0, new(transcript).give)) // goes on at once
			case "claim":
				go func() {
					for {
						n, text, won, err := here.Claim(t.Context(), a)
						if won {
							if n != 2 || text != "One, two" {
								err = fmt.Errorf("claimed %d, %q", n, text)
							}
							done <- err
							return
						}
					}
				}()
			case "sweep":
				if s, err := relay.Sweep(t.Context(), h.db); err == nil || s.Interrupted != 1 {
					t.Errorf("%+v, %v", s, err) // the other one; this one cannot be locked
				}
			}
			time.Sleep(500 * time.Millisecond)
			if got := h.get(t, a); got.State != "streaming" || len(done) > 0 {
				t.Errorf("not waited for: %+v", got)
			}
			must(t, tx.Commit(t.Context()))
			if end == "sweep" {
				_, err := relay.Sweep(t.Context(), h.db)
				must(t, err)
			} else {
				must(t, <-done)
			}
			if end == "claim" {
				return
			}
			if got := h.get(t, a); got.State != "interrupted" || got.Content != "One, two" || got.Events != 2 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// hesitant is the way to the database of who has found something, and does something
// about it when it may.
type hesitant struct {
	postgres.Beginner
	has, may chan struct{}
}

func (h *hesitant) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	close(h.has)
	<-h.may
	return h.Beginner.SendBatch(ctx, b)
}

// After a moment in which nobody reached the database every process seems dead: who
// reads an answer waits for what lives to say so.
func TestALateLease(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.aged(t)
	way := &process{Beginner: h.pool(t)}
	here := h.relay(t, relay.Options{DB: way, Lease: time.Hour}) // and so it doubts for ten minutes
	h.exec(t, `INSERT INTO producers VALUES ('prd_late', now() - interval '1 second')`)
	a := h.row(t, "prd_late")
	var seen transcript
	ended := make(chan error, 1)
	go func() { ended <- here.Follow(t.Context(), a, 0, seen.give) }()
	swept := make(chan relay.Swept, 1)
	sweeper := &hesitant{h.pool(t), make(chan struct{}), make(chan struct{})}
	go func() {
		s, err := relay.Sweep(t.Context(), sweeper)
		if err != nil {
			t.Error(err)
		}
		swept <- s
	}()
	<-sweeper.has
	eventually(t, "who reads it has looked", func() bool { return way.looks.Load() > 0 })
	h.exec(t, `UPDATE producers SET alive_until = now() + interval '1 minute' WHERE producer_id = 'prd_late'`)
	close(sweeper.may)
	if s := <-swept; s.Interrupted != 0 {
		t.Errorf("swept: %+v", s)
	}
	h.exec(t, `INSERT INTO stream_events VALUES ($1, 1, $2, 'delta', '{"text":"One."}')`, a.Message, a.Organization)
	h.exec(t, `UPDATE messages SET state = 'complete', content = 'One.', events = 1, finished_at = now() WHERE message_id = $1`, a.Message)
	if err := <-ended; err != nil || seen.text(t) != "One." {
		t.Errorf("%v, %q", err, seen.text(t))
	}
}

// A process that hands its answers over lets an append end first that the database has
// begun: who goes on with the answer begins behind it.
func TestHandOverWaitsForAppends(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old, next := h.relay(t, relay.Options{Lease: time.Hour}), h.relay(t, relay.Options{})
	a := h.answer(t, old)
	live := old.Begin(a, 0, make(causes, 1).cancel)
	must(t, live.Text("One, "))
	_, err := live.Flush(t.Context())
	must(t, err)
	live.End() // as who makes it does when its context ends
	tx, err := h.db.BeginTx(t.Context(), pgx.TxOptions{})
	must(t, err)
	_, err = tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock_shared(hashtextextended('producer ' || $1, 0))`, relay.ID(old))
	must(t, err)
	_, err = tx.Exec(t.Context(), `INSERT INTO stream_events VALUES ($1, 2, 'org_local', 'delta', '{"text":"two"}')`, a.Message)
	must(t, err)
	handed := make(chan error, 1)
	go func() { handed <- old.HandOver(t.Context()) }()
	time.Sleep(300 * time.Millisecond)
	if len(handed) > 0 {
		t.Error("not waited for")
	}
	must(t, tx.Commit(t.Context()))
	must(t, <-handed)
	n, text, won, err := next.Claim(t.Context(), a)
	if n != 2 || text != "One, two" || !won || err != nil {
		t.Errorf("%d, %q, %t, %v", n, text, won, err)
	}
	next.Begin(a, n, make(causes, 1).cancel).End()
}

// F25: a batch whose end was not heard of is written again, once.
func TestOutcomeUnknown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cuts := 0
	way := &process{Beginner: h.pool(t), cut: func(func()) bool { cuts++; return cuts%2 == 1 }} // every other exchange
	here, there := h.relay(t, relay.Options{DB: way, Flush: time.Millisecond}), h.relay(t, relay.Options{})
	a := h.answer(t, here)
	live := here.Begin(a, 0, make(causes, 1).cancel)
	var seen [2]transcript
	ended := make(chan error, 2)
	go func() { ended <- here.Follow(t.Context(), a, 0, seen[0].give) }()
	go func() { ended <- there.Follow(t.Context(), a, 0, seen[1].give) }()
	want := ""
	for i := range 30 {
		text := fmt.Sprint(i, " ")
		must(t, live.Text(text))
		want += text
		if _, err := live.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	n, err := live.Flush(t.Context())
	must(t, err)
	if n != 30 || !h.finish(t, here, a, "complete", want, n) {
		t.Errorf("%d events", n)
	}
	live.End()
	must(t, errors.Join(<-ended, <-ended))
	for i := range seen {
		if seen[i].gaps != nil || seen[i].String() != h.logged(t, a) || seen[i].text(t) != want {
			t.Errorf("%v %s", seen[i].gaps, seen[i].String())
		}
	}
}

// A retry that comes when the answer has ended adds nothing, and says so; what the
// first try had written counts as written.
func TestOutcomeUnknownOfAnAnswerThatEnded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var a relay.Answer
	cut := true
	way := &process{Beginner: h.pool(t)}
	way.cut = func(wait func()) bool {
		if !cut {
			return false
		}
		cut = false
		wait()
		h.exec(t, `UPDATE messages SET state = 'interrupted', finished_at = now(), events = 1 WHERE message_id = $1`, a.Message)
		return true
	}
	here := h.relay(t, relay.Options{DB: way, Lease: time.Hour})
	a = h.answer(t, here)
	why := make(causes, 1)
	live := here.Begin(a, 0, why.cancel)
	must(t, live.Text("One, "))
	if n, err := live.Flush(t.Context()); n != 1 || err != nil && !errors.Is(err, relay.ErrLost) {
		t.Errorf("%d, %v", n, err)
	}
	_ = live.Text("two")
	if n, err := live.Flush(t.Context()); n != 1 || !errors.Is(err, relay.ErrLost) {
		t.Errorf("%d, %v", n, err)
	}
	live.End()
	if got := h.logged(t, a); got != "1 delta {\"text\":\"One, \"}\n" {
		t.Error(got)
	}
}

// A row that carries a process's id, and that it does not make, ends all the same;
// and an answer whose row was ended by others is given up without its saying more.
func TestOutOfStep(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	way := &process{Beginner: h.pool(t)}
	here, there := h.relay(t, relay.Options{DB: way, Lease: 300 * time.Millisecond}), h.relay(t, relay.Options{})
	never := h.answer(t, here)
	way.freeze() // until all are begun: however long that takes, it does not find their rows alone
	dropped, taken, kept := h.row(t, relay.ID(here)), h.row(t, relay.ID(here)), h.row(t, relay.ID(here))
	live := here.Begin(dropped, 0, make(causes, 1).cancel)
	why := make(causes, 1)
	silent := here.Begin(taken, 0, why.cancel)
	defer silent.End()
	well := here.Begin(kept, 0, make(causes, 1).cancel)
	way.thaw()
	must(t, live.Text("One, "))
	_, err := live.Flush(t.Context())
	must(t, err)
	live.End() // and the row was not filled in
	h.exec(t, `UPDATE messages SET state = 'failed', finished_at = now() WHERE message_id = $1`, taken.Message)
	for a, want := range map[relay.Answer]string{never: "failed", dropped: "interrupted"} {
		must(t, there.Follow(t.Context(), a, 0, new(transcript).give))
		if got := h.get(t, a); got.State != want {
			t.Errorf("%+v, want %s", got, want)
		}
	}
	if err := <-why; !errors.Is(err, relay.ErrLost) {
		t.Error(err)
	}
	must(t, well.Text("x"))
	if n, err := well.Flush(t.Context()); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	well.End()
	eventually(t, "the relay rests", func() bool { return relay.Idle(here) })
}
