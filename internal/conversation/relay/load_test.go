package relay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/fault"
)

// F23: a thousand answers and their readers, here and elsewhere, hold no connection,
// and never take more than two.
func TestAnswersHoldNoConnection(t *testing.T) {
	t.Parallel()
	const answers = 1000
	h := newHouse(t)
	mine, theirs := h.pool(t), h.pool(t)
	here, there := h.relay(t, relay.Options{DB: mine, Lease: time.Hour}), h.relay(t, relay.Options{DB: theirs}) // the rows may take long to make
	producer, err := here.Producer(t.Context())
	must(t, err)
	names := h.rows(t, producer, answers)
	var lives []*relay.Live
	var readers sync.WaitGroup
	seen := make([]transcript, 2*answers)
	for i, a := range names {
		lives = append(lives, here.Begin(a, 0, make(causes, 1).cancel))
		for j, r := range []*relay.Relay{here, there} {
			readers.Go(func() {
				if err := r.Follow(t.Context(), a, 0, seen[2*i+j].give); err != nil {
					t.Error(err)
				}
			})
		}
	}
	for range 5 {
		for _, l := range lives {
			must(t, l.Text("some words "))
		}
		for range 50 {
			if n := mine.Stat().AcquiredConns(); n > 2 {
				t.Errorf("%d connections", n)
			}
			time.Sleep(time.Millisecond)
		}
	}
	eventually(t, "no connection is held", func() bool { return mine.Stat().AcquiredConns() == 0 })
	for _, l := range lives {
		_, err := l.Flush(t.Context())
		must(t, err)
	}
	h.exec(t, `UPDATE messages m SET state = 'complete', finished_at = now(), events = (SELECT count(*) FROM stream_events e WHERE e.message_id = m.message_id)`)
	for _, l := range lives {
		l.End()
	}
	readers.Wait()
	for i := range seen {
		if seen[i].gaps != nil || seen[i].text(t) != strings.Repeat("some words ", 5) {
			t.Fatalf("%d: %s", i, seen[i].String())
		}
	}
	if most := max(mine.Stat().MaxConns(), theirs.Stat().MaxConns()); most != 2 {
		t.Errorf("%d connections are allowed", most)
	}
	eventually(t, "all is forgotten", func() bool { n, w := relay.Known(here); m, _ := relay.Known(there); return n+m == 0 && w == 0 })
}

// rows makes many sessions with an answer each.
func (h *house) rows(t testing.TB, producer string, n int) []relay.Answer {
	t.Helper()
	var all []relay.Answer
	for range n {
		all = append(all, relay.Answer{})
	}
	var done sync.WaitGroup
	next := make(chan int)
	for range 8 {
		done.Go(func() {
			for i := range next {
				all[i] = h.row(t, producer)
			}
		})
	}
	for i := range all {
		next <- i
	}
	close(next)
	done.Wait()
	return all
}

// Bounds: an answer has an end, an event has a size, and who adds more than can be
// written waits.
func TestBounds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	way := &process{Beginner: h.pool(t)}
	r := h.relay(t, relay.Options{DB: way, Lease: time.Hour})
	a := h.answer(t, r)
	live := r.Begin(a, 0, make(causes, 1).cancel)
	way.freeze()
	added := make(chan int, 1)
	go func() {
		n := 0
		for range 64 { // 1 MiB
			if err := live.Text(strings.Repeat("é", 8<<10)); err != nil {
				t.Error(err)
				break
			}
			n++
			select {
			case <-added:
			default:
			}
			added <- n
		}
		close(added)
	}()
	time.Sleep(300 * time.Millisecond)
	if n, waiting := <-added, func() int64 { _, w := relay.Known(r); return w }(); n > 16 || waiting > 160<<10 {
		t.Errorf("%d pieces were taken while nothing could be written, %d bytes wait", n, waiting)
	}
	way.thaw()
	for range added {
	}
	if err := live.Text("x"); !errors.Is(err, relay.ErrTooLong) {
		t.Errorf("more than the most: %v", err)
	}
	n, err := live.Flush(t.Context())
	must(t, err)
	live.End()
	var longest, text int
	must(t, h.db.QueryRow(t.Context(), `SELECT max(length(data)), sum(length(data::json ->> 'text')) FROM stream_events WHERE message_id = $1`, a.Message).Scan(&longest, &text))
	if longest > 17<<10 || text != 512<<10 || n < 64 {
		t.Errorf("%d events, the longest %d, all of them %d characters", n, longest, text)
	}
	for _, wrong := range []string{``, `{`, `"\u0000"`, "\"\xff\""} {
		if err := live.Cite([]byte(wrong)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if got := relay.Storable("a\x00b\xffc\U0001F642"); got != "a\uFFFDb\uFFFDc\U0001F642" {
		t.Errorf("%q", got)
	}
}

// F21: while the database is away nothing is shown; when it is back all goes on, and
// when it stays away the answer is given up in clear words.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, back := range []bool{true, false} {
		t.Run(fmt.Sprint("comes back: ", back), func(t *testing.T) {
			t.Parallel()
			way := &process{Beginner: h.pool(t)}
			r := h.relay(t, relay.Options{DB: way, Outage: time.Second, Lease: time.Hour})
			if back {
				r = h.relay(t, relay.Options{DB: way, Lease: time.Hour})
			}
			a := h.answer(t, r)
			why := make(causes, 1)
			live := r.Begin(a, 0, why.cancel)
			must(t, live.Text("One, "))
			_, err := live.Flush(t.Context())
			must(t, err)
			var seen transcript
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			ended := make(chan error, 1)
			go func() { ended <- r.Follow(ctx, a, 0, seen.give) }()
			way.kill()
			must(t, live.Text("two"))
			short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if n, err := live.Flush(short); n != 1 || !fault.Is(err, fault.Unavailable) {
				t.Errorf("%d, %v", n, err)
			}
			if !back {
				n, err := live.Flush(t.Context())
				if n != 1 || !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Message(err), "database") {
					t.Errorf("%d, %v", n, err)
				}
				if err := <-why; !fault.Is(err, fault.Unavailable) {
					t.Error(err)
				}
				live.End()
				leave()
				<-ended
				return
			}
			way.mu.Lock()
			way.killed = false
			way.mu.Unlock()
			n, err := live.Flush(t.Context())
			must(t, err)
			if n != 2 || !h.finish(t, r, a, "complete", "One, two", n) {
				t.Errorf("%d events", n)
			}
			live.End()
			must(t, <-ended)
			if seen.String() != h.logged(t, a) {
				t.Error(seen.String())
			}
		})
	}
}

