package conversation

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// From behind every event, in the process that made the answer and in another, while it
// is made and after it has ended, a reader is sent the same bytes.
func TestReadingOn(t *testing.T) {
	t.Parallel()
	step := make(chan struct{})
	m := &scripted{stream: func(ctx context.Context, _ llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
		for _, p := range []string{"Green tea is not oxidised [p1]. ", "Switches ", "connect devices by cable [p1]. ", "The end.\n\nevent: done\ndata: {}\r\u2028"} {
			if err := emit(llm.Piece{Text: p}); err != nil {
				return llm.Response{}, err
			}
			select {
			case <-step:
			case <-ctx.Done():
				return llm.Response{}, ctx.Err()
			}
		}
		return llm.Response{Model: "fake", Finish: llm.Stop, Usage: llm.Usage{Input: 3, Output: 4}}, nil
	}}
	d := newDesk(t, m)
	d.sampleCourse(t)
	other := d.process(t, m)
	s := d.on(t, ann, NewSession{})
	turn, err := d.tutor.Send(as(t, ann), ann, s.ID, Prompt{Content: "What connects devices by cable?"})
	if err != nil {
		t.Fatal(err)
	}
	live := make([]*heard, 2)
	var readers sync.WaitGroup
	for i, tutor := range []*Tutor{d.tutor, other} {
		read := follow(t, tutor, ann, s.ID, "", "") // while it is made: the last step is still to come
		readers.Go(func() { live[i] = listen(t, ann, read) })
	}
	said := int64(0)
	for range 4 { // what was said is logged before more is
		for logged := said; logged == said; time.Sleep(time.Millisecond) {
			logged = d.number(t, `SELECT count(*) FROM stream_events`)
		}
		said = d.number(t, `SELECT count(*) FROM stream_events`)
		step <- struct{}{}
	}
	readers.Wait()
	want := live[0].bytes(t)
	if live[1].bytes(t) != want {
		t.Errorf("in another process:\n%s\nwant\n%s", live[1].bytes(t), want)
	}
	ended := live[0].message()
	if ended.State != Complete || len(ended.Citations) == 0 || ended.TTFB == nil || !strings.Contains(live[0].text, "[1]") || ended.Usage == nil {
		t.Errorf("%+v", ended)
	}
	fresh := d.process(t, m) // remembers nothing
	lines := strings.SplitAfter(want, "\n")
	if len(lines) < 6 {
		t.Fatalf("%d events", len(lines))
	}
	for i, e := range live[0].events {
		for name, tutor := range map[string]*Tutor{"here": d.tutor, "there": other, "anew": fresh} {
			if got := hear(t, tutor, ann, s.ID, "", e.ID).bytes(t); got != strings.Join(lines[i+1:], "") {
				t.Errorf("%s, behind %s:\n%s\nwant\n%s", name, e.ID, got, strings.Join(lines[i+1:], ""))
			}
		}
	}
	for name, c := range map[string]struct {
		answer, last string
		kind         fault.Kind
	}{
		"another's id":     {"", "msg_other.3", fault.NotFound},
		"a question":       {turn.Question.ID, "", fault.NotFound},
		"no id of ours":    {"", "17", fault.Invalid},
		"a negative place": {"", turn.Answer.ID + ".-1", fault.Invalid},
		"no number":        {"", turn.Answer.ID + ".x", fault.Invalid},
	} {
		if _, err := d.tutor.Follow(as(t, ann), ann, s.ID, c.answer, c.last); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = d.tutor.Follow(as(t, bob), bob, s.ID, turn.Answer.ID, "")
	wantKind(t, err, fault.NotFound)
	if read, err := d.tutor.Follow(as(t, ann), ann, s.ID, "", ""); read != nil || err != nil {
		t.Errorf("nothing is being made: %v", err)
	}
}

// Another's answer is not there while it is made either.
func TestOthersSeeNothing(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	d := newDesk(t, &scripted{stream: func(ctx context.Context, _ llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
		<-hold
		return llm.Response{Finish: llm.Stop}, emit(llm.Piece{Text: "ok"})
	}})
	s := d.on(t, ann, NewSession{})
	turn, err := d.tutor.Send(as(t, ann), ann, s.ID, Prompt{Content: "x"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.tutor.Follow(as(t, bob), bob, s.ID, turn.Answer.ID, "")
	wantKind(t, err, fault.NotFound)
	_, err = d.tutor.Follow(as(t, eve), eve, s.ID, turn.Answer.ID, turn.Answer.ID+".0")
	wantKind(t, err, fault.NotFound)
	close(hold)
	hear(t, d.tutor, ann, s.ID, turn.Answer.ID, "")
}

// F13: a process that ends hands its answers over; who reads on elsewhere has them gone
// on with there, and what was shown stays as it was.
func TestHandedOver(t *testing.T) {
	t.Parallel()
	const beginning = "A router joins two networks [p1]. It passes pack"
	first := &scripted{stream: func(ctx context.Context, _ llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
		if err := emit(llm.Piece{Text: beginning}); err != nil {
			return llm.Response{}, err
		}
		<-ctx.Done()
		return llm.Response{}, llm.Interrupted(ctx.Err())
	}}
	second := says(nil, "It passes pack", "ets on [p1]", ". That is all.")
	d := newDesk(t, first)
	d.sampleCourse(t)
	s := d.on(t, ann, NewSession{})
	turn, err := d.tutor.Send(as(t, ann), ann, s.ID, Prompt{Content: "What does a router join?", MaxTokens: 200, Extra: someWishes})
	if err != nil {
		t.Fatal(err)
	}
	read, err := d.tutor.Follow(as(t, ann), ann, s.ID, turn.Answer.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	before := &heard{}
	shown := make(chan struct{})
	left := make(chan error)
	go func() {
		left <- read(as(t, ann), func(e Event) error {
			err := before.take(e)
			if strings.HasSuffix(before.text, "pack") {
				close(shown)
			}
			return err
		})
	}()
	<-shown
	waiting := make(chan *heard)
	other := d.process(t, second)
	there := follow(t, other, ann, s.ID, "", "")
	go func() { waiting <- listen(t, ann, there) }() // was reading there all the time
	d.tutor.margin = time.Hour                       // all of the time to drain is for handing over, however long that takes
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d.tutor.Drain(ctx)
	if err := <-left; err == nil {
		t.Error("the reader was told an end")
	}
	after := hear(t, other, ann, s.ID, "", before.events[len(before.events)-1].ID)
	if got := before.text + after.text; got != "A router joins two networks [1]. It passes packets on [1]. That is all." && !strings.HasPrefix(got, "A router joins two networks [1]. It passes packets on [") {
		t.Errorf("%q", got)
	}
	all := <-waiting
	if all.bytes(t) != before.bytes(t)+after.bytes(t) {
		t.Errorf("%s\nis not\n%s%s", all.bytes(t), before.bytes(t), after.bytes(t))
	}
	m := all.message()
	if m.State != Complete || m.Content != all.text || len(m.Citations) == 0 || m.Model != "fake" {
		t.Errorf("%+v", m)
	}
	asked := second.requests()
	if len(asked) != 1 {
		t.Fatalf("asked %d times", len(asked))
	}
	parts := llm.EstimateText(before.text) + 1 + len("It passes packets on [p1]. That is all.")/4 // see says
	if want := (Usage{int64(llm.EstimateTokens(asked[0])), int64(parts)}); *m.Usage != want {
		t.Errorf("it has used %+v, and not %+v", *m.Usage, want)
	}
	second.wantWishes(t, "the rest", 200-llm.EstimateText(beginning), someWishes)
	n := len(asked[0].Messages)
	if prefix := asked[0].Messages[n-2]; prefix.Role != llm.Assistant || prefix.Text != beginning || asked[0].Messages[n-1].Text != goOn {
		t.Errorf("%+v", asked[0].Messages[n-2:])
	}
}

// Drain waits for answers that are nearly done.
func TestDrainWaits(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	d := newDesk(t, &scripted{stream: func(ctx context.Context, _ llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
		close(begun)
		time.Sleep(200 * time.Millisecond)
		return llm.Response{Model: "fake", Finish: llm.Stop}, emit(llm.Piece{Text: "done"})
	}})
	s := d.on(t, ann, NewSession{})
	turn, err := d.tutor.Send(as(t, ann), ann, s.ID, Prompt{Content: "x"})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	began := time.Now()
	d.tutor.Drain(ctx)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if m, err := GetMessage(as(t, ann), d.db, ann, s.ID, turn.Answer.ID); err != nil || m.State != Complete || m.Content != "done" {
		t.Errorf("%+v %v", m, err)
	}
}

// An answer that broke off is gone on with in a message of its own, from where it ended.
func TestGoingOn(t *testing.T) {
	t.Parallel()
	m := &scripted{}
	m.stream = says(errBroke, "A router joins two networks [p1]. It ", "passes").stream
	d := newDesk(t, m)
	d.sampleCourse(t)
	s := d.on(t, ann, NewSession{})
	broken := d.ask(t, ann, s.ID, Prompt{Content: "What does a router do?"}).message()
	if broken.State != Interrupted {
		t.Fatalf("%+v", broken)
	}
	m.stream = says(nil, " packets on [p1].").stream
	h := d.ask(t, ann, s.ID, Prompt{Parent: broken.ID})
	got := h.message()
	if got.State != Complete || got.Parent != broken.ID || got.Content != " packets on [1]." {
		t.Errorf("%+v", got)
	}
	req := m.requests()[1]
	if prefix := req.Messages[len(req.Messages)-2].Text; prefix != "A router joins two networks [p1]. It passes" {
		t.Errorf("%q", prefix)
	}
	// Another answer to the question is a branch beside both.
	m.stream = says(nil, "Another one.").stream
	again := d.ask(t, ann, s.ID, Prompt{Parent: broken.Parent}).message()
	if again.Parent != broken.Parent || again.Content != "Another one." {
		t.Errorf("%+v", again)
	}
	if req := m.requests()[2]; len(req.Messages) != 2 { // what was asked in this session is no memory worth telling
		t.Errorf("%+v", req.Messages)
	}
}
