// Package chat is the tutor's API: sessions beside a course whose answers stream,
// with citations, and an endpoint that OpenAI's clients can use unchanged.
package chat

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
)

// Deps are the parts that the handler works with.
type Deps struct {
	DB             postgres.Beginner // of what people call: it sees an organisation at a time
	System         postgres.Beginner // of all organisations together: who asks how often is counted there
	Relay          *relay.Relay
	Model          llm.Streamer   // paid for, with its backup behind it
	Ledger         *budget.Ledger // what Model is paid from; see conversation.Parts
	Limits         Limits
	Alone          bool // no other process could go on with answers; see conversation.Parts
	Telemetry      Telemetry
	Gate           edge.Gate
	TrustedOrigins []string
	Front          edge.Front
}

type server struct {
	Deps
	tutor    *conversation.Tutor
	guard    *guard
	observer *observer
}

// New makes the handler: the routes, which are the manual, behind the edge.
func New(d Deps) http.Handler {
	s := newServer(d)
	return edge.HTTP(s.api(), edge.Options{TrustedOrigins: d.TrustedOrigins, Front: d.Front, Drain: s.drain})
}

func newServer(d Deps) *server {
	s := &server{Deps: d, guard: newGuard(d.System, d.Limits), observer: newObserver(d.Telemetry)}
	s.tutor = conversation.New(conversation.Parts{
		DB: d.DB, Relay: d.Relay, Model: d.Model, Ledger: d.Ledger, Report: s.report,
		Limits: d.Limits.ofTutor(), Alone: d.Alone,
	})
	return s
}

// report is what happens when a turn is over: its tokens are counted, and it is told.
func (s *server) report(ctx context.Context, r conversation.Report) {
	s.guard.spent(ctx, r.Usage)
	switch {
	case errors.Is(r.Error, relay.ErrHandedOver): // as it should be: another process tells its end
		r.State, r.Error = handedOver, nil
	case r.State == conversation.Stopped: // as somebody wished
		r.Error = nil
	}
	s.observer.turn(ctx, r)
}

// handedOver is the state of a turn whose process ended before its answer.
const handedOver conversation.State = "handed over"

// drain lets answers go on, hands over the others, and has what was measured sent.
func (s *server) drain(ctx context.Context) {
	answers, cancel := ctx, context.CancelFunc(func() {})
	if end, ok := ctx.Deadline(); ok && s.Telemetry.Flush != nil {
		answers, cancel = context.WithDeadline(ctx, end.Add(-flushTime))
	}
	defer cancel()
	s.tutor.Drain(answers)
	s.Telemetry.flush(ctx)
}

// Who may do what. What is remembered of a learner is theirs alone: an API credential
// may stand for many.
var (
	talkers  = edge.Policy{Role: string(account.Learner), Scope: account.Chat}
	people   = edge.Policy{Role: string(account.Learner)}
	teachers = edge.Policy{Role: string(account.Author), Scope: account.WriteCourses}
)

