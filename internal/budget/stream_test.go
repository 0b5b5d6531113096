package budget_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/backup"
	"lectern.dev/lectern/internal/llm/llmtest"
)

// speaking says what a script answers, in two pieces.
type speaking struct{ scripted }

func (s speaking) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	resp, err := s.Complete(ctx, req)
	half := len(resp.Text) / 2
	for i, part := range []string{resp.Text[:half], resp.Text[half:]} {
		if part == "" {
			continue
		}
		if err := emit(llm.Piece{Text: part}); err != nil {
			resp.Text = resp.Text[:half*i]
			return resp, err
		}
	}
	for i, c := range resp.ToolCalls {
		if err := emit(llm.Piece{ToolCalls: []llm.ToolCallPiece{{Index: i, ID: c.ID, Name: c.Name, Arguments: c.Arguments}}}); err != nil {
			return resp, err
		}
	}
	return resp, err
}

func stream(ctx context.Context, m llm.Streamer, req llm.Request) error {
	_, err := m.Stream(ctx, req, func(llm.Piece) error { return nil })
	return err
}

// paid lets a payer pay for what the suite asks.
type paid struct{ llm.Streamer }

func (p paid) with(ctx context.Context) context.Context {
	return budget.With(ctx, budget.Payer{Organization: organization})
}

func (p paid) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	return p.Streamer.Complete(p.with(ctx), req)
}

func (p paid) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	return p.Streamer.Stream(p.with(ctx), req, emit)
}

func TestIsAStreamer(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	fake := func() llm.Streamer {
		return &budget.Streamer{Ledger: h.Ledger, Streamer: &llm.Fake{Answer: func(llm.Request) (llm.Response, error) { return llm.Response{Text: "one two three"}, nil }}}
	}
	llmtest.RunStream(t, paid{fake()}, ask("Hello", 10))
	t.Run("with a backup", func(t *testing.T) {
		llmtest.RunStream(t, paid{backup.New(fake(), fake(), backup.Options{})}, ask("Hello", 10))
	})
	h.settled(t)
}

// settled waits until nothing is reserved: a call that has lost a race may be settled
// after the answer.
func (h *house) settled(t *testing.T) {
	t.Helper()
	until(t, "nothing is reserved", func() bool { return strings.HasPrefix(h.sums(t), "0/") })
}

func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so after 30 s: %s", what)
		}
	}
}

// F52: what a stream is settled with, however it ends.
func TestWhatAStreamCosts(t *testing.T) {
	t.Parallel()
	question := strings.Repeat("word ", 80) // about 104 tokens, at most 432
	text := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct {
		reply   llm.Response
		err     error
		in, out int64
	}{
		"reported":                    {reply: llm.Response{Text: text(40), Usage: llm.Usage{Input: 90, Output: 30}}, in: 90, out: 30},
		"missing":                     {reply: llm.Response{Text: text(40)}, in: 104, out: 10},
		"far too little":              {reply: llm.Response{Text: text(400), Usage: llm.Usage{Input: 1, Output: 1}}, in: 104, out: 100},
		"far too much":                {reply: llm.Response{Text: "x", Usage: llm.Usage{Input: 1 << 40, Output: 1 << 40}}, in: 432, out: 200},
		"tool calls without a usage":  {reply: llm.Response{ToolCalls: []llm.ToolCall{{ID: text(8), Name: text(8), Arguments: text(64)}}}, in: 104, out: 20},
		"nothing said":                {reply: llm.Response{}, in: 104, out: 0},
		"refused before any work":     {err: fault.New(fault.Unavailable, "busy")},
		"cut before the first piece":  {err: llm.Used(fault.New(fault.Unavailable, "broken")), in: 104, out: 64},
		"broken off":                  {reply: llm.Response{Text: text(40)}, err: fault.New(fault.Unavailable, "broken"), in: 104, out: 10 + 64},
		"broken off near its end":     {reply: llm.Response{Text: text(760)}, err: fault.New(fault.Unavailable, "broken"), in: 104, out: 200},
		"broken off behind its end":   {reply: llm.Response{Text: text(4000)}, err: fault.New(fault.Unavailable, "broken"), in: 104, out: 1000},
		"broken off in a tool call":   {reply: llm.Response{ToolCalls: []llm.ToolCall{{Arguments: text(40)}}}, err: fault.New(fault.Unavailable, "broken"), in: 104, out: 10 + 64},
		"broken off behind its usage": {reply: llm.Response{Text: text(40), Usage: llm.Usage{Input: 90, Output: 12}}, err: fault.New(fault.Unavailable, "no end"), in: 90, out: 12},
		"broken off, and a lie":       {reply: llm.Response{Text: text(40), Usage: llm.Usage{Input: 1, Output: 1 << 40}}, err: fault.New(fault.Unavailable, "no end"), in: 104, out: 200},
		"a usage of its input only":   {reply: llm.Response{Text: text(40), Usage: llm.Usage{Input: 90}}, err: fault.New(fault.Unavailable, "no end"), in: 90, out: 10 + 64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, 1_000_000)
			m := &budget.Streamer{Ledger: h.Ledger, Streamer: speaking{scripted{func(context.Context, llm.Request) (llm.Response, error) { return c.reply, c.err }}}}
			ctx, spent := budget.Counting(pays(t, "job_1"))
			if err := stream(ctx, m, ask(question, 200)); !errors.Is(err, c.err) {
				t.Error(err)
			}
			month, err := h.Month(pays(t, ""), organization)
			if err != nil || month.Use[0].Input != c.in || month.Use[0].Output != c.out || month.Spent != c.in+2*c.out || month.Reserved != 0 || spent.Micros() != month.Spent {
				t.Errorf("%d, %+v, %v", spent.Micros(), month, err)
			}
			h.sums(t)
		})
	}
}

