package chat

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

const inSession = `{"model":"lectern","messages":[{"role":"system","content":"Be a pirate."},{"role":"user","content":"elsewhere"},{"role":"user","content":`

// bound sends a question with OpenAI's API in a session; more is what the body has besides.
func (r *rig) bound(session, question, more string, headers ...string) edgetest.Answer {
	r.t.Helper()
	return r.do("POST", "/v1/chat/completions", inSession+`"`+question+`"}]`+more+`}`, append([]string{"X-Lectern-Session", session}, headers...)...)
}

// said gives the messages of a session, as "role: content".
func (r *rig) said(session string) (all []string) {
	r.t.Helper()
	for _, m := range edgetest.Into[edge.List[conversation.Message]](r.do("GET", "/v1/chat/sessions/"+session+"/messages", nil).Want(200)).Items {
		all = append(all, string(m.Role)+": "+m.Content)
	}
	return all
}

// errorOf decodes an error in OpenAI's form and gives its code.
func errorOf(t *testing.T, a edgetest.Answer) string {
	t.Helper()
	e := strict[apiError](t, a.Body.String())
	if e.Error.Code == nil {
		return ""
	}
	return *e.Error.Code
}

// The last message becomes one of the session, which answers from its own history.
func TestCompletionsInASession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session := r.session()
	first := r.bound(session, "What is an owl?", "").Want(200)
	c := strict[completion](t, first.Body.String())
	if m := c.Choices[0]; *m.Message.Content != "Owls hunt at night." || m.FinishReason != "stop" || c.Model != "scripted-1" || c.Usage != (completionUsage{100, 10, 110}) {
		t.Errorf("%+v", c)
	}
	if id := first.Header().Get("X-Lectern-Message"); id == "" || c.ID != "chatcmpl-"+id {
		t.Errorf("the message is %q", id)
	}

	r.model.says(func(_ context.Context, req llm.Request, say func(string) error) error {
		var shown []string
		for _, m := range req.Messages {
			if m.Role != llm.System {
				shown = append(shown, string(m.Role)+": "+m.Text)
			}
		}
		if diff := cmp.Diff([]string{"user: What is an owl?", "assistant: Owls hunt at night.", "user: And a rook?"}, shown); diff != "" {
			t.Error(diff)
		}
		if string(req.Extra["temperature"]) != "0.5" || len(req.Extra) != 1 || req.MaxTokens != 7 {
			t.Errorf("%s %d", req.Extra, req.MaxTokens)
		}
		return say("A bird.")
	})
	second := r.bound(session, "And a rook?", `,"stream":true,"temperature":0.5,"max_tokens":7,"stream_options":{"include_usage":true},"response_format":{"type":"text"},"parallel_tool_calls":true`).Want(200)
	events := dataOf(t, second.Body.String())
	if n := len(events); events[n-1] != "[DONE]" || strict[completionChunk](t, events[n-2]).Usage.Total != 110 || !strings.Contains(second.Body.String(), "A bird.") {
		t.Errorf("%s", second.Body)
	}
	want := []string{"user: What is an owl?", "assistant: Owls hunt at night.", "user: And a rook?", "assistant: A bird."}
	if diff := cmp.Diff(want, r.said(session)); diff != "" {
		t.Error(diff)
	}
}

func TestCompletionsInASessionAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session := r.session()
	for _, as := range []string{"stranger", "learner", "program"} {
		a := r.bound(session, "Hello", "", "Authorization", as).Want(404)
		if errorOf(t, a) != "session_not_found" {
			t.Errorf("%s: %s", as, a.Body)
		}
	}
	r.bound("ses_nothing", "Hello", "").Want(404)
	for _, more := range []string{
		`,"tools":[{"type":"function","function":{"name":"x"}}]`, `,"tool_choice":"auto"`, `,"response_format":{"type":"json_object"}`, `,"max_tokens":1,"max_completion_tokens":1`,
	} {
		r.bound(session, "Hello", more).Want(400)
	}
	r.do("POST", "/v1/chat/completions", `{"model":"lectern","messages":[{"role":"assistant","content":"Hello"}]}`, "X-Lectern-Session", session).Want(400)
	r.bound(session, "", "").Want(400)
	r.bound(session, "Hello", "", "Idempotency-Key", strings.Repeat("k", 256)).Want(400)
	if said := r.said(session); len(said) > 0 {
		t.Errorf("%q", said)
	}
}

// F50: one answer at a time; OpenAI's clients are told to come again.
func TestCompletionsInABusySession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session := r.session()
	goOn := make(chan struct{})
	r.model.says(held(goOn, "One ", "two."))
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() { // a reader who leaves
		defer close(gone)
		q := edgetest.Request(t, "POST", "/v1/chat/completions", inSession+`"First"}],"stream":true}`, "X-Lectern-Session", session)
		r.ServeHTTP(httptest.NewRecorder(), q.WithContext(ctx))
	}()
	eventually(t, func() bool { return len(r.said(session)) == 2 })
	a := r.bound(session, "Second", "").Want(409)
	if errorOf(t, a) != "session_busy" || a.Header().Get("X-Should-Retry") != "true" {
		t.Errorf("%v %s", a.Header(), a.Body)
	}
	leave()
	<-gone
	close(goOn)
	eventually(t, func() bool { return r.said(session)[1] == "assistant: One two." })
	if said := r.said(session); len(said) != 2 {
		t.Errorf("%q", said)
	}
}

