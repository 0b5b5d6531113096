package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
)

// fakeChat answers as functions/chat does: sessions, a tree of messages, and answers
// that stream from a log, as a script says.
type fakeChat struct {
	sessions []session
	messages map[string][]*message // by session, in order
	tasks    []task
	memories []memory
	prompts  []prompt // what was asked, as it came
	refuse   error    // what the next question is refused with
	seen     []string // "POST /v1/chat/… Last-Event-ID"

	words   []string      // of every answer, each an event
	pace    chan struct{} // nil: as fast as can be; else each event waits for a value
	first   int           // this many events wait for nothing
	breaks  int           // so many times all lines have broken
	mute    int           // this many of the next questions get a line that breaks at once
	ending  message       // what an answer is in the end: state, problem, quiz, citations
	rejects int           // this many of the next requests for the stream are refused for now

	grown *sync.Cond // an answer has
	log   map[string][]edge.Message
	stop  map[string]bool
	count int
}

func newFakeChat(mu *sync.Mutex) *fakeChat {
	return &fakeChat{
		messages: map[string][]*message{}, log: map[string][]edge.Message{}, stop: map[string]bool{}, grown: sync.NewCond(mu),
		tasks: []task{{"explain", "Explain"}, {"quiz-me", "Quiz me"}, {"socratic", "Only ask me questions"}, {"summarise", "Summarise"}, {"tutor", "Tutor"}},
		memories: []memory{
			{ID: "mem_1", Course: courseID, Kind: "asked", Content: "Why is the light called Internet off?", CreatedAt: now},
			{ID: "mem_2", Course: courseID, Kind: "missed", Content: "Which part joins the cables?", CreatedAt: now},
		},
		words:  []string{"A router is **three devices** ", "in one box [1]. ", "It joins your cables, ", "and it is a radio [2].\n\n", "- the modem\n", "- the switch\n", "- the access point\n"},
		ending: message{State: "complete", Model: "gpt-4o-mini", Citations: routerCitations()},
	}
}

func routerCitations() []cited {
	return []cited{
		{N: 1, Name: "The home network handbook", Evidence: handbook(12, "The home network handbook > One box, three jobs", "The device sold as a router combines a modem or an uplink port, a switch and an access point.")[0]},
		{N: 2, Name: "What a router really does", Lesson: lessonID, Evidence: course.Evidence{Quote: "The third is a radio, and it is the one you notice most."}},
	}
}

// talked fills in conversations that have taken place: an edited question, an answer
// that was asked for again and interrupted, a quiz.
func (c *fakeChat) talked() {
	right := true
	c.sessions = []session{
		{ID: "ses_three", Course: courseID, Lesson: lessonID, Task: "tutor", Title: "What are the three devices in one box?", CreatedAt: now},
		{ID: "ses_quiz", Course: courseID, Task: "tutor", Title: "Quiz me on this course", CreatedAt: now.AddDate(0, 0, -2)},
		{ID: "ses_old", Course: "crs_gone", Task: "tutor", Title: "Of a course that is gone", CreatedAt: now.AddDate(0, 0, -9)},
	}
	text := strings.Join(c.words, "")
	c.messages["ses_three"] = []*message{
		{ID: "q1", Role: "user", Task: "tutor@1", State: "complete", Content: "What is a router?"},
		{ID: "a1", Parent: "q1", Role: "assistant", Task: "tutor@1", State: "complete", Content: "An early answer.", Model: "gpt-4o-mini"},
		{ID: "q2", Role: "user", Task: "tutor@1", State: "complete", Content: "What are the three devices in one box?"},
		{ID: "a2", Parent: "q2", Role: "assistant", Task: "tutor@1", State: "complete", Content: text, Citations: routerCitations(), Model: "gpt-4o-mini"},
		{ID: "a3", Parent: "q2", Role: "assistant", Task: "tutor@1", State: "interrupted", Content: text, Citations: routerCitations(), Model: "llama-3.1", Problem: "The model stopped sending."},
	}
	c.messages["ses_quiz"] = []*message{
		{ID: "q1", Role: "user", Task: "quiz-me@1", State: "complete", Content: "Quiz me on this course"},
		{ID: "a1", Parent: "q1", Role: "assistant", Task: "quiz-me@1", State: "complete", Content: "**Question 1.** Which part joins the cables?\n\n- A) The modem\n- B) The switch\n- C) The radio", Quiz: &quiz{Question: "qst_1", Lesson: lessonID}},
		{ID: "q2", Parent: "a1", Role: "user", Task: "quiz-me@1", State: "complete", Content: "B"},
		{ID: "a2", Parent: "q2", Role: "assistant", Task: "quiz-me@1", State: "complete", Content: "Yes: the switch joins them.\n\nWhy can nobody ring from outside?\n\n- A) It is forbidden\n- B) The router has no entry for them", Quiz: &quiz{Question: "qst_2", Lesson: lessonID, Judged: "qst_1", Right: &right}},
	}
}

