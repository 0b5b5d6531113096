package web

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"lectern.dev/lectern/internal/course"
)

// What functions/chat says, as far as pages show it. The noun's own types would link
// the models and the database.

// session is a conversation of the person who asks.
type session struct {
	ID        string    `json:"id"`
	Course    string    `json:"course"`
	Lesson    string    `json:"lesson"`
	Task      string    `json:"task"`
	Title     string    `json:"title"`     // given by the person, or the first question
	Answering string    `json:"answering"` // the answer that is being made
	CreatedAt time.Time `json:"created_at"`
}

// Called is what a list names the conversation.
func (s session) Called() string {
	if s.Title == "" {
		return "New conversation"
	}
	return s.Title
}

// message is a question or an answer. Those of a session form a tree.
type message struct {
	ID        string    `json:"id"`
	Parent    string    `json:"parent"` // "" at a beginning
	Role      string    `json:"role"`   // "user" or "assistant"
	Task      string    `json:"task"`   // its name and version
	State     string    `json:"state"`  // "streaming", "complete", "stopped", "interrupted" or "failed"
	Content   string    `json:"content"`
	Citations []cited   `json:"citations"`
	Quiz      *quiz     `json:"quiz"`
	Problem   string    `json:"problem"` // why it was interrupted or failed
	Model     string    `json:"model"`
	Finish    string    `json:"finish"`
	CreatedAt time.Time `json:"created_at"`
}

// cited is what [N] in an answer points to.
type cited struct {
	N      int    `json:"n"`
	Name   string `json:"name"`
	Lesson string `json:"lesson"` // when it is a lesson that says it
	course.Evidence
}

// quiz is what an answer asked of the learner, or how it judged theirs.
type quiz struct {
	Question string `json:"question"`
	Lesson   string `json:"lesson"`
	Judged   string `json:"judged"`
	Right    *bool  `json:"right"`
}

// task is what the tutor can be asked to do.
type task struct {
	Name  string `json:"task"`
	Title string `json:"title"`
}

// memory is what the tutor remembers of a learner between conversations.
type memory struct {
	ID        string    `json:"id"`
	Course    string    `json:"course"`
	Kind      string    `json:"kind"` // "asked" or "missed"
	Content   string    `json:"content"`
	CreatedAt time.Time `json:"created_at"`
}

// chat asks functions/chat.
func (s *site) chat(r *http.Request) api { return api{s, s.deps.Chat, r} }

// tutored tells whether there is a tutor at all.
func (s *site) tutored() bool { return s.deps.Chat != nil }

// sessions gives the person's conversations, newest first: on a course, or all.
func (a api) sessions(ctx context.Context, course, cursor string, limit int) (list[session], error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if course != "" {
		query.Set("course", course)
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return get[list[session]](ctx, a, "/v1/chat/sessions?"+query.Encode())
}

func (a api) session(ctx context.Context, id string) (session, error) {
	return get[session](ctx, a, sessionPath(id))
}

func (a api) tasks(ctx context.Context) ([]task, error) {
	all, err := get[list[task]](ctx, a, "/v1/chat/tasks")
	return all.Items, err
}

// memories gives what is remembered of the person: in a course, or in all.
func (a api) memories(ctx context.Context, course string) ([]memory, error) {
	query := url.Values{}
	if course != "" {
		query.Set("course", course)
	}
	all, err := get[list[memory]](ctx, a, "/v1/chat/memories?"+query.Encode())
	return all.Items, err
}

// mostMessages of a session are shown: more are more than a page can hold.
const mostMessages = 2000

// messages gives a session's whole tree, each message after its parent.
func (a api) messages(ctx context.Context, session string) ([]message, error) {
	var all []message
	cursor := ""
	for len(all) < mostMessages {
		query := url.Values{"limit": {"100"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		next, err := get[list[message]](ctx, a, sessionPath(session)+"/messages?"+query.Encode())
		if err != nil {
			return nil, err
		}
		all = append(all, next.Items...)
		if cursor = next.NextCursor; cursor == "" {
			break
		}
	}
	return all, nil
}

// newSession is what begins a conversation.
type newSession struct {
	Course string `json:"course,omitempty"`
	Lesson string `json:"lesson,omitempty"`
	Task   string `json:"task,omitempty"`
}

// prompt is what is asked; see the API's own description.
type prompt struct {
	ID      string `json:"id,omitempty"`
	Content string `json:"content,omitempty"`
	Parent  string `json:"parent,omitempty"`
	Task    string `json:"task,omitempty"`
}

func (a api) begin(ctx context.Context, key string, in newSession) (session, error) {
	got, err := a.write(ctx, http.MethodPost, "/v1/chat/sessions", key, in)
	if err != nil {
		return session{}, err
	}
	return decode[session](got)
}

// patience is how long a page without a script waits for an answer. It then shows
// what there is, and the answer goes on.
const patience = 20 * time.Second

// ask sends a question and waits for the end of its answer, but not for long.
func (a api) ask(ctx context.Context, session string, in prompt) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	q, err := a.request(limit, http.MethodPost, sessionPath(session)+"/messages", bytes.NewReader(body))
	if err != nil {
		return err
	}
	q.Header.Set("Accept", "text/event-stream")
	got, err := a.site.client.Do(q)
	if err != nil {
		return unreachable(err)
	}
	defer got.Body.Close()
	if got.StatusCode/100 == 2 {
		_, _ = io.Copy(io.Discard, got.Body) // what was said is read from the session, however this ended
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(got.Body, maxAnswer))
	if err != nil {
		return unreachable(err)
	}
	return refusal(got, text)
}

func sessionPath(id string) string { return "/v1/chat/sessions/" + url.PathEscape(id) }
