package backup_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/backup"
	"lectern.dev/lectern/internal/llm/llmtest"
)

func TestIsAStreamer(t *testing.T) {
	t.Parallel()
	fake := func() *llm.Fake {
		return &llm.Fake{Answer: func(llm.Request) (llm.Response, error) { return llm.Response{Text: "one two three"}, nil }}
	}
	broken := &llm.Fake{}
	broken.Fail(down)
	t.Run("the first answers", func(t *testing.T) { llmtest.RunStream(t, backup.New(fake(), fake(), backup.Options{}), question) })
	t.Run("the second answers", func(t *testing.T) { llmtest.RunStream(t, backup.New(broken, fake(), backup.Options{}), question) })
}

// F40: what another model can make good goes to it, and nothing else does.
func TestWhoAnswers(t *testing.T) {
	t.Parallel()
	cut := llm.Used(down)
	for name, c := range map[string]struct {
		first, second line
		text          string
		err           error
		tries         llm.Tries
		whole         llm.Tries // of Complete, when it differs
	}{
		"the first":                       {text: "first answers", tries: llm.Tries{Calls: 1}},
		"down":                            {first: line{err: down}, text: "second answers", tries: llm.Tries{Calls: 2, Backup: true}},
		"down after a while":              {first: line{err: down, after: time.Second}, text: "second answers", tries: llm.Tries{Calls: 2, Backup: true}},
		"cut before it spoke":             {first: line{err: cut}, text: "second answers", tries: llm.Tries{Calls: 2, Backup: true}},
		"out of quota":                    {first: line{err: quota}, text: "second answers", tries: llm.Tries{Calls: 2, Backup: true}},
		"a wrong request":                 {first: line{err: wrong}, err: wrong, tries: llm.Tries{Calls: 1}},
		"nothing left to spend":           {first: line{err: fault.New(fault.PaymentRequired, "spent")}, err: fault.New(fault.PaymentRequired, "spent"), tries: llm.Tries{Calls: 1}},
		"the ledger is down":              {first: line{err: llm.NotAsked(down)}, err: down},
		"our own mistake":                 {first: line{err: errors.New("oh")}, err: errors.New("oh"), tries: llm.Tries{Calls: 1}},
		"both down":                       {first: line{err: down}, second: line{err: fault.New(fault.Unavailable, "also")}, err: down, tries: llm.Tries{Calls: 2}},
		"both, the second can come again": {first: line{err: quota}, second: line{err: down}, err: down, tries: llm.Tries{Calls: 2}},
		"the second cannot be paid":       {first: line{err: down}, second: line{err: llm.NotAsked(wrong)}, err: down, tries: llm.Tries{Calls: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := backup.New(&voice{name: "first", lines: []line{c.first}}, &voice{name: "second", lines: []line{c.second}}, backup.Options{})
				got := hear(t, t.Context(), m)
				if got.text != c.text || !same(got.err, c.err) || got.resp.Tries != c.tries {
					t.Errorf("%q, %v, %+v", got.text, got.err, got.resp.Tries)
				}
				whole, err := m.Complete(t.Context(), question)
				if err == nil && whole.Text != c.text || !same(err, c.err) || whole.Tries != c.tries {
					t.Errorf("whole: %q, %v, %+v", whole.Text, err, whole.Tries)
				}
				if who, _, _ := strings.Cut(c.text, " "); who != "" && (got.resp.Model != who || whole.Model != who) {
					t.Errorf("%s answered, not %s", got.resp.Model, who)
				}
			})
		})
	}
}

func same(got, want error) bool {
	if got == nil || want == nil {
		return got == want
	}
	return strings.Contains(got.Error(), want.Error()) && fault.KindOf(got) == fault.KindOf(want)
}