func (s *server) api() *edge.API {
	api := edge.NewAPI("Lectern: chat", about, s.Gate)
	edge.Register(api, talkers, edge.Read("list-sessions", "/v1/chat/sessions", "List sessions", "One's own, newest first."), s.listSessions)
	edge.Register(api, talkers, edge.Make("create-session", "/v1/chat/sessions", "Begin a session", "Beside a course, whose material it then rests on, beside one of its lessons, or about anything."), s.createSession)
	edge.Register(api, talkers, edge.Read("get-session", "/v1/chat/sessions/{session}", "Read a session", "Without its messages. `answering` is there while an answer is being made."), s.getSession)
	edge.Register(api, talkers, edge.Change("rename-session", "/v1/chat/sessions/{session}", "Rename a session", "A title of your own."), s.renameSession)
	edge.Register(api, talkers, edge.Remove("delete-session", "/v1/chat/sessions/{session}", "Delete a session", "With all of its messages. An answer that is being made ends."), s.deleteSession)

	edge.Register(api, talkers, edge.Read("list-messages", "/v1/chat/sessions/{session}/messages", "List messages", "Of all branches, oldest first; `parent` makes them a tree."), s.listMessages)
	edge.RegisterStream(api, talkers, paid(edge.Make("send-message", "/v1/chat/sessions/{session}/messages", "Send a message", sending)), events, s.sendMessage)
	edge.Register(api, talkers, edge.Read("get-message", "/v1/chat/sessions/{session}/messages/{message}", "Read a message", "With its citations and what it took."), s.getMessage)
	edge.RegisterStream(api, talkers, edge.Read("follow-answer", "/v1/chat/sessions/{session}/stream", "Follow an answer", following), events, s.followAnswer)
	edge.Register(api, talkers, edge.Remove("stop-answer", "/v1/chat/sessions/{session}/stream", "Stop the answer", "The one that is being made; what there is of it is kept. It is no error when there is none."), s.stopAnswer)

	edge.Register(api, talkers, edge.Read("list-checkpoints", "/v1/chat/sessions/{session}/checkpoints", "List checkpoints", "What each answer was made from, oldest first; `parent` is the one before it on its branch."), s.listCheckpoints)
	edge.Register(api, talkers, edge.Read("get-checkpoint", "/v1/chat/sessions/{session}/checkpoints/{checkpoint}", "Read a checkpoint", "With the conversation as the model was shown it: the summary and the messages since."), s.getCheckpoint)
	edge.RegisterStream(api, talkers, paid(edge.Make("replay-checkpoint", "/v1/chat/sessions/{session}/checkpoints/{checkpoint}/replays", "Answer again", "Makes another answer to the same question, with the task's version and the summary that the checkpoint names. It is a branch of its own; the events are those of send-message.")), events, s.replayCheckpoint)
	edge.Register(api, talkers, edge.Make("fork-checkpoint", "/v1/chat/sessions/{session}/checkpoints/{checkpoint}/forks", "Fork a session", "A new session that begins with the conversation up to the checkpoint's answer."), s.forkCheckpoint)

	edge.Register(api, talkers, edge.Read("list-tasks", "/v1/chat/tasks", "List tasks", "What the tutor can be asked to be: the built-in ones and the organisation's own, each in its newest version."), s.listTasks)
	edge.Register(api, teachers, edge.Make("create-task", "/v1/chat/tasks", "Write a task", "Instructions under a name of the organisation's own. The same name again makes its next version; what was answered with an earlier one still says so."), s.createTask)

	edge.Register(api, people, edge.Read("list-memories", "/v1/chat/memories", "List what is remembered", "Of the person who asks, in one course or in all: what they asked about, and what they answered wrongly in quizzes. Nothing is remembered of an API credential, behind which there may be many, so none can ask."), s.listMemories)
	edge.Register(api, people, edge.Remove("forget-all", "/v1/chat/memories", "Forget everything", "That is remembered of the person who asks, in one course."), s.forgetAll)
	edge.Register(api, people, edge.Remove("forget", "/v1/chat/memories/{memory}", "Forget something", "That is remembered of the person who asks."), s.forget)
	s.compatible(api)
	return api
}

// events are what answers are streamed as.
var events = map[string]any{
	"start": conversation.Started{}, "delta": conversation.TextDelta{}, "citation": conversation.Citation{},
	"done": conversation.Done{}, "error": conversation.Broken{},
}

const (
	about = "A tutor beside a course: sessions whose answers stream, rest on the course's material, and cite it.\n\n" +
		"Sessions belong to who began them, a person or an API credential; for everybody else they are not there. Messages are never " +
		"changed: who edits a question or asks for another answer begins a branch, and every branch stays. Writes take an Idempotency-Key, " +
		"messages an id of their own: sent again, nothing is done twice. `POST /v1/chat/completions` is for OpenAI's clients."
	sending = "Server-sent events, each with an id: `start` with the answer's row, `delta` with text to append, `citation` with what stands " +
		"behind the [n] of the text, at last `done`, or `error` when the answer is not whole. Comments keep a silent connection open.\n\n" +
		"Who loses the connection misses nothing: the answer goes on, and follow-answer gives the rest from behind the last id. The same " +
		"message id with the same content is the same message: its answer is sent from the beginning. While another answer is being made " +
		"in the session the problem is 409, with its id in `errors[]` at `session.answering`.\n\n" +
		"`parent` is the message that is followed; without it the session's newest, with `root` none. Without `content`, a `parent` of the person gets another answer, " +
		"and an answer that was stopped or interrupted is gone on with."
	following = "The events of the answer that the Last-Event-ID names, from behind it; without one, of the answer that is being made, from " +
		"its beginning. Any instance can be asked. 204 when nothing will come any more, upon which an EventSource stops."
)

// paid is for what a model is asked for.
func paid(op huma.Operation) huma.Operation {
	op.Errors = append(op.Errors, http.StatusPaymentRequired)
	return op
}
