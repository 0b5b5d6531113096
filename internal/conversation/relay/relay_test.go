package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/fault"
)

// causes remembers why an answer was to end.
type causes chan error

func (c causes) cancel(why error) {
	select {
	case c <- why:
	default:
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What is added is read here and elsewhere, from every place on, and is what the
// log has.
func TestReadersSeeTheLog(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	here, there := h.relay(t, relay.Options{}), h.relay(t, relay.Options{})
	a := h.answer(t, here)
	live := here.Begin(a, 0, make(causes, 1).cancel)
	var readers sync.WaitGroup
	var seen [2]transcript
	for i, r := range []*relay.Relay{here, there} {
		readers.Go(func() {
			if err := r.Follow(t.Context(), a, 0, seen[i].give); err != nil {
				t.Error(err)
			}
		})
	}
	must(t, live.Text("Plants make "))
	must(t, live.Text("sugar"))
	if n, err := live.Flush(t.Context()); err != nil || n < 1 || n > 2 {
		t.Errorf("%d events, %v", n, err)
	}
	must(t, live.Cite(json.RawMessage("{\n \"n\": 1 }")))
	must(t, live.Text(" <from> light. \u2028"))
	n, err := live.Flush(t.Context())
	must(t, err)
	if !h.finish(t, here, a, "complete", "Plants make sugar <from> light. \u2028", n) {
		t.Error("lost")
	}
	live.End()
	readers.Wait()
	want := h.logged(t, a)
	if !strings.Contains(want, `citation {"n":1}`) || !strings.HasSuffix(want, `delta {"text":" <from> light. \u2028"}`+"\n") {
		t.Errorf("the log:\n%s", want)
	}
	for i := range seen {
		if diff := cmp.Diff(want, seen[i].String()); diff != "" {
			t.Errorf("reader %d: %s", i, diff)
		}
	}
	for after := range n + 1 { // a replay of what has ended, from everywhere
		s := transcript{last: after}
		must(t, there.Follow(t.Context(), a, after, s.give))
		if !strings.HasSuffix(want, s.String()) || s.last != n || s.gaps != nil {
			t.Errorf("from %d: %s", after, s.String())
		}
	}
	for _, r := range []*relay.Relay{here, there} {
		if known, waiting := relay.Known(r); known != 0 || waiting != 0 {
			t.Errorf("%d answers are not forgotten, %d bytes wait", known, waiting)
		}
	}
}

// An answer is nobody's but that session's and organisation's.
func TestAnswersOfOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	here, there := h.relay(t, relay.Options{}), h.relay(t, relay.Options{})
	a := h.answer(t, here)
	why := make(causes, 1)
	live := here.Begin(a, 0, why.cancel)
	defer func() {
		time.Sleep(300 * time.Millisecond) // a stop would have come
		if len(why) > 0 {
			t.Errorf("stopped: %v", <-why)
		}
		live.End()
	}()
	must(t, live.Text("x"))
	_, err := live.Flush(t.Context())
	must(t, err)
	for _, wrong := range []relay.Answer{
		{Organization: "org_other", Session: a.Session, Message: a.Message},
		{Organization: a.Organization, Session: "ses_other", Message: a.Message},
		{Organization: a.Organization, Session: a.Session, Message: "msg_other"},
	} {
		for _, r := range []*relay.Relay{here, there} {
			err := r.Follow(t.Context(), wrong, 0, func(e []relay.Event) error { return fmt.Errorf("given %v", e) })
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%v: %v", wrong, err)
			}
			must(t, r.Stop(t.Context(), wrong))
			if _, _, won, err := r.Claim(t.Context(), wrong); won || err != nil {
				t.Errorf("claim: %t, %v", won, err)
			}
		}
	}
}

// A stop is felt at once here, and soon where somebody else makes the answer.
func TestStop(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	here, there := h.relay(t, relay.Options{}), h.relay(t, relay.Options{})
	for name, by := range map[string]*relay.Relay{"here": here, "elsewhere": there} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := h.answer(t, here)
			why := make(causes, 1)
			live := here.Begin(a, 0, why.cancel)
			defer live.End()
			must(t, by.Stop(t.Context(), a))
			select {
			case err := <-why:
				if !errors.Is(err, relay.ErrStopped) {
					t.Error(err)
				}
			case <-time.After(time.Minute):
				t.Fatal("not stopped")
			}
			must(t, live.Text("the rest")) // what the model had said is kept
			n, err := live.Flush(t.Context())
			must(t, err)
			if !h.finish(t, here, a, "stopped", "the rest", n) {
				t.Error("lost")
			}
		})
	}
}

// A process that ends gives its answers to whoever reads them, who goes on.
func TestHandOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old, next, third := h.relay(t, relay.Options{}), h.relay(t, relay.Options{}), h.relay(t, relay.Options{})
	a := h.answer(t, old)
	why := make(causes, 1)
	live := old.Begin(a, 0, why.cancel)
	must(t, live.Text("One, "))
	var seen transcript
	gone := make(chan error, 1)
	go func() { gone <- next.Follow(t.Context(), a, 0, seen.give) }()
	must(t, live.Text("two, "))
	must(t, old.HandOver(t.Context()))
	if err := <-why; !errors.Is(err, relay.ErrHandedOver) {
		t.Error(err)
	}
	if err := live.Text("lost"); !errors.Is(err, relay.ErrHandedOver) {
		t.Errorf("text after it: %v", err)
	}
	live.End()
	if _, err := old.Producer(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("another answer may begin: %v", err)
	}
	if err := <-gone; !errors.Is(err, relay.ErrHandedOver) {
		t.Fatal(err)
	}
	var won int
	var logged int64
	var said string
	var by *relay.Relay
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, r := range []*relay.Relay{next, third, next, third} {
		all.Go(func() {
			n, text, mine, err := r.Claim(t.Context(), a)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if mine {
				won++
				logged, said, by = n, text, r
			}
		})
	}
	all.Wait()
	if won != 1 || said != "One, two, " {
		t.Fatalf("%d have won, %q", won, said)
	}
	go func() { gone <- next.Follow(t.Context(), a, seen.last, seen.give) }()
	live = by.Begin(a, logged, make(causes, 1).cancel)
	must(t, live.Text("three."))
	n, err := live.Flush(t.Context())
	must(t, err)
	if !h.finish(t, by, a, "complete", "One, two, three.", n) {
		t.Error("lost")
	}
	live.End()
	must(t, <-gone)
	if seen.gaps != nil || seen.String() != h.logged(t, a) || seen.text(t) != "One, two, three." {
		t.Errorf("%v %s", seen.gaps, seen.String())
	}
}