func (f *fakeAPI) chatHandler() http.Handler {
	c := f.chat
	mux := http.NewServeMux()
	one := func(do func(r *http.Request, s *session) (any, error)) http.HandlerFunc {
		return f.needing("learner", func(r *http.Request) (any, error) {
			i := slices.IndexFunc(c.sessions, func(s session) bool { return s.ID == r.PathValue("session") })
			if i < 0 {
				return nil, fault.New(fault.NotFound, "There is no such session.")
			}
			return do(r, &c.sessions[i])
		})
	}
	mux.HandleFunc("GET /v1/chat/sessions", f.needing("learner", func(r *http.Request) (any, error) {
		all := list[session]{}
		for _, s := range c.sessions {
			if of := r.FormValue("course"); of == "" || s.Course == of {
				all.Items = append(all.Items, s)
			}
		}
		return all, nil
	}))
	mux.HandleFunc("POST /v1/chat/sessions", f.needing("learner", func(r *http.Request) (any, error) {
		var in newSession
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return nil, err
		}
		made := session{ID: fmt.Sprintf("ses_%d", len(c.sessions)+1), Course: in.Course, Lesson: in.Lesson, Task: in.Task, CreatedAt: now}
		c.sessions = append([]session{made}, c.sessions...)
		return made, nil
	}))
	mux.HandleFunc("GET /v1/chat/sessions/{session}", one(func(_ *http.Request, s *session) (any, error) { return s, nil }))
	mux.HandleFunc("PATCH /v1/chat/sessions/{session}", one(func(r *http.Request, s *session) (any, error) {
		var in struct{ Title string }
		err := json.NewDecoder(r.Body).Decode(&in)
		s.Title = in.Title
		return s, err
	}))
	mux.HandleFunc("DELETE /v1/chat/sessions/{session}", one(func(_ *http.Request, gone *session) (any, error) {
		id := gone.ID
		c.sessions = slices.DeleteFunc(slices.Clone(c.sessions), func(s session) bool { return s.ID == id })
		return nil, nil
	}))
	mux.HandleFunc("GET /v1/chat/sessions/{session}/messages", one(func(r *http.Request, s *session) (any, error) {
		from, _ := strconv.Atoi(r.FormValue("cursor"))
		all := c.messages[s.ID]
		next := ""
		if len(all) > from+100 {
			all, next = all[:from+100], strconv.Itoa(from+100)
		}
		return list[*message]{Items: all[from:], NextCursor: next}, nil
	}))
	mux.HandleFunc("DELETE /v1/chat/sessions/{session}/stream", one(func(_ *http.Request, s *session) (any, error) {
		c.stop[s.Answering] = true
		c.grown.Broadcast()
		return nil, nil
	}))
	mux.HandleFunc("GET /v1/chat/tasks", f.needing("learner", func(*http.Request) (any, error) { return list[task]{Items: c.tasks}, nil }))
	mux.HandleFunc("GET /v1/chat/memories", f.needing("learner", func(*http.Request) (any, error) { return list[memory]{Items: c.memories}, nil }))
	mux.HandleFunc("DELETE /v1/chat/memories", f.needing("learner", func(r *http.Request) (any, error) {
		id := r.FormValue("course")
		if id == "" {
			return nil, fault.New(fault.Invalid, "Name the course whose memories are to be forgotten.")
		}
		c.memories = slices.DeleteFunc(slices.Clone(c.memories), func(m memory) bool { return m.Course == id })
		return nil, nil
	}))
	mux.HandleFunc("DELETE /v1/chat/memories/{memory}", f.needing("learner", func(r *http.Request) (any, error) {
		c.memories = slices.DeleteFunc(slices.Clone(c.memories), func(m memory) bool { return m.ID == r.PathValue("memory") })
		return nil, nil
	}))
	mux.HandleFunc("POST /v1/chat/sessions/{session}/messages", f.questioned)
	mux.HandleFunc("GET /v1/chat/sessions/{session}/stream", f.followed)
	return edge.HTTP(mux, edge.Options{Front: edge.Front{GatewayKeys: []string{gatewayKey}}})
}

// questioned begins an answer, or finds the one that the message had, and streams it.
func (f *fakeAPI) questioned(w http.ResponseWriter, r *http.Request) {
	var in prompt
	err := json.NewDecoder(r.Body).Decode(&in)
	var answer string
	f.change(func() {
		f.see(r)
		if err == nil {
			_, err = f.as(r)
		}
		if err == nil {
			answer, err = f.chat.open(r.PathValue("session"), in)
		}
	})
	if err != nil {
		problem(w, r, err)
		return
	}
	f.stream(w, r, answer, 0)
}

