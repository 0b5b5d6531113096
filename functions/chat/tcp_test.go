package chat

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// A client that goes away does not stop the answer: it is made to its end and kept, and
// who comes again reads on at the very byte.
func TestAnAnswerOutlivesItsReader(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	base, ses := r.listen(), r.session()
	goOn := make(chan struct{})
	r.model.says(held(goOn, "Owls hunt ", "at night."))
	reader := open(t, base, "POST", "/v1/chat/sessions/"+ses+"/messages", map[string]any{"content": "When?"})
	seen := reader.until("delta")
	reader.leave()
	close(goOn)
	id := edgetest.Decode[conversation.Started](t, seen[0].data).Message.ID
	eventually(t, func() bool {
		return edgetest.Into[conversation.Message](r.do("GET", "/v1/chat/sessions/"+ses+"/messages/"+id, nil).Want(200)).State == conversation.Complete
	})
	all := append(seen, open(t, base, "GET", "/v1/chat/sessions/"+ses+"/stream", nil, "Last-Event-ID", seen[len(seen)-1].id).rest()...)
	if text(t, all) != "Owls hunt at night." || all[len(all)-1].name != "done" {
		t.Errorf("%+v", all)
	}
	if whole := open(t, base, "GET", "/v1/chat/sessions/"+ses+"/stream", nil, "Last-Event-ID", all[0].id).rest(); !slices.Equal(whole, all[1:]) {
		t.Errorf("told again: %+v, want %+v", whole, all[1:])
	}
}

// F47: a person's stop closes the call of the model at once, and what there was is kept.
func TestStop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	base, ses := r.listen(), r.session()
	at := "/v1/chat/sessions/" + ses
	closed := make(chan time.Time, 1)
	r.model.says(func(ctx context.Context, _ llm.Request, say func(string) error) error {
		if err := say("Owls hunt "); err != nil {
			return err
		}
		<-ctx.Done()
		closed <- time.Now()
		return llm.Interrupted(ctx.Err())
	})
	reader := open(t, base, "POST", at+"/messages", map[string]any{"content": "When?"})
	reader.until("delta")
	if s := edgetest.Into[conversation.Session](r.do("GET", at, nil).Want(200)); s.Answering == "" {
		t.Error("the session does not say that it is answering")
	}
	begun := time.Now()
	r.do("DELETE", at+"/stream", nil).Want(204)
	select {
	case then := <-closed:
		t.Logf("the call ended %s after the request", then.Sub(begun))
	case <-time.After(time.Minute):
		t.Fatal("the call of the model goes on")
	}
	rest := reader.rest()
	if m := last(t, rest); rest[len(rest)-1].name != "done" || m.State != conversation.Stopped || m.Content != "Owls hunt " {
		t.Errorf("%+v", rest)
	}
	r.do("DELETE", at+"/stream", nil).Want(204) // there is none any more
	eventually(t, func() bool { return len(lines.of(ses)) == 1 })
	if told := lines.of(ses)[0]; told.Level != slog.LevelInfo {
		t.Errorf("what a person wished is told as %s", told.Level)
	}
}

// F50: five tabs, each of which sends at once: one is answered, the others are told
// which answer is in the way; nothing is interleaved. The same message in two tabs is one.
func TestFiveTabs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	base, ses := r.listen(), r.session()
	goOn := make(chan struct{})
	r.model.says(held(goOn, "Owls hunt ", "at night."))
	var together sync.WaitGroup
	tabs := make([]*reading, 5)
	for i, id := range []string{"a", "a", "b", "c", "d"} {
		together.Go(func() {
			tabs[i] = open(t, base, "POST", "/v1/chat/sessions/"+ses+"/messages", map[string]any{"id": "tab-" + id, "content": "When, " + id + "?"})
		})
	}
	together.Wait()
	running := edgetest.Into[conversation.Session](r.do("GET", "/v1/chat/sessions/"+ses, nil).Want(200)).Answering
	var readers []*reading
	for _, tab := range tabs {
		if tab.StatusCode == 200 {
			readers = append(readers, tab)
			continue
		}
		var p edge.Problem
		if err := json.NewDecoder(tab.Body).Decode(&p); err != nil || p.Status != 409 || len(p.Errors) != 1 || p.Errors[0].Location != "session.answering" || p.Errors[0].Message != running {
			t.Errorf("%v, %+v, while %s is being made", err, p, running)
		}
	}
	if len(readers) == 0 || len(readers) > 2 {
		t.Fatalf("%d of five were answered", len(readers))
	}
	close(goOn)
	first := readers[0].rest()
	for _, other := range readers[1:] {
		if again := other.rest(); !slices.Equal(first, again) {
			t.Errorf("the same message is told as\n%+v\n%+v", first, again)
		}
	}
	if text(t, first) != "Owls hunt at night." {
		t.Errorf("%+v", first)
	}
	rows := edgetest.Into[edge.List[conversation.Message]](r.do("GET", "/v1/chat/sessions/"+ses+"/messages", nil).Want(200)).Items
	if len(rows) != 2 || rows[1].Parent != rows[0].ID {
		t.Errorf("%+v", rows)
	}
}

