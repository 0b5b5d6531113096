package chat

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/llm"
)

const (
	sessionHeader = "X-Lectern-Session" // binds a completion to a session
	messageHeader = "X-Lectern-Message" // tells the answer's message
	keyHeader     = "Idempotency-Key"
	// retryHeader is how OpenAI's clients say that they send a request again, and how often
	// they did. They send no key.
	retryHeader = "X-Stainless-Retry-Count"
	// retriesEnd is when a request is no retry of one before it: the clients' timeout and their pauses.
	retriesEnd = 11 * time.Minute
)

// bindable declares the headers of a completion in a session.
func bindable(op huma.Operation) huma.Operation {
	text := func(most int) *huma.Schema { return &huma.Schema{Type: huma.TypeString, MaxLength: &most} }
	op.Parameters = append(op.Parameters,
		&huma.Param{Name: sessionHeader, In: "header", Schema: text(64), Description: "The session that the last message becomes one of"},
		&huma.Param{Name: keyHeader, In: "header", Schema: text(255), Description: "In a session: with the same key it is the same message"},
		&huma.Param{Name: retryHeader, In: "header", Schema: text(20), Description: "In a session: more than 0 says that the newest message is sent again, as OpenAI's clients do by themselves"},
	)
	op.Responses["200"].Headers = map[string]*huma.Param{
		messageHeader: {Description: "In a session: the id of the answer's message", Schema: &huma.Schema{Type: huma.TypeString}},
	}
	return op
}

// completeInSession sends the last message as one of a session, and answers with what
// the tutor says.
func (s *server) completeInSession(w http.ResponseWriter, r *http.Request, p account.Principal, session string, in *completionRequest) error {
	prompt, err := in.prompt()
	if err != nil {
		return err
	}
	again, err := s.identify(r, p, session, in, &prompt)
	if err != nil {
		return noSession(err)
	}
	if err := s.guard.ask(r.Context(), p); err != nil {
		return err
	}
	ctx, end := bounded(r.Context(), edge.Draining(r.Context()))
	defer end()
	done, err := s.guard.read(ctx, p)
	if err != nil {
		return err
	}
	defer done()
	turn, err := s.tutor.Send(ctx, p, session, prompt)
	if err == nil && again && turn.Again && (turn.Answer.State == conversation.Failed || turn.Answer.State == conversation.Interrupted) {
		// OpenAI's clients cannot go on with an answer that broke off: they want another.
		turn, err = s.tutor.Send(ctx, p, session, conversation.Prompt{Parent: turn.Question.ID, Extra: prompt.Extra, MaxTokens: prompt.MaxTokens})
	}
	if err != nil {
		return noSession(err)
	}
	w.Header().Set(messageHeader, turn.Answer.ID)
	return respond(ctx, w, in, newCompletion("chatcmpl-"+turn.Answer.ID, s.Model.Name()), s.follow(p, session, turn.Answer.ID))
}

// noSession says in OpenAI's words that a session is not there, or not theirs.
func noSession(err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != fault.NotFound {
		return err
	}
	told := fault.Wrap(fault.NotFound, err, "%s", e.Message)
	told.Fields = []fault.Field{{Location: sessionField, Message: "no such session"}}
	return told
}

// prompt is what is sent to the session.
func (in *completionRequest) prompt() (conversation.Prompt, error) {
	last := len(in.Messages) - 1
	param := "messages[" + strconv.Itoa(last) + "]"
	if in.Messages[last].Role != "user" {
		return conversation.Prompt{}, wrong(param+".role", "in a session the last message is the user's")
	}
	m, err := in.Messages[last].message(param)
	if err != nil {
		return conversation.Prompt{}, err
	}
	var format responseFormat
	_ = json.Unmarshal(in.ResponseFormat, &format) // its form has been checked; absent, it is empty
	switch {
	case !absent(in.Tools):
		return conversation.Prompt{}, wrong("tools", "a session's tutor calls no tools")
	case !absent(in.ToolChoice):
		return conversation.Prompt{}, wrong("tool_choice", "a session's tutor calls no tools")
	case format.Type != "" && format.Type != "text":
		return conversation.Prompt{}, wrong("response_format", "a session's tutor answers with text")
	case in.MaxTokens > 0 && in.MaxCompletionTokens > 0:
		return conversation.Prompt{}, wrong("max_tokens", "it cannot be sent together with max_completion_tokens")
	}
	extra, err := in.extra()
	delete(extra, "response_format")
	delete(extra, "parallel_tool_calls")
	return conversation.Prompt{Content: m.Text, Extra: extra, MaxTokens: max(in.MaxTokens, in.MaxCompletionTokens)}, err
}