// No first token in time: both are asked, who speaks first goes on, the other is
// stopped, and nothing of it is heard.
func TestTheFirstToSpeakWins(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second line
		text          string
		token         time.Duration
		err           error
	}{
		"the second":                         {first: line{after: time.Hour}, second: line{after: time.Second}, text: "second answers", token: 6 * time.Second},
		"the first, after all":               {first: line{after: 6 * time.Second, gap: time.Minute}, second: line{after: time.Hour}, text: "first answers", token: 6 * time.Second},
		"the first, while the second begins": {first: line{after: 6 * time.Second, gap: time.Minute}, second: line{after: 2 * time.Second}, text: "first answers", token: 6 * time.Second},
		"the first, since the second fails":  {first: line{after: 7 * time.Second}, second: line{err: down}, text: "first answers", token: 7 * time.Second},
		"the second, since the first fails":  {first: line{after: 7 * time.Second, err: wrong}, second: line{after: time.Minute}, text: "second answers", token: 65 * time.Second},
		"neither":                            {first: line{after: 7 * time.Second, err: down}, second: line{after: time.Minute, err: wrong}, err: down},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first, second := &voice{name: "first", lines: []line{c.first}}, &voice{name: "second", lines: []line{c.second}}
				got := hear(t, t.Context(), backup.New(first, second, backup.Options{}))
				if got.text != c.text || got.first != c.token || !same(got.err, c.err) {
					t.Errorf("%q after %v, %v", got.text, got.first, got.err)
				}
				if want := (llm.Tries{Calls: 2, Hedged: true, Backup: strings.HasPrefix(c.text, "second")}); got.resp.Tries != want {
					t.Errorf("%+v", got.resp.Tries)
				}
				if n := first.active.Load() + second.active.Load(); n != 0 {
					t.Errorf("%d calls go on after the answer", n)
				}
			})
		})
	}
}

// What was shown stays: the other model does not begin again.
func TestBrokenAfterItSpoke(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		second := &voice{name: "second"}
		got := hear(t, t.Context(), backup.New(&voice{name: "first", lines: []line{{text: "Owls have", breaks: llm.Used(down)}}}, second, backup.Options{}))
		if got.text != "Owls have" || !fault.Is(got.err, fault.Unavailable) || !llm.MayBeUsed(got.err) || got.resp.Model != "first" {
			t.Errorf("%+v", got)
		}
		if n, _ := second.count(); n != 0 {
			t.Errorf("the second was asked %d times", n)
		}
	})
}

// Stopped by who asked: both calls end, and at once.
func TestTheCallerGoes(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]time.Duration{"before both": time.Second, "during both": 7 * time.Second, "while it speaks": 11 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first := &voice{name: "first", lines: []line{{after: 10 * time.Second, gap: time.Hour}}}
				second := &voice{name: "second", lines: []line{{after: time.Hour}}}
				ctx, cancel := context.WithTimeout(t.Context(), at)
				defer cancel()
				got := hear(t, ctx, backup.New(first, second, backup.Options{}))
				if got.took != at || !fault.Is(got.err, fault.Unavailable) {
					t.Errorf("after %v: %v", got.took, got.err)
				}
				if n := first.active.Load() + second.active.Load(); n != 0 {
					t.Errorf("%d calls go on", n)
				}
			})
		})
	}
}

// A call that does not notice that it is cancelled does not hold up the answer.
func TestADeafLoser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		second := deaf{&voice{name: "second", lines: []line{{after: time.Minute}}}}
		got := hear(t, t.Context(), backup.New(&voice{name: "first", lines: []line{{after: 6 * time.Second}}}, second, backup.Options{}))
		if got.text != "first answers" || got.took > 7*time.Second || got.resp.Tries.Calls != 2 {
			t.Errorf("%+v", got)
		}
		time.Sleep(time.Hour) // its words come to nobody: hear says so
	})
}

type deaf struct{ *voice }

func (d deaf) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	return d.voice.Stream(context.WithoutCancel(ctx), req, emit)
}

// A panic comes to who asked, where it can be caught, and not to the whole process.
func TestAPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := &voice{name: "first", lines: []line{{after: time.Hour}}}
		defer func() {
			if p := recover(); p == nil || !strings.Contains(p.(error).Error(), "the model panics") {
				t.Errorf("recovered %v", p)
			}
			synctest.Wait()
			if n := first.active.Load(); n != 0 {
				t.Errorf("%d calls go on", n)
			}
		}()
		hear(t, t.Context(), backup.New(first, &voice{name: "second", lines: []line{{panics: true}}}, backup.Options{}))
	})
}

// A model that is done and had nothing to say has answered.
func TestNothingToSay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := &llm.Fake{Answer: func(llm.Request) (llm.Response, error) { return llm.Response{}, nil }}
		second := &voice{name: "second"}
		resp, err := backup.New(first, second, backup.Options{}).Stream(t.Context(), question, func(llm.Piece) error { return nil })
		if err != nil || resp.Text != "" || resp.Model != "fake" || resp.Finish != llm.Stop {
			t.Errorf("%+v, %v", resp, err)
		}
	})
}