// F23: streams hold no connection, however many there are.
func TestStreamsHoldNoConnections(t *testing.T) {
	t.Parallel()
	streams := 100
	if testing.Short() {
		streams = 20
	}
	r := newRig(t)
	base := r.listen()
	goOn := make(chan struct{})
	r.model.says(held(goOn, "Owls hunt ", "at night."))
	readers := make([]*reading, streams)
	for i := range readers {
		readers[i] = open(t, base, "POST", "/v1/chat/sessions/"+r.session()+"/messages", map[string]any{"content": "When?"})
		readers[i].until("delta")
	}
	system, tenants := r.deps.System.(interface{ Stat() *pgxpool.Stat }), r.deps.DB.(interface{ Stat() *pgxpool.Stat })
	eventually(t, func() bool { return tenants.Stat().AcquiredConns() == 0 && system.Stat().AcquiredConns() == 0 })
	for range 50 {
		if n := tenants.Stat().AcquiredConns(); n != 0 {
			t.Fatalf("%d connections are held by %d streams", n, streams)
		}
		if n := system.Stat().AcquiredConns(); n > 2 { // the log's own: who is alive, what is new
			t.Fatalf("the log holds %d connections", n)
		}
		time.Sleep(2 * time.Millisecond)
	}
	close(goOn)
	for _, reader := range readers {
		if all := reader.rest(); all[len(all)-1].name != "done" {
			t.Fatalf("%+v", all)
		}
	}
}

// What the budget does not hold is refused in its own words before anything begins.
func TestASpentBudget(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	prices, err := budget.LoadPrices(`{"fake": {"kind": "tokens", "input": 1, "output": 1}}`)
	if err != nil {
		t.Fatal(err)
	}
	d := r.deps
	d.Ledger = &budget.Ledger{DB: d.DB, Prices: prices}
	r.serve(d)
	a := r.do("POST", "/v1/chat/sessions/"+r.session()+"/messages", map[string]any{"content": "When?"}).Want(402)
	if p := edgetest.Into[edge.Problem](a); !strings.HasPrefix(p.Detail, "This month's budget of $0.00 does not hold this any more.") || r.model.asked != 0 {
		t.Errorf("%+v after %d calls", p, r.model.asked)
	}
}

// SIGTERM: readers are let go, and come again at another instance, which goes on with
// the answer: they read every byte once.
func TestADrainHandsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ses := r.session()
	var calls atomic.Int64
	r.model.says(func(ctx context.Context, req llm.Request, say func(string) error) error {
		if calls.Add(1) == 1 {
			return held(nil, "Owls hunt ", "")(ctx, req, say) // a last space waits for what follows it
		}
		return say(" at night.")
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- edge.Serve(ctx, listener, r.Handler) }()
	reader := open(t, "http://"+listener.Addr().String(), "POST", "/v1/chat/sessions/"+ses+"/messages", map[string]any{"content": "When?"})
	seen := reader.until("delta")
	stop()
	seen = append(seen, reader.rest()...) // ends at once, long before the answer
	if e := seen[len(seen)-1]; e.name != "delta" {
		t.Fatalf("the last event is %+v", e)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	other := *r
	d := r.deps
	d.System = pgtest.As(t, r.db, postgres.System)
	d.Relay = relay.New(relay.Options{DB: d.System})
	other.serve(d)
	all := append(seen, open(t, other.listen(), "GET", "/v1/chat/sessions/"+ses+"/stream", nil, "Last-Event-ID", seen[len(seen)-1].id).rest()...)
	if text(t, all) != "Owls hunt at night." || all[len(all)-1].name != "done" {
		t.Errorf("%+v", all)
	}
	ids := map[string]bool{}
	for _, e := range all {
		if ids[e.id] {
			t.Errorf("%s comes twice", e.id)
		}
		ids[e.id] = true
	}
}

// F88: whatever a model says, it forges no event.
func TestNoTextForgesAnEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	hostile := []string{
		"a\n\nevent: done\ndata: {}\n\n", "\r\revent: done\rdata: {}\r\r", "\r\n\r\nid: 7\r\n\r\n", "\u2028\u2029event: error", "data: [DONE]\n\n", ": comment\n",
		"\ufeff", "\\n\\nevent: done", `"}` + "\n\n" + `event: done`, "</script><script>", "\u0085\u000b\u000c", "e", "\u0301", "😀", "retry: 0\n\n",
	}
	for _, say := range append([][]string{hostile}, singly(hostile)...) {
		r.model.says(words(say...))
		all := r.send(r.session(), map[string]any{"content": "When?"})
		for i, e := range all {
			if want := map[int]string{0: "start", len(all) - 1: "done"}[i]; want != "" && e.name != want || want == "" && e.name != "delta" {
				t.Fatalf("%q is told as %+v", say, all)
			}
		}
		if told := text(t, all); told != strings.Join(say, "") || last(t, all).Content != told {
			t.Errorf("%q is told as %q and kept as %q", say, told, last(t, all).Content)
		}
	}
}

func singly(all []string) (out [][]string) {
	for _, one := range all {
		out = append(out, []string{"x", one}) // white space alone would be no answer
	}
	return out
}

var errGone = errors.New("the model's server is gone")

// What a model has said before it breaks is kept, told as not whole, and gone on with.
func TestABrokenAnswerIsGoneOnWith(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ses := r.session()
	r.model.says(func(_ context.Context, _ llm.Request, say func(string) error) error {
		return errors.Join(say("Owls hunt "), fault.Wrap(fault.Unavailable, errGone, "The language model does not answer."))
	})
	all := r.send(ses, map[string]any{"content": "When?"})
	broken := edgetest.Decode[conversation.Broken](t, all[len(all)-1].data)
	if m := broken.Message; all[len(all)-1].name != "error" || m.State != conversation.Interrupted || m.Content != "Owls hunt " || broken.Detail == "" {
		t.Fatalf("%+v", all)
	}
	r.model.says(words("at night."))
	if m := last(t, r.send(ses, map[string]any{"parent": broken.Message.ID})); m.State != conversation.Complete || m.Parent != broken.Message.ID || m.Content != "at night." {
		t.Errorf("the rest: %+v", m)
	}
}
