// Package chat is the tutor's API: sessions beside a course whose answers stream,
// with citations, and an endpoint that OpenAI's clients can use unchanged.
package chat

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
)

// Deps are the parts that the handler works with.
type Deps struct {
	DB     postgres.Beginner // of what people call: it sees an organisation at a time
	System postgres.Beginner // of all organisations together: who asks how often is counted there
	Relay  *relay.Relay
	Model  llm.Streamer // paid for, with its backup behind it
	// Afford says PaymentRequired when an organisation has nothing left to spend; see
	// conversation.Parts.
	Afford         func(ctx context.Context, q postgres.Querier, organization string) error
	Limits         Limits
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
		DB: d.DB, Relay: d.Relay, Model: d.Model, Afford: d.Afford, Report: s.report,
		Limits: conversation.Limits{AnswersPerUser: d.Limits.AnswersPerUser, AnswersPerOrganization: d.Limits.AnswersPerOrganization},
	})
	return s
}

// report is what happens when a turn is over: its tokens are counted, and it is told.
func (s *server) report(ctx context.Context, r conversation.Report) {
	s.guard.spent(ctx, r.Usage)
	s.observer.turn(ctx, r)
}

// drain lets answers go on, hands over the others, and has what was measured sent.
func (s *server) drain(ctx context.Context) {
	s.tutor.Drain(ctx)
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

	edge.RegisterStream(api, talkers, paid(post("send-message", "/v1/chat/sessions/{session}/messages", "Send a message", sending)), events, s.sendMessage)
	edge.RegisterStream(api, talkers, get("follow-answer", "/v1/chat/sessions/{session}/stream", "Follow an answer", following), events, s.followAnswer)
	edge.Register(api, talkers, remove("stop-answer", "/v1/chat/sessions/{session}/stream", "Stop the answer", "The one that is being made; what there is of it is kept. It is no error when there is none."), s.stopAnswer)

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

// operation is what all of them share.
func operation(method, id, path, summary, description string, status int) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Description: description, DefaultStatus: status}
}

func get(id, path, summary, description string) huma.Operation {
	return operation(http.MethodGet, id, path, summary, description, http.StatusOK)
}

func post(id, path, summary, description string) huma.Operation {
	return operation(http.MethodPost, id, path, summary, description, http.StatusCreated)
}

func patch(id, path, summary, description string) huma.Operation {
	return operation(http.MethodPatch, id, path, summary, description, http.StatusOK)
}

func remove(id, path, summary, description string) huma.Operation {
	return operation(http.MethodDelete, id, path, summary, description, http.StatusNoContent)
}

// paid is for what a model is asked for.
func paid(op huma.Operation) huma.Operation {
	op.Errors = append(op.Errors, http.StatusPaymentRequired)
	return op
}

// who gives the principal that the gate has put into ctx.
func who(ctx context.Context) (account.Principal, error) {
	p, ok := account.From(ctx)
	if !ok {
		return p, fault.New(fault.Unauthenticated, "Sign in first.")
	}
	return p, nil
}