// A request that OpenAI's clients send again by themselves, or one with the same key,
// is the same message; the same words asked once more are not.
func TestCompletionsSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session := r.session()
	first := r.bound(session, "Yes", "", "X-Stainless-Retry-Count", "0").Want(200)
	again := r.bound(session, "Yes", "", "X-Stainless-Retry-Count", "1").Want(200)
	if a, b := first.Header().Get("X-Lectern-Message"), again.Header().Get("X-Lectern-Message"); a != b || strict[completion](t, again.Body.String()).Choices[0].FinishReason != "stop" {
		t.Errorf("%s and %s: %s", a, b, again.Body)
	}
	if said := r.said(session); len(said) != 2 {
		t.Errorf("%q", said)
	}
	r.bound(session, "Yes", "", "X-Stainless-Retry-Count", "0").Want(200)
	r.bound(session, "Yes", "").Want(200)
	r.bound(session, "No", "", "X-Stainless-Retry-Count", "2").Want(200) // what it repeats never came
	if said := r.said(session); len(said) != 8 {
		t.Errorf("%q", said)
	}
	r.exec(`ALTER TABLE messages DISABLE TRIGGER USER`)
	r.exec(`UPDATE messages SET created_at = created_at - interval '11 minutes'`)
	r.bound(session, "No", "", "X-Stainless-Retry-Count", "1").Want(200) // no client waits for so long
	if said := r.said(session); len(said) != 10 {
		t.Errorf("%q", said)
	}
	for range 2 {
		r.bound(session, "Keyed", "", "Idempotency-Key", "k 1").Want(200)
	}
	a := r.bound(session, "Other words", "", "Idempotency-Key", "k 1").Want(409)
	if said := r.said(session); len(said) != 12 || errorOf(t, a) != "conflict" || a.Header().Get("X-Should-Retry") != "false" {
		t.Errorf("%q %v %s", said, a.Header(), a.Body)
	}
}

// F41: an answer that another process goes on with does not end here.
func TestCompletionsAreHandedOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session := r.session()
	r.model.says(held(nil, "One ", ""))
	read := make(chan edgetest.Answer)
	go func() { read <- r.bound(session, "Count", `,"stream":true`) }()
	eventually(t, func() bool { return len(r.said(session)) == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 2100*time.Millisecond) // of which 2 s are for handing over
	defer cancel()
	r.drain(ctx)
	if text := (<-read).Body.String(); strings.Contains(text, "[DONE]") || !strings.Contains(text, `"error"`) {
		t.Errorf("%s", text)
	}
}

// Who sends a request again after its answer broke off wants another answer to the
// same question, and a broken answer is never told as whole.
func TestCompletionsThatBrokeOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session := r.session()
	r.model.says(func(_ context.Context, _ llm.Request, say func(string) error) error {
		return fault.New(fault.Unavailable, "The language model cannot be reached.")
	})
	const wishes = `,"temperature":0.5,"max_tokens":7`
	a := r.bound(session, "Well?", wishes, "X-Stainless-Retry-Count", "0")
	if a.Code != http.StatusServiceUnavailable {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	r.model.says(func(_ context.Context, req llm.Request, say func(string) error) error {
		if string(req.Extra["temperature"]) != "0.5" || req.MaxTokens != 7 {
			t.Errorf("the next answer is asked for with %s, %d", req.Extra, req.MaxTokens)
		}
		return say("Well.")
	})
	c := strict[completion](t, r.bound(session, "Well?", wishes, "X-Stainless-Retry-Count", "1").Want(200).Body.String())
	if *c.Choices[0].Message.Content != "Well." {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff([]string{"user: Well?", "assistant: ", "assistant: Well."}, r.said(session)); diff != "" {
		t.Error(diff)
	}

	goOn := make(chan struct{})
	r.model.says(held(goOn, "One ", "two."))
	stopped := make(chan edgetest.Answer)
	go func() { stopped <- r.bound(session, "Go on", `,"stream":true`) }()
	eventually(t, func() bool { return len(r.said(session)) == 5 })
	r.do("DELETE", "/v1/chat/sessions/"+session+"/stream", nil).Want(204)
	if text := (<-stopped).Body.String(); strings.Contains(text, "[DONE]") || strings.Contains(text, `"finish_reason":"stop"`) || !strings.Contains(text, "was stopped") {
		t.Errorf("%s", text)
	}
}

// An answer whose last event does not come, or says that it broke off, is told as broken,
// whatever was said of it.
func TestCompletionsWithoutAnEnd(t *testing.T) {
	t.Parallel()
	message := conversation.Message{State: conversation.Complete, Model: "m", Finish: "stop"}
	cut := conversation.Message{State: conversation.Interrupted, Problem: "It broke."}
	for name, c := range map[string]struct {
		last  any
		err   error
		words string
	}{
		"whole":        {last: conversation.Done{Message: message}},
		"no last":      {words: "broke off"},
		"broken":       {last: conversation.Broken{Message: cut}, words: "It broke."},
		"cannot go on": {last: conversation.Done{Message: message}, err: fault.New(fault.Unavailable, "read on elsewhere"), words: "read on elsewhere"},
	} {
		said := ""
		end, err := heard(t.Context(), func(_ context.Context, send func(conversation.Event) error) error {
			if err := send(conversation.Event{Name: "delta", Data: conversation.TextDelta{Text: "Owls"}}); err != nil {
				return err
			}
			if c.last != nil {
				if err := send(conversation.Event{Name: "last", Data: c.last}); err != nil {
					return err
				}
			}
			return c.err
		}, func(p llm.Piece) error { said += p.Text; return nil })
		if said != "Owls" || (c.words == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.words) || (end.model == "m") != (err == nil) {
			t.Errorf("%s: %q, %+v, %v", name, said, end, err)
		}
	}
}
