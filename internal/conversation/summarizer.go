package conversation

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/llm"
)

// A branch is summed up when what a model would be shown of it outgrows a budget; the
// newest messages stay as they are. All are tokens, by the model's tokenizer.
const (
	branchTokens  = 6000  // of the summary and the messages since
	keptTokens    = 2000  // of the newest messages, which are not summed up
	summedTokens  = 24000 // of what is summed up at once; the rest waits for the next turn
	summaryTokens = 700   // of a summary, at most

	summaryTime = time.Minute // in which it must be made
	maxSummers  = 8           // at once in a process; what finds no place is tried after a later turn
)

//go:embed prompts/summary.md
var summaryPrompt string

// summarizer makes summaries in the background, one at a time for a session. Two
// processes may make one at the same time; each is stored beside its own message, and
// the model is shown the newest.
type summarizer struct {
	mu      sync.Mutex
	running map[string]context.CancelFunc // by session
	closed  bool
	wait    sync.WaitGroup
}

// summarizeLater sums up the branch of a turn that has ended with answer, when it has
// become too long, and returns at once. A failure is logged, and it is tried again
// after the next turn of the branch. It is paid for as the turn was.
func (t *Tutor) summarizeLater(ctx context.Context, turn Turn, answer Message) {
	part := toSum(turn, answer)
	if len(part) == 0 {
		return
	}
	ctx, ok := t.summaries.begin(ctx, turn.Session.ID)
	if !ok {
		return
	}
	go func() {
		defer t.summaries.end(turn.Session.ID)
		if err := t.summarize(ctx, turn, part); err != nil && !errors.Is(context.Cause(ctx), errDrained) {
			slog.WarnContext(ctx, "a conversation could not be summed up; it is tried after a later turn",
				"session", turn.Session.ID, "message", part[len(part)-1].ID, "error", err)
		}
	}()
}

// toSum gives the messages that are to be summed up, oldest first: none while the
// branch is short. They end with an answer, so that what is kept begins with a question.
func toSum(turn Turn, answer Message) []Message {
	messages := append(append([]Message(nil), turn.History...), turn.Question)
	total := turn.Question.Tokens + answer.Tokens
	if turn.Continues != nil {
		total += turn.Continues.Tokens
	}
	if turn.Summary != nil {
		total += turn.Summary.Tokens
	}
	kept := total // the last turn stays whole, however long it is
	if turn.Summary != nil {
		kept -= turn.Summary.Tokens
	}
	for _, m := range turn.History {
		total += m.Tokens
	}
	if total <= branchTokens {
		return nil
	}
	end := len(turn.History)
	for i := end - 1; i > 0; i-- {
		if kept += messages[i].Tokens; kept > keptTokens {
			break
		}
		if messages[i].Role == User {
			end = i
		}
	}
	part := messages[:end]
	var sum int64
	boundary := 0 // before a question, up to which a step goes
	for i, m := range part {
		if m.Role == User && i > 0 && (sum <= summedTokens || boundary == 0) {
			boundary = i
		}
		sum += m.Tokens
	}
	switch {
	case sum < keptTokens/2: // not worth a call: one message is what makes it long
		return nil
	case sum > summedTokens && boundary > 0: // a branch that has waited for long is summed up step by step
		return part[:boundary]
	}
	return part
}

// summarize has the model sum up the messages, with the summary of what was before them.
func (t *Tutor) summarize(ctx context.Context, turn Turn, part []Message) error {
	before, said := "", transcript(part)
	if turn.Summary != nil {
		before = turn.Summary.Content
	}
	ctx = budget.With(ctx, budget.Payer{Organization: turn.who.Organization, User: turn.who.User, Subject: turn.Session.ID, Uncapped: true})
	resp, err := t.p.Model.Complete(ctx, llm.Request{
		Messages: []llm.Message{
			{Role: llm.System, Text: summaryPrompt},
			{Role: llm.User, Text: "# Remembered so far\n\n" + before + "\n\n# Said since\n\n" + said},
		},
		Inputs:    map[string]string{"kind": "summary", "before": before, "said": said},
		MaxTokens: summaryTokens,
	})
	if err != nil {
		return err
	}
	content := strings.TrimSpace(resp.Text)
	if content == "" || resp.Finish == llm.Refusal {
		return errors.New("the model gave no summary: " + string(resp.Finish))
	}
	_, err = saveSummary(ctx, t.p.DB, turn.who, turn.Session.ID, Summary{
		Message: part[len(part)-1].ID, Content: content, Tokens: countTokens(resp.Model, content), Model: resp.Model,
	})
	return err
}

// transcript is a conversation as a text. Very long messages are shown by their beginning.
func transcript(messages []Message) string {
	const most = 8000 // characters of one message
	var b strings.Builder
	for _, m := range messages {
		who := "Learner"
		if m.Role == Assistant {
			who = "Tutor"
		}
		content := m.Content
		if r := []rune(content); len(r) > most {
			content = string(r[:most]) + " […]"
		}
		b.WriteString(who + ": " + content + "\n\n")
	}
	return b.String()
}

var errDrained = errors.New("the process ends")

// begin takes a session's place; ok is false when it is taken or there is none.
func (s *summarizer) begin(ctx context.Context, session string) (_ context.Context, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.running[session]; taken || s.closed || len(s.running) >= maxSummers {
		return nil, false
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	ctx, stop := context.WithTimeout(ctx, summaryTime)
	if s.running == nil {
		s.running = map[string]context.CancelFunc{}
	}
	s.running[session] = func() {
		cancel(errDrained)
		stop()
	}
	s.wait.Add(1)
	return ctx, true
}

func (s *summarizer) end(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[session]()
	delete(s.running, session)
	s.wait.Done()
}

// drain ends the summaries that are being made, and returns when they have ended.
// They are made after a later turn.
func (s *summarizer) drain() {
	s.mu.Lock()
	s.closed = true
	for _, cancel := range s.running {
		cancel()
	}
	s.mu.Unlock()
	s.wait.Wait()
}
