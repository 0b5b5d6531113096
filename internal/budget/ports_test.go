package budget_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/speech"
)

func ask(text string, most int) llm.Request {
	return llm.Request{Messages: []llm.Message{{Role: llm.User, Text: text}}, MaxTokens: most}
}

// What a model says about its usage is believed as far as it can be true.
func TestUsageIsPlausible(t *testing.T) {
	t.Parallel()
	question := strings.Repeat("word ", 80) // 400 bytes: about 104 tokens, at most 432
	for name, c := range map[string]struct {
		reply   llm.Response
		err     error
		in, out int64
	}{
		"reported":                     {reply: llm.Response{Text: "fine", Usage: llm.Usage{Input: 90, Output: 30}}, in: 90, out: 30},
		"missing":                      {reply: llm.Response{Text: strings.Repeat("x", 40)}, in: 104, out: 10},
		"only the output missing":      {reply: llm.Response{Text: strings.Repeat("x", 40), Usage: llm.Usage{Input: 90}}, in: 90, out: 10},
		"far too little":               {reply: llm.Response{Text: strings.Repeat("x", 400), Usage: llm.Usage{Input: 1, Output: 1}}, in: 104, out: 100},
		"negative":                     {reply: llm.Response{Text: "x", Usage: llm.Usage{Input: -5, Output: -5}}, in: 104, out: 1},
		"far too much":                 {reply: llm.Response{Text: "x", Usage: llm.Usage{Input: 1 << 40, Output: 1 << 40}}, in: 432, out: 200},
		"more said than was asked for": {reply: llm.Response{Text: strings.Repeat("x", 4000), Usage: llm.Usage{Input: 90, Output: 1000}}, in: 90, out: 1000},
		"refused before any work":      {err: fault.New(fault.Unavailable, "busy")},
		"lost after the work":          {err: llm.Used(fault.New(fault.Unavailable, "broken")), in: 104, out: 200},
		"failed with a usage":          {reply: llm.Response{Usage: llm.Usage{Input: 80, Output: 3}}, err: fault.New(fault.Unavailable, "stopped"), in: 80, out: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, 1_000_000)
			m := budget.Model{Model: scripted{func(context.Context, llm.Request) (llm.Response, error) { return c.reply, c.err }}, Ledger: h.Ledger}
			_, err := m.Complete(pays(t, "job_1"), ask(question, 200))
			if !errors.Is(err, c.err) {
				t.Error(err)
			}
			month, err := h.Month(pays(t, ""), organization)
			if err != nil || month.Use[0].Input != c.in || month.Use[0].Output != c.out || month.Spent != c.in+2*c.out || month.Reserved != 0 {
				t.Errorf("%+v, %v", month, err)
			}
			h.sums(t)
		})
	}
}

type scripted struct {
	answer func(context.Context, llm.Request) (llm.Response, error)
}

func (scripted) Name() string { return "fake" }

func (s scripted) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	return s.answer(ctx, req)
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	fake := &llm.Fake{}
	m := budget.Model{Model: fake, Ledger: h.Ledger}
	if _, err := m.Complete(pays(t, ""), ask("Hello", 0)); err != nil {
		t.Fatal(err)
	}
	if most := fake.Requests()[0].MaxTokens; most != 1000 {
		t.Errorf("a request without a bound goes out with %d", most)
	}
}

func TestACallThatIsCutOffIsPaidFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	ctx, cancel := context.WithCancel(pays(t, "job_1"))
	m := budget.Model{Ledger: h.Ledger, Model: scripted{func(ctx context.Context, _ llm.Request) (llm.Response, error) {
		cancel()
		return llm.Response{}, llm.Interrupted(ctx.Err())
	}}}
	if _, err := m.Complete(ctx, ask("12345678", 10)); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if got := h.sums(t); got != "0/26" { // 6 tokens in, all of the answer
		t.Error(got)
	}
}