// The log of what ended long ago goes, oldest first; who asks for it is told.
func TestSweepEmptiesTheLog(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.relay(t, relay.Options{Lease: time.Hour}) // it does not find the rows, which nobody begins
	producer, err := r.Producer(t.Context())
	must(t, err)
	old := relay.Answer{Organization: organization, Session: "ses_old", Message: "msg_06000000000000000000"}
	making := relay.Answer{Organization: organization, Session: "ses_making", Message: "msg_06000000000000000001"}
	young := h.row(t, producer)
	for _, a := range []relay.Answer{old, making} {
		h.exec(t, `
			WITH s AS (INSERT INTO sessions (session_id, organization_id, user_id, task) VALUES ($2, $1, 'user_local', 'tutor'))
			INSERT INTO messages (session_id, message_id, organization_id, role, task_id, state, producer_id) VALUES ($2, $3, $1, 'assistant', 'tutor@1', 'streaming', $4)`,
			a.Organization, a.Session, a.Message, producer)
	}
	for _, a := range []relay.Answer{old, making, young} {
		h.exec(t, `INSERT INTO stream_events SELECT $1, n, $2, 'delta', '{"text":"x"}' FROM generate_series(1, 6000) n`, a.Message, organization)
		if a != making {
			h.exec(t, `UPDATE messages SET state = 'complete', events = 6000, finished_at = now() WHERE message_id = $1`, a.Message)
		}
	}
	s, err := relay.Sweep(t.Context(), h.pool(t))
	must(t, err)
	if s.Events != 6000 || strings.Count(h.logged(t, making), "\n") != 6000 || strings.Count(h.logged(t, young), "\n") != 6000 {
		t.Errorf("%+v", s)
	}
	if err := r.Follow(t.Context(), old, 0, new(transcript).give); !errors.Is(err, relay.ErrGone) {
		t.Error(err)
	}
	must(t, r.Follow(t.Context(), old, 6000, new(transcript).give))
	h.exec(t, `INSERT INTO stream_events VALUES ($1, 6001, $2, 'delta', '{"text":"behind the end"}')`, young.Message, organization)
	all := transcript{}
	must(t, r.Follow(t.Context(), young, 0, all.give)) // more than is fetched at once
	if all.last != 6000 || all.gaps != nil {
		t.Errorf("%d, %v", all.last, all.gaps)
	}
	h.exec(t, `DELETE FROM stream_events WHERE message_id = $1 AND seq <= 10`, young.Message) // a sweep is at it
	if err := r.Follow(t.Context(), young, 0, func(e []relay.Event) error { return fmt.Errorf("given from %d on", e[0].Seq) }); !errors.Is(err, relay.ErrGone) {
		t.Error(err)
	}
}

// A reader that does not take what it is given holds up neither others nor the answer.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.relay(t, relay.Options{Flush: time.Millisecond})
	a := h.answer(t, r)
	live := r.Begin(a, 0, make(causes, 1).cancel)
	release, ended := make(chan struct{}), make(chan error, 2)
	var slow, quick transcript
	go func() {
		ended <- r.Follow(t.Context(), a, 0, func(e []relay.Event) error { <-release; return slow.give(e) })
	}()
	go func() { ended <- r.Follow(t.Context(), a, 0, quick.give) }()
	for range 200 {
		must(t, live.Text("word "))
		_, err := live.Flush(t.Context())
		must(t, err)
	}
	if !h.finish(t, r, a, "complete", strings.Repeat("word ", 200), 200) {
		t.Error("lost")
	}
	live.End()
	must(t, <-ended)
	close(release)
	must(t, <-ended)
	if slow.String() != quick.String() || quick.String() != h.logged(t, a) || quick.last != 200 {
		t.Error("they differ")
	}
}