// What was passed on is paid for, also when the model forgets to say that it was.
func TestPiecesCount(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	m := &budget.Streamer{Ledger: h.Ledger, Streamer: forgetful{}}
	if err := stream(pays(t, ""), m, ask("12345678", 1000)); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if got := h.sums(t); got != "0/334" { // 6 tokens in; 100 and those under way out
		t.Error(got)
	}
}

type forgetful struct{ scripted }

func (forgetful) Stream(_ context.Context, _ llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	_ = emit(llm.Piece{Text: strings.Repeat("x", 400)})
	return llm.Response{}, fault.New(fault.Unavailable, "broken")
}

// A panic leaves nothing behind that waits to be counted in full.
func TestAStreamThatPanics(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	m := &budget.Streamer{Ledger: h.Ledger, Streamer: &llm.Fake{}}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is lost")
			}
		}()
		_, _ = m.Stream(pays(t, ""), ask("12345678", 10), func(llm.Piece) error { panic("oh") })
	}()
	if got := h.sums(t); got != "0/26" { // 6 tokens in, all of the answer
		t.Error(got)
	}
}

// F51 for streams: 200 at once, on an almost empty budget, of two models that race; some
// fail, break, are stopped or lose. What is settled covers what the models made,
// nothing stays reserved, and the limit holds.
func TestManyStreamsOnAnAlmostEmptyBudget(t *testing.T) {
	t.Parallel()
	const hard = 20_000
	h := newHouse(t, hard)
	var made, asked atomic.Int64
	model := func() llm.Streamer {
		return &budget.Streamer{Ledger: h.Ledger, Streamer: metered{&made, &asked}}
	}
	m := backup.New(model(), model(), backup.Options{FirstToken: 4 * time.Millisecond, Soonest: time.Millisecond, Rest: time.Millisecond})
	var wg sync.WaitGroup
	var refused, answered atomic.Int64
	counting, spent := budget.Counting(pays(t, "ses_1"))
	for n := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(counting)
			defer cancel()
			_, err := m.Stream(ctx, ask("a question", 100), func(llm.Piece) error {
				switch {
				case n%4 == 0:
					cancel()
				case n%4 == 1:
					return fault.New(fault.Conflict, "enough")
				}
				return nil
			})
			switch {
			case fault.Is(err, fault.PaymentRequired):
				refused.Add(1)
			case err == nil:
				answered.Add(1)
			}
		})
	}
	wg.Wait()
	h.settled(t)
	month, err := h.Month(pays(t, ""), organization)
	if err != nil || month.Reserved != 0 || month.Spent < made.Load() || month.Spent > hard || refused.Load() == 0 || answered.Load() == 0 {
		t.Errorf("made %d, %d answered, %d refused: %+v, %v", made.Load(), answered.Load(), refused.Load(), month, err)
	}
	until(t, "all that was settled is counted", func() bool { return spent.Micros() == month.Spent })
	h.sums(t)
	t.Logf("%d calls made %d; settled %d of %d; %d answered, %d refused", asked.Load(), made.Load(), month.Spent, hard, answered.Load(), refused.Load())
}