// F51: 200 requests at once on an almost empty budget, some of which fail or are cut
// off. What is settled is what the model has served, and nothing stays reserved.
func TestManyRequestsOnAnAlmostEmptyBudget(t *testing.T) {
	t.Parallel()
	const hard = 3000
	h := newHouse(t, hard)
	var served, asked atomic.Int64
	m := budget.Model{Ledger: h.Ledger, Model: scripted{func(_ context.Context, req llm.Request) (llm.Response, error) {
		time.Sleep(time.Millisecond)
		switch n := asked.Add(1); {
		case n%5 == 0:
			return llm.Response{}, fault.New(fault.Unavailable, "busy")
		case n%7 == 0:
			served.Add(int64(llm.EstimateTokens(req) + 2*req.MaxTokens))
			return llm.Response{}, llm.Used(fault.New(fault.Unavailable, "broken"))
		}
		served.Add(7 + 2*5)
		return llm.Response{Text: "a short answer", Usage: llm.Usage{Input: 7, Output: 5}}, nil
	}}}
	var wg sync.WaitGroup
	var refused atomic.Int64
	for range 200 {
		wg.Go(func() {
			if _, err := m.Complete(pays(t, "job_1"), ask("a question", 20)); fault.Is(err, fault.PaymentRequired) {
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	month, err := h.Month(pays(t, ""), organization)
	if err != nil || month.Reserved != 0 || month.Spent != served.Load() || month.Spent > hard || refused.Load() == 0 {
		t.Errorf("served %d, %d refused: %+v, %v", served.Load(), refused.Load(), month, err)
	}
	h.sums(t)
}

func TestSpeechIsPaidFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	fake := &speech.Fake{Pace: 100 * time.Millisecond}
	s := budget.Speaker{Speaker: fake, Ledger: h.Ledger, Model: "hum"}
	if _, err := s.Speak(pays(t, "job_1"), speech.Request{Text: "für immer und ewig"}); err != nil { // 18 characters, 1.8 s
		t.Fatal(err)
	}
	if got := h.sums(t); got != "0/380" { // 18 characters at 10, 2 seconds at 100
		t.Error(got)
	}
	fake.Fail(fault.New(fault.Unavailable, "hoarse"))
	if _, err := s.Speak(pays(t, "job_1"), speech.Request{Text: "no"}); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if got := h.sums(t); got != "0/380" {
		t.Error(got)
	}
	if got := s.Voice("en"); got != "hum/en" {
		t.Errorf("the voice is %s: films would be made again", got)
	}
}

func TestTimeIsPaidFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	m := budget.Meter{Ledger: h.Ledger, Renderer: "studio", Processors: 2}
	begun := time.Now()
	ctx, stop, err := m.Start(pays(t, "job_1"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.sums(t); got != "2880/0" {
		t.Error(got)
	}
	stop()
	if ctx.Err() == nil {
		t.Error("the work goes on when its time is settled")
	}
	var spent int64
	got := h.sums(t)
	if _, err := fmt.Sscanf(got, "0/%d", &spent); err != nil || spent < 24 || spent%24 != 0 || spent > 24*int64(math.Ceil(2*time.Since(begun).Seconds())) {
		t.Errorf("%s: not what two processors cost for the seconds that were begun", got)
	}
	ctx, stop, err = m.Start(pays(t, "job_1"), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	<-ctx.Done()
	if cause := context.Cause(ctx); !fault.Is(cause, fault.Unavailable) {
		t.Errorf("work that used up its time ends with %v", cause)
	}
	if _, _, err := m.Start(pays(t, "job_1"), 24*time.Minute); err != nil {
		t.Error(err)
	}
	h.exec(t, `INSERT INTO budgets (organization_id, soft_micros, hard_micros, updated_by) VALUES ('org_local', 0, 1, '')`)
	if _, _, err := m.Start(pays(t, "job_1"), time.Minute); !fault.Is(err, fault.PaymentRequired) {
		t.Error(err)
	}
}

// The model is asked while no connection is held.
func TestNoConnectionIsHeld(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	m := budget.Model{Ledger: h.Ledger, Model: scripted{func(context.Context, llm.Request) (llm.Response, error) {
		if n := h.db.Stat().AcquiredConns(); n != 0 {
			t.Errorf("%d connections are held", n)
		}
		return llm.Response{Text: "ok"}, nil
	}}}
	if _, err := m.Complete(pays(t, "job_1"), ask("Hello", 10)); err != nil {
		t.Fatal(err)
	}
}
