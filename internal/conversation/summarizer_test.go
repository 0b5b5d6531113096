package conversation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"lectern.dev/lectern/internal/llm"
)

// scripted is a tutor whose model is a script.
func (s *shelf) scripted(model *llm.Fake) *Tutor { return New(Parts{DB: s.db, Model: model}) }

// long has a session of n turns, each of about 500 tokens; it gives the last.
func (s *shelf) long(t *testing.T, session string, n int, ask func(Turn, Message)) (turn Turn, answer Message) {
	t.Helper()
	for i := range n {
		turn = s.mustOpen(t, ann, session, Prompt{Content: fmt.Sprintf("Question %d? ", i) + strings.Repeat("q", 800)})
		answer = s.end(t, turn, Outcome{Content: fmt.Sprintf("Answer %d. ", i) + strings.Repeat("a", 1200), Tokens: 303})
		ask(turn, answer)
	}
	return turn, answer
}

// A long branch is summed up behind the person's back: what is shown stays within the
// budget, ends with the newest messages as they were, and loses nothing.
func TestLongBranchesAreSummedUp(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	calls := 0
	model := &llm.Fake{Answer: func(req llm.Request) (llm.Response, error) {
		calls++
		return llm.Response{Text: fmt.Sprintf(" Summary %d. ", calls), Model: "who-summed"}, nil
	}}
	tutor := s.scripted(model)
	session := s.session(t, ann)
	const n = 40
	most := int64(0)
	s.long(t, session.ID, n, func(turn Turn, answer Message) {
		shown := turn.Question.Tokens
		for _, m := range turn.History {
			shown += m.Tokens
		}
		if turn.Summary != nil {
			shown += turn.Summary.Tokens
		}
		most = max(most, shown)
		tutor.summarizeLater(as(t, ann), turn, answer)
		tutor.summaries.wait.Wait()
	})
	if calls < 3 || calls > 8 || most > branchTokens+800 {
		t.Errorf("%d summaries, at most %d tokens are shown", calls, most)
	}
	turn := s.mustOpen(t, ann, session.ID, Prompt{Content: "And?"})
	if turn.Summary == nil || turn.Summary.Content != fmt.Sprintf("Summary %d.", calls) || turn.Summary.Model != "who-summed" || turn.Summary.Tokens == 0 {
		t.Fatalf("the summary is %+v", turn.Summary)
	}
	if last := turn.History[len(turn.History)-1]; !strings.HasPrefix(last.Content, fmt.Sprintf("Answer %d.", n-1)) || turn.History[0].Role != User {
		t.Errorf("the last that is shown is %.20q, the first %.20q", last.Content, turn.History[0].Content)
	}
	// Each summary was made of the one before and of all that was said since, once.
	said := ""
	for i, req := range model.Requests() {
		if i > 0 && req.Inputs["before"] != fmt.Sprintf("Summary %d.", i) || req.Inputs["kind"] != "summary" || !strings.Contains(req.Messages[1].Text, req.Inputs["said"]) || req.MaxTokens != summaryTokens {
			t.Errorf("request %d: %q", i, req.Inputs["before"])
		}
		said += req.Inputs["said"]
	}
	for i := range n {
		inSummary := strings.Count(said, fmt.Sprintf("Question %d?", i))
		shown := strings.Count(strings.Join(contents(turn.History), "\n"), fmt.Sprintf("Question %d?", i))
		if inSummary+shown != 1 {
			t.Errorf("question %d: %d times in a summary, %d times as it was", i, inSummary, shown)
		}
	}
	if all := s.every(t, ann, session.ID, 200); len(all) != 2*n+2 {
		t.Errorf("%d messages are left", len(all))
	}
}