// What nobody goes on with ends after a minute.
// Who is leaving claims nothing, although it was asked to before it began to leave.
func TestNothingIsClaimedBehindAHandOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first, leaving := h.relay(t, relay.Options{}), h.relay(t, relay.Options{})
	a := h.answer(t, first)
	must(t, first.HandOver(t.Context()))
	h.exec(t, `UPDATE messages SET producer_id = NULL, handed_over_at = now() WHERE state = 'streaming'`) // they were no lives of first's
	h.answer(t, leaving)                                                                                  // it is alive
	free := relay.Occupy(leaving)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if _, _, won, err := leaving.Claim(t.Context(), a); won || err == nil {
			t.Errorf("claimed: %t, %v", won, err)
		}
	})
	eventually(t, "the claim waits for its turn", func() bool { return relay.Asked(leaving) })
	waiting.Go(func() {
		if err := leaving.HandOver(t.Context()); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "it leaves", func() bool { return relay.Leaves(leaving) })
	free()
	waiting.Wait()
	var nobodys bool
	must(t, h.db.QueryRow(t.Context(), `SELECT producer_id IS NULL FROM messages WHERE message_id = $1`, a.Message).Scan(&nobodys))
	if !nobodys {
		t.Error("the answer is of who has left")
	}
}

func TestHandedOverToNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old, next := h.relay(t, relay.Options{}), h.relay(t, relay.Options{})
	a, unread := h.answer(t, old), h.answer(t, old)
	live := old.Begin(a, 0, make(causes, 1).cancel)
	must(t, live.Text("One, "))
	must(t, live.Cite(json.RawMessage(`{"n":1}`)))
	must(t, old.HandOver(t.Context()))
	if s, err := relay.Sweep(t.Context(), h.pool(t)); err != nil || s.Interrupted != 0 {
		t.Errorf("too early: %+v, %v", s, err)
	}
	h.exec(t, `UPDATE messages SET handed_over_at = now() - interval '61 seconds'`)
	var seen transcript
	must(t, next.Follow(t.Context(), a, 0, seen.give))
	if got := h.get(t, a); got.State != "interrupted" || got.Content != "One, " || got.Citations != `[{"n": 1}]` || got.Events != seen.last || got.Problem == "" {
		t.Errorf("%+v", got)
	}
	if s, err := relay.Sweep(t.Context(), h.pool(t)); err != nil || s.Interrupted != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if got := h.get(t, unread); got.State != "failed" || got.Events != 0 {
		t.Errorf("%+v", got)
	}
}

// F46: whoever reads an answer of a process that was killed is told within ten
// seconds that it was interrupted, and the row has what anybody saw.
func TestKilled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	way := &process{Beginner: h.pool(t)}
	dead, here := h.relay(t, relay.Options{DB: way, Lease: time.Second}), h.relay(t, relay.Options{})
	a, alone := h.answer(t, dead), h.answer(t, dead)
	live := dead.Begin(a, 0, make(causes, 1).cancel)
	dead.Begin(alone, 0, make(causes, 1).cancel)
	must(t, live.Text("One, "))
	_, err := live.Flush(t.Context())
	must(t, err)
	h.aged(t)
	way.kill()
	must(t, live.Text("two"))
	var seen [3]transcript
	var readers sync.WaitGroup
	began := time.Now()
	for i := range seen {
		readers.Go(func() {
			if err := here.Follow(t.Context(), a, 0, seen[i].give); err != nil {
				t.Error(err)
			}
		})
	}
	readers.Wait()
	if took := time.Since(began); took > 30*time.Second { // 2 s, on a machine that does nothing else
		t.Errorf("after %v", took)
	}
	if got := h.get(t, a); got.State != "interrupted" || got.Content != "One, " || got.Events != 1 || !strings.Contains(got.Problem, "stopped") {
		t.Errorf("%+v", got)
	}
	for i := range seen {
		if seen[i].String() != h.logged(t, a) {
			t.Errorf("reader %d: %s", i, seen[i].String())
		}
	}
	if s, err := relay.Sweep(t.Context(), h.pool(t)); err != nil || s.Interrupted != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if got := h.get(t, alone); got.State != "failed" {
		t.Errorf("%+v", got)
	}
}

// aged has the database look as if it had been up for long: after a restart
// processes are given time to say that they live.
func (h *house) aged(t testing.TB) {
	t.Helper()
	eventually(t, "the database is up for a while", func() bool {
		var old bool
		must(t, h.db.QueryRow(context.Background(), `SELECT pg_postmaster_start_time() < now() - interval '6 seconds'`).Scan(&old))
		return old
	})
}
