package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is a chat in memory that does all that it should, except for one fault.
type fake struct {
	fault string
	model string

	mu       sync.Mutex
	next     int
	sessions map[string]*talk
	refused  int // 429s that were given
	answers  int // that were asked for
}

// talk is a session of somebody.
type talk struct {
	id, key, title string
	messages       []*said
	sent           map[string]*said // answers, by the message that they answer
	running        *said
}

// said is a message; of an assistant, with its events so far.
type said struct {
	message
	events  []string // whole, without the id
	changed chan struct{}
	stop    context.CancelFunc
	follows int
}

func newFake(t *testing.T, fault string) (*fake, string) {
	f := &fake{fault: fault, model: "fake-1", sessions: map[string]*talk{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/chat/tasks", f.tasks)
	mux.HandleFunc("GET /v1/chat/sessions", f.list)
	mux.HandleFunc("POST /v1/chat/sessions", f.create)
	mux.HandleFunc("GET /v1/chat/sessions/{session}", f.in(f.read))
	mux.HandleFunc("DELETE /v1/chat/sessions/{session}", f.in(f.remove))
	mux.HandleFunc("GET /v1/chat/sessions/{session}/messages", f.in(f.messages))
	mux.HandleFunc("GET /v1/chat/sessions/{session}/messages/{message}", f.in(f.messages))
	mux.HandleFunc("GET /v1/chat/sessions/{session}/checkpoints", f.in(f.checkpoints))
	mux.HandleFunc("POST /v1/chat/sessions/{session}/messages", f.in(f.send))
	mux.HandleFunc("GET /v1/chat/sessions/{session}/stream", f.in(f.follow))
	mux.HandleFunc("DELETE /v1/chat/sessions/{session}/stream", f.in(f.end))
	mux.HandleFunc("POST /v1/chat/sessions/{session}/checkpoints/{checkpoint}/replays", f.in(f.replay))
	mux.HandleFunc("POST /v1/chat/sessions/{session}/checkpoints/{checkpoint}/forks", f.in(f.fork))
	mux.HandleFunc("GET /v1/models", f.models)
	mux.HandleFunc("POST /v1/chat/completions", f.complete)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if key := r.Header.Get("Authorization"); key != "Bearer key" && key != "Bearer other" && f.fault != "open to all" {
			f.refuse(w, r, http.StatusUnauthorized, "Sign in first.", nil)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return f, server.URL
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (f *fake) refuse(w http.ResponseWriter, r *http.Request, status int, detail string, errors any) {
	if strings.HasPrefix(r.URL.Path, "/v1/chat/completions") && f.fault != "errors of another shape" {
		reply(w, status, map[string]any{"error": map[string]any{"message": detail, "type": "invalid_request_error", "code": nil}})
		return
	}
	reply(w, status, map[string]any{"title": http.StatusText(status), "status": status, "detail": detail, "errors": errors})
}

func (f *fake) name(kind string) string {
	f.next++
	return fmt.Sprintf("%s_%026d", kind, f.next)
}

func (f *fake) tasks(w http.ResponseWriter, _ *http.Request) {
	names := []string{"tutor", "explain", "quiz-me", "summarise"}
	if f.fault == "a task is missing" {
		names = names[1:]
	}
	var items []any
	for _, n := range names {
		items = append(items, map[string]string{"task": n})
	}
	reply(w, http.StatusOK, map[string]any{"items": items})
}

func (f *fake) list(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	items := []any{}
	for id := range f.sessions {
		items = append(items, map[string]string{"id": id})
	}
	reply(w, http.StatusOK, map[string]any{"items": items})
}

func (f *fake) create(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var in struct{ Title string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	s := &talk{id: f.name("ses"), key: r.Header.Get("Authorization"), title: in.Title, sent: map[string]*said{}}
	f.sessions[s.id] = s
	reply(w, http.StatusCreated, map[string]string{"id": s.id, "title": s.title})
}

// in finds the session, which only who made it may see. What it calls holds the lock.
func (f *fake) in(handle func(http.ResponseWriter, *http.Request, *talk)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		s := f.sessions[r.PathValue("session")]
		if s == nil || s.key != r.Header.Get("Authorization") && f.fault != "others may look" {
			f.refuse(w, r, http.StatusNotFound, "There is no such session.", nil)
			return
		}
		handle(w, r, s)
	}
}

func (f *fake) read(w http.ResponseWriter, _ *http.Request, s *talk) {
	reply(w, http.StatusOK, map[string]string{"id": s.id, "title": s.title})
}

func (f *fake) remove(w http.ResponseWriter, _ *http.Request, s *talk) {
	if f.fault != "nothing is deleted" {
		delete(f.sessions, s.id)
	}
	w.WriteHeader(http.StatusNoContent)
}

func row(m message) map[string]any {
	return map[string]any{
		"id": m.ID, "parent": m.Parent, "role": m.Role, "state": m.State, "content": m.Content, "model": m.Model,
		"created_at": m.CreatedAt, "finished_at": m.FinishedAt, "usage": map[string]int{"input_tokens": 3, "output_tokens": 4},
	}
}

func (f *fake) messages(w http.ResponseWriter, _ *http.Request, s *talk) {
	items := []any{}
	for _, m := range s.messages {
		if f.fault != "answers are not stored" || m.Role == "user" {
			items = append(items, row(m.message))
		}
	}
	reply(w, http.StatusOK, map[string]any{"items": items})
}

func (f *fake) checkpoints(w http.ResponseWriter, _ *http.Request, s *talk) {
	items := []any{}
	for _, m := range s.messages {
		if m.Role == "assistant" && f.fault != "no checkpoints" {
			items = append(items, map[string]string{"id": "chk_" + m.ID, "message": m.ID, "task": "tutor@1"})
		}
	}
	reply(w, http.StatusOK, map[string]any{"items": items})
}

// say appends an event of an answer.
func (f *fake) say(a *said, name string, data any) {
	encoded, _ := json.Marshal(data)
	a.events = append(a.events, fmt.Sprintf("event: %s\ndata: %s\n\n", name, encoded))
	close(a.changed)
	a.changed = make(chan struct{})
}

func (f *fake) send(w http.ResponseWriter, r *http.Request, s *talk) {
	var in newMessage
	_ = json.NewDecoder(r.Body).Decode(&in)
	a := s.sent[in.ID]
	switch {
	case a != nil && f.fault != "the same id is another message":
		if s.find(in.ID).Content != in.Content {
			f.refuse(w, r, http.StatusConflict, "That id is taken.", nil)
			return
		}
	case s.running != nil && f.fault != "two answers at once":
		where := []map[string]string{{"location": "session.answering", "message": s.running.ID}}
		if f.fault == "the running answer is not named" {
			where = nil
		}
		f.refuse(w, r, http.StatusConflict, "Another answer is being made.", where)
		return
	case f.limited(w, r):
		return
	default:
		a = f.answer(r.Context(), s, in)
	}
	f.stream(w, r, a, 0)
}

// limited gives refusals for a while, or for ever.
func (f *fake) limited(w http.ResponseWriter, r *http.Request) bool {
	f.answers++
	f.refused++
	switch {
	case f.fault == "a limit that passes" && f.refused <= 2:
		w.Header().Set("Retry-After", "1")
	case f.fault == "a limit that does not":
		w.Header().Set("Retry-After", "3600")
	case f.fault == "the budget is spent":
		f.refuse(w, r, http.StatusPaymentRequired, "This month's budget is spent.", nil)
		return true
	default:
		return false
	}
	f.refuse(w, r, http.StatusTooManyRequests, "You have asked too often.", nil)
	return true
}

func (s *talk) find(id string) *said {
	for _, m := range s.messages {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// answer begins an answer, which goes on when its reader goes.
func (f *fake) answer(reader context.Context, s *talk, in newMessage) *said {
	if s.find(in.ID) == nil {
		s.messages = append(s.messages, &said{message: message{ID: in.ID, Role: "user", State: "complete", Content: in.Content, CreatedAt: time.Now()}})
	}
	a := &said{message: message{ID: f.name("msg"), Parent: in.ID, Role: "assistant", State: "streaming", CreatedAt: time.Now()}, changed: make(chan struct{})}
	s.messages, s.sent[in.ID] = append(s.messages, a), a
	if s.running == nil {
		s.running = a
	}
	ctx, cancel := context.WithCancel(context.Background())
	if f.fault == "an answer ends with its reader" {
		ctx, cancel = context.WithCancel(reader)
	}
	a.stop = cancel
	f.say(a, "start", map[string]any{"message": row(a.message), "session": s.id})
	go f.speak(ctx, s, a, in.Content == longQuestion)
	return a
}

func (f *fake) replay(w http.ResponseWriter, r *http.Request, s *talk) {
	a := s.find(strings.TrimPrefix(r.PathValue("checkpoint"), "chk_"))
	if f.fault != "a replay is the old answer" {
		a = f.answer(r.Context(), s, newMessage{ID: a.Parent, Content: s.find(a.Parent).Content})
	}
	f.stream(w, r, a, 0)
}

func (f *fake) fork(w http.ResponseWriter, r *http.Request, s *talk) {
	fork := &talk{id: f.name("ses"), key: s.key, sent: map[string]*said{}}
	for _, m := range s.messages {
		if f.fault != "a fork is empty" {
			fork.messages = append(fork.messages, m)
		}
	}
	f.sessions[fork.id] = fork
	reply(w, http.StatusCreated, map[string]string{"id": fork.id})
}

// speak makes an answer. A long one waits in the middle to be stopped, or followed.
func (f *fake) speak(ctx context.Context, s *talk, a *said, long bool) {
	for n := range 12 {
		time.Sleep(time.Millisecond)
		f.mu.Lock()
		text := fmt.Sprintf("word %d é ", n)
		a.Content += text
		f.say(a, "delta", map[string]string{"text": text})
		f.mu.Unlock()
		for n == 5 && long && ctx.Err() == nil {
			f.mu.Lock()
			followed := a.follows > 2
			f.mu.Unlock()
			if followed {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if ctx.Err() != nil {
			break
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	a.State, a.Model, a.FinishedAt = "complete", f.model, &now
	if ctx.Err() != nil && f.fault != "stopped is said to be complete" {
		a.State = "stopped"
	}
	if ctx.Err() != nil && f.fault == "what was stopped is lost" {
		a.Content = ""
	}
	if s.running == a {
		s.running = nil
	}
	if f.fault == "complete with other words" {
		a.Content += "and more"
	}
	f.say(a, "done", map[string]any{"message": row(a.message), "model": a.Model})
}

func (f *fake) end(w http.ResponseWriter, _ *http.Request, s *talk) {
	if s.running != nil && f.fault != "nothing is stopped" {
		s.running.stop()
	}
	w.WriteHeader(http.StatusNoContent)
}

func (f *fake) follow(w http.ResponseWriter, r *http.Request, s *talk) {
	id, number, _ := strings.Cut(r.Header.Get("Last-Event-ID"), ".")
	n, _ := strconv.Atoi(number)
	a := s.find(id)
	if a == nil {
		f.refuse(w, r, http.StatusNotFound, "There is no such answer.", nil)
		return
	}
	a.follows++
	if a.FinishedAt != nil && n == len(a.events)-1 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	from := n + 1
	switch f.fault {
	case "an event comes twice":
		from = n
	case "an event is lost":
		from = min(n+2, len(a.events)-1)
	case "every resumption begins anew":
		from = 0
	}
	f.stream(w, r, a, from)
}

// stream sends the events of an answer. It is called with the lock, which it gives up
// while it waits.
func (f *fake) stream(w http.ResponseWriter, r *http.Request, a *said, from int) {
	w.Header().Set("Content-Type", map[bool]string{false: "text/event-stream", true: "text/plain"}[f.fault == "not an event stream"])
	if f.fault != "streams may be cached" {
		w.Header().Set("Cache-Control", "no-store")
	}
	fmt.Fprint(w, "retry: 1000\n\n")
	for n := from; ; n++ {
		for n >= len(a.events) {
			if a.FinishedAt != nil {
				return
			}
			changed := a.changed
			f.mu.Unlock()
			select {
			case <-changed:
			case <-r.Context().Done():
			}
			f.mu.Lock()
			if r.Context().Err() != nil {
				return
			}
		}
		e := a.events[n]
		last := strings.HasPrefix(e, "event: done")
		switch {
		case f.fault == "cut, and said to be whole" && last:
			return
		case f.fault == "bytes are lost" && n == 4:
			e = strings.Replace(e, "é", "", 1)
		case f.fault == "bytes are lost later" && n == 4 && from > 0:
			e = strings.Replace(e, "é", "", 1)
		case f.fault == "the connection breaks" && n == 4:
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case f.fault == "not JSON" && n == 4:
			e = "event: delta\ndata: {\"text\":\n\n"
		}
		if f.fault != "ids are forgotten" {
			number := n
			if f.fault == "ids are not in order" && n > 3 {
				number++
			}
			e = fmt.Sprintf("id: %s.%d\n%s", a.ID, number, e)
		}
		fmt.Fprint(w, e)
		_ = http.NewResponseController(w).Flush()
		if last {
			return
		}
	}
}

func (f *fake) models(w http.ResponseWriter, _ *http.Request) {
	data := []map[string]string{{"id": "lectern", "object": "model"}}
	if f.fault == "no models" {
		data = nil
	}
	reply(w, http.StatusOK, map[string]any{"object": "list", "data": data})
}

func (f *fake) complete(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Model    string
		Messages []any
		N        int
		Stream   bool
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	switch {
	case in.Model != "lectern" && f.fault != "any model is known":
		f.refuse(w, r, http.StatusNotFound, "There is no such model.", nil)
		return
	case len(in.Messages) == 0 || in.N > 1:
		f.refuse(w, r, http.StatusBadRequest, "That cannot be.", nil)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers++
	if s := f.sessions[r.Header.Get("X-Lectern-Session")]; s != nil && f.fault != "the session is not looked at" {
		s.messages = append(s.messages, &said{message: message{ID: f.name("msg"), Role: "assistant", Content: "hello"}})
	}
	usage := map[string]int{"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
	if !in.Stream {
		choice := map[string]any{"index": 0, "message": map[string]any{"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
		if f.fault == "no finish reason" {
			choice["finish_reason"] = nil
		}
		reply(w, http.StatusOK, map[string]any{"id": "c", "object": "chat.completion", "model": f.model, "choices": []any{choice}, "usage": usage})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	chunk := func(choices []any, usage any) {
		data, _ := json.Marshal(map[string]any{"id": "c", "object": "chat.completion.chunk", "model": f.model, "choices": choices, "usage": usage})
		fmt.Fprintf(w, "data: %s\n\n", data)
	}
	chunk([]any{map[string]any{"delta": map[string]string{"content": "hello"}}}, nil)
	if f.fault != "chunks without an end" {
		chunk([]any{map[string]any{"delta": map[string]string{}, "finish_reason": "stop"}}, nil)
	}
	if f.fault != "chunks without usage" {
		chunk([]any{}, usage)
	}
	if f.fault != "chunks without [DONE]" {
		fmt.Fprint(w, "data: [DONE]\n\n")
	}
}