func (c *fakeChat) open(id string, in prompt) (string, error) {
	c.prompts = append(c.prompts, in)
	if err := c.refuse; err != nil {
		c.refuse = nil
		return "", err
	}
	i := slices.IndexFunc(c.sessions, func(s session) bool { return s.ID == id })
	if i < 0 {
		return "", fault.New(fault.NotFound, "There is no such session.")
	}
	all := c.messages[id]
	if at := slices.IndexFunc(all, func(m *message) bool { return m.ID == in.ID }); in.ID != "" && at >= 0 {
		return all[at+1].ID, nil
	}
	if busy := c.sessions[i].Answering; busy != "" {
		return "", &fault.Error{Kind: fault.Conflict, Message: "An answer is being made.", Fields: []fault.Field{{Location: "session.answering", Message: busy}}}
	}
	c.count++
	task := in.Task
	if task == "" {
		task = c.sessions[i].Task
	}
	parent := strings.TrimPrefix(in.Parent, "root")
	if in.Content != "" {
		question := &message{ID: in.ID, Parent: parent, Role: "user", Task: task + "@1", State: "complete", Content: in.Content, CreatedAt: now}
		if question.ID == "" {
			question.ID = fmt.Sprintf("msg_q%d", c.count)
		}
		all, parent = append(all, question), question.ID
	}
	answer := &message{ID: fmt.Sprintf("msg_a%d", c.count), Parent: parent, Role: "assistant", Task: task + "@1", State: "streaming", CreatedAt: now}
	c.messages[id] = append(all, answer)
	c.sessions[i].Answering = answer.ID
	if c.sessions[i].Title == "" {
		c.sessions[i].Title = in.Content
	}
	c.log[answer.ID] = []edge.Message{{ID: answer.ID + ".0", Event: "start", Data: map[string]any{"message": *answer, "session": id}}}
	go c.make(id, answer)
	return answer.ID, nil
}

// make writes an answer to the log, whoever reads it.
func (c *fakeChat) make(id string, answer *message) {
	say := func(event string, data any) {
		c.log[answer.ID] = append(c.log[answer.ID], edge.Message{ID: fmt.Sprintf("%s.%d", answer.ID, len(c.log[answer.ID])), Event: event, Data: data})
		c.grown.Broadcast()
	}
	c.grown.L.Lock()
	words, pace := c.words, c.pace
	ending := c.ending
	for _, one := range ending.Citations {
		say("citation", one)
	}
	for i, word := range words {
		if pace != nil && i >= c.first {
			c.grown.L.Unlock()
			<-pace
			c.grown.L.Lock()
		}
		if c.stop[answer.ID] {
			ending.State = "stopped"
			break
		}
		answer.Content += word
		say("delta", map[string]string{"text": word})
	}
	answer.State, answer.Problem, answer.Quiz, answer.Citations, answer.Model = ending.State, ending.Problem, ending.Quiz, ending.Citations, ending.Model
	c.sessions[slices.IndexFunc(c.sessions, func(s session) bool { return s.ID == id })].Answering = ""
	switch ending.State {
	case "complete", "stopped":
		say("done", map[string]any{"message": *answer, "model": answer.Model})
	default:
		say("error", map[string]any{"message": *answer, "detail": ending.Problem})
	}
	c.grown.L.Unlock()
}

// followed goes on with an answer from behind the last event that was seen.
func (f *fakeAPI) followed(w http.ResponseWriter, r *http.Request) {
	last := r.Header.Get("Last-Event-ID")
	var answer string
	var from int
	var err error
	f.change(func() {
		f.see(r)
		f.chat.seen = append(f.chat.seen, last)
		if _, err = f.as(r); err == nil && f.chat.rejects > 0 {
			f.chat.rejects--
			err = fault.New(fault.Unavailable, "Not just now.")
		}
		for _, s := range f.chat.sessions {
			if s.ID == r.PathValue("session") {
				answer = s.Answering
			}
		}
		if id, n, ok := strings.Cut(last, "."); ok {
			at, _ := strconv.Atoi(n)
			answer, from = id, at+1
		}
	})
	switch {
	case err != nil:
		problem(w, r, err)
	case answer == "":
		w.WriteHeader(http.StatusNoContent)
	default:
		f.stream(w, r, answer, from)
	}
}

// stream sends an answer's log from an event on, or as much of it as the script says.
func (f *fakeAPI) stream(w http.ResponseWriter, r *http.Request, answer string, from int) {
	c, breaks := f.chat, 0
	f.change(func() {
		if breaks = c.breaks; c.mute > 0 {
			c.mute--
			breaks--
		}
	})
	edge.Stream(w, r, func(ctx context.Context, send func(edge.Message) error) error {
		defer context.AfterFunc(ctx, func() { f.change(c.grown.Broadcast) })()
		for n := from; ; n++ {
			var next edge.Message
			f.change(func() {
				for len(c.log[answer]) <= n && c.breaks == breaks && ctx.Err() == nil {
					c.grown.Wait()
				}
				if ctx.Err() == nil && c.breaks == breaks {
					next = c.log[answer][n]
				}
			})
			if ctx.Err() != nil {
				return nil
			}
			if next.Event == "" {
				panic(http.ErrAbortHandler) // the line breaks
			}
			if err := send(next); err != nil || next.Event == "done" || next.Event == "error" {
				return err
			}
		}
	})
}