// identify gives the message its id, so that a request that is sent again is the same
// message; again tells whether this one may be. A key says so by itself. OpenAI's
// clients count: the first time gets a new id that begins with a digest of the
// request, by which the next one finds it.
func (s *server) identify(r *http.Request, p account.Principal, session string, in *completionRequest, prompt *conversation.Prompt) (again bool, err error) {
	if key := r.Header.Get(keyHeader); key != "" {
		if len(key) > 255 {
			return false, wrong("header."+keyHeader, "expected length <= 255")
		}
		prompt.ID = "key_" + digest(key)
		return true, nil
	}
	body, err := json.Marshal(in.Messages)
	if err != nil {
		return false, err
	}
	prefix := "req_" + digest(string(body))[:22] + "_"
	if count, err := strconv.Atoi(r.Header.Get(retryHeader)); err == nil && count > 0 {
		last, err := conversation.LastQuestion(r.Context(), s.DB, p, session)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return false, err
		}
		if err == nil && strings.HasPrefix(last.ID, prefix) && time.Since(last.CreatedAt) < retriesEnd {
			prompt.ID = last.ID
			return true, nil
		}
	}
	prompt.ID = id.New(strings.TrimSuffix(prefix, "_"))
	return false, nil
}

// digest has 43 characters that a message's id may have.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// follow reads an answer from its beginning. It goes on when nobody reads it.
func (s *server) follow(p account.Principal, session, answer string) answering {
	return func(ctx context.Context, emit func(llm.Piece) error) (ending, error) {
		read, err := s.tutor.Follow(ctx, p, session, answer, "")
		if err != nil {
			return ending{}, err
		}
		if read == nil {
			return ending{}, brokeOff()
		}
		return heard(ctx, read, emit)
	}
}

// heard passes on what is read of an answer, and tells how it ended: whole only when its
// last event said so.
func heard(ctx context.Context, read conversation.Reader, emit func(llm.Piece) error) (ending, error) {
	var last *conversation.Message
	err := read(ctx, func(e conversation.Event) error {
		switch data := e.Data.(type) {
		case conversation.TextDelta:
			return emit(llm.Piece{Text: data.Text})
		case json.RawMessage:
			if e.Name == "delta" {
				return emitDelta(data, emit)
			}
		case conversation.Done:
			last = &data.Message
		case conversation.Broken:
			last = &data.Message
		}
		return nil
	})
	switch {
	case err != nil || ctx.Err() != nil:
		return ending{}, errors.Join(err, reasonFor(ctx, ctx.Err()))
	case last == nil:
		return ending{}, brokeOff()
	}
	return endingOf(*last)
}

func emitDelta(data []byte, emit func(llm.Piece) error) error {
	var delta conversation.TextDelta
	if err := json.Unmarshal(data, &delta); err != nil {
		return err
	}
	return emit(llm.Piece{Text: delta.Text})
}

// endingOf tells how the answer ended that a message holds. One that was stopped is
// not whole, and nothing in OpenAI's format says so but an error.
func endingOf(m conversation.Message) (ending, error) {
	switch m.State {
	case conversation.Complete:
		end := ending{model: m.Model, finish: llm.Finish(m.Finish), citations: m.Citations}
		if m.Usage != nil {
			end.usage = completionUsage{m.Usage.Input, m.Usage.Output, m.Usage.Input + m.Usage.Output}
		}
		return end, nil
	case conversation.Stopped:
		return ending{}, fault.New(fault.Conflict, "The answer was stopped. What there was of it is kept in the session.")
	}
	if m.Problem != "" {
		return ending{}, fault.New(fault.Unavailable, "%s", m.Problem)
	}
	return ending{}, brokeOff()
}

func brokeOff() error {
	return fault.New(fault.Unavailable, "The answer broke off. What there was of it is kept in the session.")
}