// metered makes tokens of four letters, and knows how many it has made.
type metered struct{ made, asked *atomic.Int64 }

func (metered) Name() string { return "fake" }

func (metered) Complete(context.Context, llm.Request) (llm.Response, error) {
	return llm.Response{}, errors.New("only streams")
}

func (m metered) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (resp llm.Response, err error) {
	n := m.asked.Add(1)
	if n%7 == 0 {
		return resp, fault.New(fault.Unavailable, "busy")
	}
	m.made.Add(int64(llm.EstimateTokens(req)))
	if n%3 == 0 {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return resp, llm.Interrupted(ctx.Err())
		}
	}
	for i := range 20 {
		m.made.Add(2)
		if ctx.Err() != nil {
			return resp, llm.Interrupted(ctx.Err())
		}
		if n%5 == 0 && i == 10 {
			return resp, llm.Used(fault.New(fault.Unavailable, "broken"))
		}
		if err := emit(llm.Piece{Text: "word"}); err != nil {
			return resp, err
		}
		resp.Text += "word"
	}
	resp.Usage, resp.Finish = llm.Usage{Input: llm.EstimateTokens(req), Output: 20}, llm.Stop
	return resp, nil
}

// A loser's call is settled too, and is part of what the turn cost.
func TestALoserIsPaidFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	asked := make(chan struct{})
	silent := speaking{scripted{func(ctx context.Context, _ llm.Request) (llm.Response, error) {
		close(asked)
		<-ctx.Done()
		return llm.Response{}, llm.Interrupted(ctx.Err())
	}}}
	second := &llm.Fake{Answer: func(llm.Request) (llm.Response, error) {
		<-asked
		return llm.Response{Text: "ok"}, nil
	}}
	m := backup.New(&budget.Streamer{Streamer: silent, Ledger: h.Ledger}, &budget.Streamer{Streamer: second, Ledger: h.Ledger}, backup.Options{FirstToken: time.Millisecond})
	ctx, spent := budget.Counting(pays(t, "ses_1"))
	resp, err := m.Stream(ctx, ask("12345678", 1000), func(llm.Piece) error { return nil })
	if err != nil || !resp.Tries.Hedged || !resp.Tries.Backup {
		t.Errorf("%+v, %v", resp, err)
	}
	const winner, loser = 6 + 2*1, 6 + 2*64
	h.settled(t)
	if got := h.sums(t); got != "0/142" {
		t.Error(got)
	}
	until(t, "the loser is counted", func() bool { return spent.Micros() == winner+loser })
}

