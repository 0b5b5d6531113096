package chat

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/llm"
)

const (
	// longestCompletion is how long OpenAI's clients wait by default.
	longestCompletion = 10 * time.Minute
	// drainCompletion is how long an answer may go on when the process has been told to
	// stop: nobody else can go on with it, and the server waits for 8 s.
	drainCompletion = 6 * time.Second
	// writeCompletion is how long a client may take to read a whole answer.
	writeCompletion = 30 * time.Second
)

// compatible adds the endpoints that OpenAI's clients use, unchanged.
func (s *server) compatible(api *edge.API) {
	short := edge.Foreign{Dialect: inOpenAIsWords}
	long := edge.Foreign{Dialect: inOpenAIsWords, Long: true}

	edge.RegisterForeign(api, talkers, answersWith[modelList](api, edge.Read("list-models", "/v1/models", "List models", listing)), short, s.listModels)
	edge.RegisterForeign(api, talkers, answersWith[modelInfo](api, inPath("model", edge.Read("get-model", "/v1/models/{model}", "Read a model", "One of those that GET /v1/models lists."))), short, s.getModel)
	completion := bindable(streamed(api, answersWith[completion](api,
		edge.Operation(http.MethodPost, "create-completion", "/v1/chat/completions", "Complete a chat", completing, http.StatusOK))))
	completion.Errors = append(completion.Errors, http.StatusNotFound) // of the model or the session
	edge.RegisterForeign(api, talkers, completion, long, s.complete)
}

const (
	listing    = "The models that completions can name. Whichever is named, whoever is configured answers, and its answer says who that was."
	completing = "OpenAI's API: its clients work unchanged, with an API credential, `<auth_id>.<secret>`, as the key. Errors have OpenAI's form.\n\n" +
		"Nothing is stored, and an answer ends when its reader goes. With the header X-Lectern-Session the last message, which must be the " +
		"user's, becomes one of that session: it is answered from the session's own history and material, with citations, and stored with its " +
		"answer, which goes on when the reader goes. The other messages are not looked at then, and tools and forms of answers not taken."
)

// answersWith declares the body of the answer.
func answersWith[T any](api *edge.API, op huma.Operation) huma.Operation {
	t := reflect.TypeFor[T]()
	op.Responses = map[string]*huma.Response{"200": {
		Description: http.StatusText(http.StatusOK),
		Content:     map[string]*huma.MediaType{"application/json": {Schema: api.OpenAPI().Components.Schemas.Schema(t, true, t.Name())}},
	}}
	return op
}

// streamed declares that it may be a stream as well.
func streamed(api *edge.API, op huma.Operation) huma.Operation {
	t := reflect.TypeFor[completionChunk]()
	op.Responses["200"].Content["text/event-stream"] = &huma.MediaType{Schema: &huma.Schema{
		Type: huma.TypeArray, Items: api.OpenAPI().Components.Schemas.Schema(t, true, t.Name()),
		Description: "The data of the events; the last is [DONE] and no JSON. An answer that breaks off ends with an error and without it.",
	}}
	return op
}

func inPath(name string, op huma.Operation) huma.Operation {
	op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}, Example: ownName})
	return op
}

// complete answers a request, by itself or in a session.
func (s *server) complete(w http.ResponseWriter, r *http.Request, in *completionRequest) error {
	p, err := account.Who(r.Context())
	if err != nil {
		return err
	}
	if err := s.known(in.Model); err != nil {
		return err
	}
	if session := r.Header.Get(sessionHeader); session != "" {
		return s.completeInSession(w, r, p, session, in)
	}
	req, err := in.question()
	if err != nil {
		return err
	}
	if err := s.guard.ask(r.Context(), p); err != nil {
		return err
	}
	ctx, end := bounded(r.Context(), edge.Draining(r.Context()))
	defer end()
	done, err := s.guard.answer(ctx, p)
	if err != nil {
		return err
	}
	defer done()
	c := newCompletion(strings.Replace(id.New("chatcmpl"), "_", "-", 1), s.Model.Name())
	return respond(ctx, w, in, c, func(ctx context.Context, emit func(llm.Piece) error) (ending, error) {
		return s.askModel(ctx, p, c.ID, req, emit)
	})
}

// askModel has the model answer, and tells operators how it went.
func (s *server) askModel(ctx context.Context, p account.Principal, answer string, req llm.Request, emit func(llm.Piece) error) (ending, error) {
	ctx, spent := budget.Counting(ctx)
	begun := time.Now()
	report := conversation.Report{Organization: p.Organization, User: p.User, Message: answer, Task: "completion"}
	var unread error // the client's
	resp, err := s.Model.Stream(ctx, req, func(piece llm.Piece) error {
		if report.TTFB == 0 {
			report.TTFB = time.Since(begun)
		}
		unread = emit(piece)
		return unread
	})
	report.TTLB = time.Since(begun)
	report.Model, report.Usage, report.Tries, report.CostMicros = cmp.Or(resp.Model, s.Model.Name()), resp.Usage, resp.Tries, spent.Micros()
	switch err = reasonFor(ctx, err); {
	case err == nil:
		report.State = conversation.Complete
	case unread != nil || gone(ctx):
		report.State, report.Disconnects = conversation.Stopped, 1
	case report.TTFB > 0:
		report.State, report.Error = conversation.Interrupted, err
	default:
		report.State, report.Error = conversation.Failed, err
	}
	s.report(context.WithoutCancel(ctx), report)
	return ending{model: report.Model, finish: resp.Finish, usage: usageOf(resp.Usage)}, err
}

// gone tells whether a context ended because the client went away.
func gone(ctx context.Context) bool { return errors.Is(context.Cause(ctx), context.Canceled) }

var errRestarting = errors.New("the process has been told to stop")

// bounded gives a context that ends when an answer has taken too long, or the process
// cannot wait for it any more once it has been told to stop.
func bounded(ctx context.Context, draining <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithTimeout(ctx, longestCompletion)
	ctx, end := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-draining:
		}
		last := time.NewTimer(drainCompletion)
		defer last.Stop()
		select {
		case <-ctx.Done():
		case <-last.C:
			end(errRestarting)
		}
	}()
	return ctx, func() {
		end(nil)
		stop()
	}
}

// reasonFor says why an answer broke off, when that was not the model's doing.
func reasonFor(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errRestarting):
		return fault.Wrap(fault.Unavailable, err, "The server is being restarted. Send the request again.")
	case errors.Is(cause, access.ErrNotAdmitted):
		return fault.Wrap(fault.Unauthenticated, err, "The key is not valid any more.")
	case errors.Is(cause, context.DeadlineExceeded):
		return fault.Wrap(fault.Unavailable, err, "The answer took too long.")
	}
	return err
}

func writeJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeCompletion)) // a recorder has none
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // the client may be gone
	return nil
}
