package instances

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lectern.dev/lectern/internal/id"
)

// begun is an answer that is being made on an instance, with somebody who asked and
// has seen some of it: the transcript is theirs until they have ended, and begins with start.
func (h *house) begun(i *instance, n, pause int) (session string, start event, asker *transcript, ended chan error) {
	session = h.session()
	question := fmt.Sprintf(`{"id":%q,"content":"%d words, one every %d ms"}`, id.New(id.Message), n, pause)
	asker, ended = &transcript{}, make(chan error, 1)
	some := make(chan event, 1)
	go func() {
		_, err := h.listenFor(context.Background(), patient, i, session, question, "", func(e event) error {
			defer func() {
				if len(asker.events) == 4 {
					some <- asker.events[0]
				}
			}()
			return asker.give(e)
		})
		ended <- err
	}()
	select {
	case start = <-some:
	case <-time.After(time.Minute):
		h.t.Fatal("no answer comes")
	}
	return session, start, asker, ended
}

// resume reads on with somebody until the end, wherever that is.
func (h *house) resume(i *instance, session string, seen *transcript) {
	for began := time.Now(); !seen.over(); {
		if time.Since(began) > 3*time.Minute {
			h.t.Errorf("no end comes: %s", seen)
			return
		}
		if _, err := h.listen(context.Background(), i, session, "", seen.last().id, seen.give); err != nil {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func (h *house) same(seen ...*transcript) row {
	got := h.row(seen[0].answer(""))
	for i, s := range seen {
		if s.wrong != nil || s.String() != seen[0].String() || s.text() != got.Content || int64(len(s.events)) != got.Events+2 {
			h.t.Errorf("reader %d: %q\n%s\nthe first:\n%s\nthe row: %+v", i, s.wrong, s, seen[0], got)
		}
	}
	return got
}

// F46: within ten seconds after its instance was killed, whoever follows an answer is
// told that it was interrupted, and has what everybody saw; it can be gone on with.
func TestKilled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	one, two := h.start(), h.start()
	time.Sleep(6 * time.Second) // the database's own grace after its start is over
	session, _, asker, gone := h.begun(one, 10_000, 20)
	var others [3]transcript
	var all sync.WaitGroup
	for i := range others {
		all.Go(func() { h.resume(two, session, &others[i]) })
	}
	eventually(t, func() bool { return h.events(session) > 20 })
	one.signal(syscall.SIGKILL)
	killed := watch()
	<-gone
	all.Go(func() { h.resume(two, session, asker) })
	all.Wait()
	t.Logf("told after %v", killed.within(t, 10*time.Second, time.Now(), "told"))
	got := h.same(asker, &others[0], &others[1], &others[2])
	if got.State != "interrupted" || asker.last().name != "error" {
		t.Errorf("%+v, %+v", got, asker.last())
	}
	var rest transcript
	status, err := h.listenFor(t.Context(), patient, two, session, fmt.Sprintf(`{"parent":%q}`, asker.answer("")), "", func(e event) error {
		if err := rest.give(e); err != nil || len(rest.events) < 10 {
			return err
		}
		return errGoing
	})
	if status != 200 || err == nil {
		t.Errorf("%d, %v", status, err)
	}
	var last int
	for _, w := range strings.Fields(got.Content) {
		_, _ = fmt.Sscanf(w, "w%d", &last)
	}
	if want := fmt.Sprintf("w%d ", last+1); !strings.HasPrefix(strings.TrimLeft(rest.text(), " "), want) {
		t.Errorf("it goes on with %q, want %s", rest.text(), want)
	}
}

// F13: an instance that is told to end is gone within eight seconds; whoever reads
// its answer comes again elsewhere, where it is gone on with, and misses nothing.
func TestToldToEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	one, two := h.start(), h.start()
	session, _, asker, gone := h.begun(one, 500, 30)
	reading, ending := watch(), watch()
	one.signal(syscall.SIGTERM)
	if err := <-gone; err != nil {
		t.Logf("the reader was let go: %v", err)
	}
	reading.within(t, 3*time.Second, time.Now(), "the reader was let go")
	before := len(asker.events)
	h.resume(two, session, asker)
	select {
	case <-one.exited:
	default:
		t.Error("the answer was over before the instance was gone")
	}
	<-one.exited
	ending.within(t, 8*time.Second, one.at, "it ended")
	var again transcript
	again.events = append(again.events, asker.events[0])
	h.resume(two, session, &again)
	got := h.same(asker, &again)
	if want := strings.Join(words(0, 500), ""); got.State != "complete" || got.Content != want {
		at := 0
		for at < min(len(want), len(got.Content)) && want[at] == got.Content[at] {
			at++
		}
		t.Errorf("%s after %d events before and %d in all; it is wrong from byte %d on: %.80q", got.State, before, len(asker.events), at, got.Content[max(0, at-20):])
	}
}

// An instance that was frozen for longer than its lease says nothing that others do
// not know, to its own readers neither.
func TestFrozen(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	one, two := h.start(), h.start()
	time.Sleep(6 * time.Second)
	session, start, asker, gone := h.begun(one, 10_000, 20)
	one.signal(syscall.SIGSTOP)
	other := transcript{events: []event{start}}
	h.resume(two, session, &other)
	one.signal(syscall.SIGCONT)
	<-gone // because it is told the end
	h.resume(one, session, asker)
	if got := h.same(&other, asker); got.State != "interrupted" {
		t.Errorf("%+v", got)
	}
}

// events counts what the log has of a session's answer.
func (h *house) events(session string) (n int) {
	_ = h.db.QueryRow(context.Background(), `SELECT count(*) FROM stream_events e JOIN messages m USING (message_id) WHERE m.session_id = $1`, session).Scan(&n)
	return n
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("it does not come")
		}
	}
}