// A session may ask any number of times; a job may not.
func TestSessionsAreNotCapped(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	h.CallsPerJob = 3
	m := &budget.Streamer{Streamer: &llm.Fake{}, Ledger: h.Ledger}
	session := budget.With(t.Context(), budget.Payer{Organization: organization, Subject: "ses_1", Uncapped: true})
	for range 5 {
		if err := stream(session, m, ask("Hello", 10)); err != nil {
			t.Error(err)
		}
	}
	for n := range 4 {
		if err := stream(pays(t, "job_1"), m, ask("Hello", 10)); (n == 3) != fault.Is(err, fault.Exhausted) || llm.WasNotAsked(err) != (n == 3) {
			t.Errorf("call %d: %v", n, err)
		}
	}
	var entries, subjects int
	err := h.db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM ledger WHERE subject = 'ses_1'), (SELECT count(*) FROM ledger_subjects)`).Scan(&entries, &subjects)
	if err != nil || entries != 5 || subjects != 1 {
		t.Errorf("%d entries of the session, %d subjects, %v", entries, subjects, err)
	}
}

// What is counted within is counted without, and nothing twice.
func TestCounting(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	outside, all := budget.Counting(pays(t, ""))
	inside, some := budget.Counting(outside)
	for _, ctx := range []context.Context{outside, inside, pays(t, "")} {
		r, err := h.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: 100})
		if err != nil {
			t.Fatal(err)
		}
		r.Settle(ctx, budget.Units{Input: 10})
		r.Settle(ctx, budget.Units{Input: 10})
	}
	r, err := h.Reserve(inside, budget.Tokens, "fake", budget.Units{Input: 100})
	if err != nil {
		t.Fatal(err)
	}
	r.Release(inside)
	if all.Micros() != 20 || some.Micros() != 10 {
		t.Errorf("%d and %d", all.Micros(), some.Micros())
	}
}

// Whatever goes to the server is part of the most that a call can cost.
func TestEverythingThatIsSentIsReserved(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1<<40)
	const size = 1000
	long := strings.Repeat("\u0300", size/2)
	reserved := func(req llm.Request) (most int64) {
		m := &budget.Streamer{Ledger: h.Ledger, Streamer: speaking{scripted{func(context.Context, llm.Request) (llm.Response, error) {
			month, err := h.Month(pays(t, ""), organization)
			if err != nil {
				t.Error(err)
			}
			most = month.Reserved
			return llm.Response{}, nil
		}}}}
		req.MaxTokens = 1
		if err := stream(pays(t, ""), m, req); err != nil {
			t.Error(err)
		}
		return most
	}
	message := func(change func(*llm.Message)) llm.Request {
		m := llm.Message{Role: llm.User, ToolCalls: []llm.ToolCall{{}}}
		change(&m)
		return llm.Request{Messages: []llm.Message{m}}
	}
	base := reserved(message(func(*llm.Message) {}))
	for name, req := range map[string]llm.Request{
		"text":           message(func(m *llm.Message) { m.Text = long }),
		"name":           message(func(m *llm.Message) { m.Name = long }),
		"call id":        message(func(m *llm.Message) { m.ToolCallID = long }),
		"call":           message(func(m *llm.Message) { m.ToolCalls[0].ID = long }),
		"call name":      message(func(m *llm.Message) { m.ToolCalls[0].Name = long }),
		"call arguments": message(func(m *llm.Message) { m.ToolCalls[0].Arguments = long }),
		"extra": func() llm.Request {
			req := message(func(*llm.Message) {})
			req.Extra = map[string]json.RawMessage{"tools": json.RawMessage(`"` + long + `"`)}
			return req
		}(),
	} {
		if got := reserved(req); got < base+size {
			t.Errorf("%s: %d are reserved, %d without it", name, got, base)
		}
	}
}

// A field that changes what a call costs is not passed on.
func TestDearFieldsAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	m := &budget.Streamer{Streamer: &llm.Fake{}, Ledger: h.Ledger}
	for field, values := range map[string]map[string]bool{
		"n": {`1`: true, `5`: false, `null`: true}, "service_tier": {`"default"`: true, `"priority"`: false}, "modalities": {`["text"]`: true, `["audio"]`: false},
		"max_completion_tokens": {`100000`: false}, "max_tokens": {`100000`: false}, "model": {`"dear"`: false}, "best_of": {`9`: false},
		"web_search_options": {`{}`: false}, "prediction": {`{}`: false}, "audio": {`{}`: false}, "temperature": {`1`: true}, "tools": {`[]`: true},
	} {
		for value, may := range values {
			req := ask("Hello", 10)
			req.Extra = map[string]json.RawMessage{field: json.RawMessage(value)}
			_, err := m.Complete(pays(t, ""), req)
			if err2 := stream(pays(t, ""), m, req); (err == nil) != may || (err2 == nil) != may || !may && !fault.Is(err, fault.Invalid) {
				t.Errorf("%s %s: %v, %v", field, value, err, err2)
			}
		}
	}
}