// What fails is made good after a later turn, and nobody is asked twice at once.
func TestSummariesAreTriedAgain(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	var calls, atOnce atomic.Int32
	hold := make(chan struct{})
	answers := make(chan error, 10)
	model := &llm.Fake{Answer: func(llm.Request) (llm.Response, error) {
		calls.Add(1)
		if atOnce.Add(1) > 1 {
			t.Error("two at once")
		}
		defer atOnce.Add(-1)
		<-hold
		if err := <-answers; err != nil {
			return llm.Response{}, err
		}
		return llm.Response{Text: "Short."}, nil
	}}
	tutor := s.scripted(model)
	session := s.session(t, ann)
	turn, answer := s.long(t, session.ID, 14, func(Turn, Message) {})
	for range 5 {
		tutor.summarizeLater(as(t, ann), turn, answer)
	}
	answers <- errors.New("the model is down")
	close(hold)
	tutor.summaries.wait.Wait()
	if calls.Load() != 1 || s.number(t, `SELECT count(*) FROM summaries`) != 0 {
		t.Fatalf("%d calls", calls.Load())
	}
	answers <- nil
	tutor.summarizeLater(as(t, ann), turn, answer)
	tutor.summaries.wait.Wait()
	answers <- nil
	tutor.summarizeLater(as(t, ann), turn, answer) // another process did not see it
	tutor.summaries.wait.Wait()
	if n := s.number(t, `SELECT count(*) FROM summaries`); n != 1 || calls.Load() != 3 {
		t.Errorf("%d summaries, %d calls", n, calls.Load())
	}
}

// What goes on when a person has gone ends when the process does.
func TestSummariesEndWithTheProcess(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	begun := make(chan struct{})
	tutor := New(Parts{DB: s.db, Model: &waiting{begun: begun}})
	turn, answer := s.long(t, s.session(t, ann).ID, 14, func(Turn, Message) {})
	ctx, cancel := context.WithCancel(as(t, ann))
	tutor.summarizeLater(ctx, turn, answer)
	cancel() // the request is over
	<-begun
	tutor.summaries.drain()
	tutor.summarizeLater(as(t, ann), turn, answer) // comes too late
	if n := s.number(t, `SELECT count(*) FROM summaries`); n != 0 {
		t.Errorf("%d summaries", n)
	}
}

// waiting is a model that answers when its caller has gone.
type waiting struct {
	llm.Fake
	begun chan struct{}
}

func (w *waiting) Complete(ctx context.Context, _ llm.Request) (llm.Response, error) {
	if ctx.Err() != nil {
		return llm.Response{}, errors.New("the request's end ended it")
	}
	close(w.begun)
	<-ctx.Done()
	return llm.Response{}, llm.Interrupted(ctx.Err())
}

func TestWhatIsSummedUp(t *testing.T) {
	t.Parallel()
	message := func(role Role, tokens int64) Message { return Message{Role: role, Tokens: tokens, Content: "x"} }
	history := func(turns int, question, answer int64) (h []Message) {
		for range turns {
			h = append(h, message(User, question), message(Assistant, answer))
		}
		return h
	}
	for name, c := range map[string]struct {
		turn   Turn
		answer int64
		want   int // messages
	}{
		"a short branch":             {Turn{History: history(9, 100, 500), Question: message(User, 50)}, 500, 0},
		"a long one":                 {Turn{History: history(12, 100, 500), Question: message(User, 50)}, 500, 20},
		"a summary counts":           {Turn{History: history(9, 100, 500), Question: message(User, 50), Summary: &Summary{Tokens: 600}}, 500, 14},
		"one long answer at the end": {Turn{History: history(2, 100, 300), Question: message(User, 50)}, 9000, 0},
		"the last turn stays":        {Turn{History: history(8, 100, 500), Question: message(User, 50)}, 9000, 16},
		"a first long answer":        {Turn{History: history(1, 100, 9000), Question: message(User, 50)}, 100, 2},
		"very much, step by step":    {Turn{History: history(100, 100, 500), Question: message(User, 50)}, 100, 80},
		"one that is beyond a step":  {Turn{History: append(history(1, 100, 30000), history(10, 100, 500)...), Question: message(User, 50)}, 100, 2},
		"nothing before it":          {Turn{Question: message(User, 7000)}, 100, 0},
		"an answer in parts": {
			Turn{History: append(history(8, 100, 500), message(User, 100), message(Assistant, 900), message(Assistant, 900), message(Assistant, 900)), Question: message(User, 50)}, 100, 20,
		},
	} {
		got := toSum(c.turn, message(Assistant, c.answer))
		if len(got) != c.want || len(got) > 0 && got[len(got)-1].Role != Assistant {
			t.Errorf("%s: %d messages are summed up, want %d", name, len(got), c.want)
		}
	}
}
