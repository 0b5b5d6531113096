package conversation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// ownModel is who answers when the program does, without any model.
const ownModel = "lectern"

var errTooLong = errors.New("the answer took too long")

// making is an answer that is being made here.
type making struct {
	turn    Turn
	began   time.Time // when it was asked for
	takenUp bool      // another process began it,
	logged  int64     // and has logged so many events,
	prefix  string    // which say this

	// Who is told of it waits until it is sure that the answer is kept and paid for, or that it is
	// refused; nil: nobody waits.
	sure    chan struct{}
	told    bool  // sure is closed
	refused error // why it is; others read it when sure is closed

	t       *Tutor
	user    string
	answer  Message // its row, when it began
	live    *relay.Live
	said    strings.Builder // what was told, the prefix included
	scan    *scanner
	ground  *ground
	outcome Outcome
	ttfb    time.Duration
	tries   llm.Tries
	resp    llm.Response // the model's

	disconnects, resumed atomic.Int64 // of its readers here
}

// run makes the answer and says how it ended. Thousands of answers may wait for their
// models at once, at the depth of ask: what is done before and behind that are functions
// of their own, so that the stack there stays small.
func (m *making) run(ctx context.Context) {
	ctx, spent := budget.Counting(budget.With(ctx, budget.Payer{
		Organization: m.turn.who.Organization, User: m.turn.who.User, Subject: m.turn.Session.ID, Uncapped: true,
	}))
	m.scan = &scanner{text: m.tell, cite: m.cite}
	m.said.WriteString(m.prefix)
	m.over(ctx, m.compose(ctx), spent)
}

// over stores and tells how the answer ended.
func (m *making) over(ctx context.Context, err error, spent *budget.Spent) {
	m.refuse(ctx, err)
	switch {
	case err == nil:
		err = m.scan.end()
	case !lost(ctx):
		err = errors.Join(err, m.scan.cut())
	}
	stored, kept := m.end(ctx, err)
	m.t.over(m.turn.name(), stored)
	if stored != nil || !errors.Is(kept, relay.ErrHandedOver) {
		m.live.End() // what is handed over the relay ends, when all that was said is in the log
	}
	m.beSure()
	m.report(ctx, cmp.Or(kept, err), stored, spent.Micros())
	if stored != nil {
		m.remember(context.WithoutCancel(ctx), *stored)
	}
}

// lost tells whether somebody else says how the answer goes on.
func lost(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return errors.Is(cause, relay.ErrLost) || errors.Is(cause, relay.ErrHandedOver)
}

// compose writes the answer.
func (m *making) compose(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := m.prepare(ctx); err != nil {
		return err
	}
	if m.ground.quiz.needsModel() && !m.quizzed() {
		if err := m.ask(ctx); err != nil {
			return err
		}
	}
	return m.quizOn()
}

// prepare reads what the answer rests on.
func (m *making) prepare(ctx context.Context) (err error) {
	if m.takenUp {
		if err := m.t.persist(ctx, m.recall); err != nil {
			return err
		}
	}
	m.outcome.PromptVersion, m.outcome.Model = promptVersion(m.turn.Task), m.t.p.Model.Name()
	reading, done := context.WithTimeout(ctx, gathering)
	defer done()
	if m.ground, err = m.t.gather(reading, m.turn.who, m.turn, m.scan.citations); err != nil {
		return err
	}
	m.scan.resolve = m.ground.resolve
	if m.ground.quiz.needsModel() {
		m.outcome.Quiz = m.ground.quiz.verdict()
	} else {
		m.outcome.Model, m.outcome.Finish = ownModel, llm.Stop
	}
	return nil
}

// ask has the model answer.
func (m *making) ask(ctx context.Context) error {
	req, join := m.question()
	if req == nil {
		m.outcome.Finish = llm.Length
		return nil
	}
	asked := llm.EstimateTokens(*req)
	ctx, done, err := m.pay(ctx, *req)
	if err != nil {
		return err
	}
	defer done()
	m.beSure()
	m.resp, err = m.t.p.Model.Stream(ctx, *req, func(p llm.Piece) error { // calls of tools are let go: there are none
		if p.Text == "" {
			return nil
		}
		if ctx.Err() != nil { // pieces may have come before the end was heard of
			return context.Cause(ctx)
		}
		return join.take(p.Text)
	})
	if !lost(ctx) {
		err = errors.Join(err, join.end())
	}
	return m.answered(err, asked)
}

// question is what the model is asked, and what joins its answer to what there is of it
// already; nil when that is all that the answer may have.
func (m *making) question() (*llm.Request, *joiner) {
	prefix := m.ground.cited(m.prefix, m.scan.citations)
	if m.turn.Continues != nil {
		prefix = m.ground.cited(m.turn.Continues.Content, m.turn.Continues.Citations) + prefix
	}
	turn := m.turn
	if m.prefix != "" { // another process has had a part of what the answer may have
		turn.MaxTokens = bound(turn.MaxTokens) - int(countTokens(m.outcome.Model, m.prefix))
		if turn.MaxTokens <= 0 {
			return nil, nil
		}
	}
	return new(m.ground.request(turn, prefix)), &joiner{before: prefix, write: m.scan.write, joined: prefix == ""}
}

// answered notes who answered and what it took; asked is about how many tokens the
// request had.
func (m *making) answered(err error, asked int) error {
	resp := &m.resp
	m.outcome.Model = cmp.Or(resp.Model, m.outcome.Model)
	m.outcome.Finish, m.outcome.Usage, m.tries = resp.Finish, resp.Usage, resp.Tries
	if err == nil && m.outcome.Finish == llm.ToolCalls {
		m.outcome.Finish = llm.Stop
	}
	if m.outcome.Usage == (llm.Usage{}) && (err == nil || m.said.Len() > len(m.prefix)) {
		m.outcome.Usage = llm.Usage{Input: asked, Output: llm.EstimateText(m.said.String()[len(m.prefix):])}
	}
	if err == nil && strings.TrimSpace(m.said.String()+m.scan.held) == "" {
		return fault.New(fault.Unavailable, "The language model gave an empty answer. Ask again.")
	}
	return err
}

// tell sends text on its way to the readers.
func (m *making) tell(text string) error {
	text = relay.Storable(text) // the row will hold what the log has
	if err := m.live.Text(text); err != nil {
		return err
	}
	if m.ttfb == 0 && !m.takenUp {
		m.ttfb = max(m.t.p.Now().Sub(m.began), 1)
	}
	m.said.WriteString(text)
	return nil
}

func (m *making) cite(c Citation) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return m.live.Cite(data)
}

// quizzed tells whether another process, which began the answer, has come as far as to
// ask the next question.
func (m *making) quizzed() bool {
	z := m.ground.quiz
	return m.prefix != "" && z.goesOn(m.turn) && strings.HasSuffix(m.prefix, z.goOn(m.ground.course.Language, m.turn))
}

// quizOn asks the next question of a quiz, in the program's own words.
func (m *making) quizOn() error {
	z := m.ground.quiz
	if !z.goesOn(m.turn) {
		return nil
	}
	if m.quizzed() {
		m.outcome.Quiz, m.outcome.Finish = z.note(), llm.Stop
		return nil
	}
	text := z.goOn(m.ground.course.Language, m.turn)
	if err := m.scan.end(); err != nil {
		return err
	}
	if m.said.Len() > 0 && !strings.HasSuffix(m.said.String(), "\n\n") {
		text = "\n\n" + text
	}
	if err := m.tell(text); err != nil {
		return err
	}
	m.outcome.Quiz = z.note()
	return nil
}
