package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

func alive(ctx context.Context, p *probe) (string, error) {
	nobody := &client{http: p.http, url: p.url, told: p.told}
	began := time.Now()
	_, err := nobody.call(ctx, request{method: http.MethodGet, path: "/v1/chat/sessions"}, nil)
	took := time.Since(began)
	if err == nil {
		return "", errors.New("sessions are listed without a key")
	}
	if !wants(err, http.StatusUnauthorized) {
		return "", fmt.Errorf("without a key: %w", err)
	}
	if _, err := p.call(ctx, request{method: http.MethodGet, path: "/v1/chat/sessions?limit=1"}, nil); err != nil {
		return "", fmt.Errorf("with the key: %w", err)
	}
	return fmt.Sprintf("round trip %v", took.Round(time.Millisecond)), nil
}

func tasks(ctx context.Context, p *probe) (string, error) {
	var list struct {
		Items []struct {
			Task         string
			Instructions string
		}
	}
	if _, err := p.call(ctx, request{method: http.MethodGet, path: "/v1/chat/tasks"}, &list); err != nil {
		return "", err
	}
	var names []string
	for _, t := range list.Items {
		names = append(names, t.Task)
	}
	for _, want := range []string{"tutor", "explain", "quiz-me", "summarise"} {
		if !slices.Contains(names, want) {
			return "", fmt.Errorf("there is no task %s among %q", want, names)
		}
	}
	return fmt.Sprintf("%d tasks", len(names)), nil
}

func session(ctx context.Context, p *probe) (string, error) {
	id, err := p.begin(ctx)
	if err != nil {
		return "", err
	}
	var got struct{ ID, Title string }
	if _, err := p.call(ctx, request{method: http.MethodGet, path: "/v1/chat/sessions/" + id}, &got); err != nil {
		return "", err
	}
	if got.ID != id || got.Title != "A probe" {
		return "", fmt.Errorf("%s is read as %+v", id, got)
	}
	var list struct{ Items []struct{ ID string } }
	if _, err := p.call(ctx, request{method: http.MethodGet, path: "/v1/chat/sessions"}, &list); err != nil {
		return "", err
	}
	for _, s := range list.Items {
		if s.ID == id {
			p.session = id
			return id, nil
		}
	}
	return "", fmt.Errorf("%s is not among the newest sessions", id)
}

// stored compares the rows with what was streamed.
func stored(ctx context.Context, p *probe) (string, error) {
	if p.answer.id == "" {
		return "", skipped("there is no whole answer to look at")
	}
	list, err := p.messages(ctx, p.session)
	if err != nil {
		return "", err
	}
	asked, answered := list[p.sent.ID], list[p.answer.id]
	switch {
	case asked.Content != p.sent.Content || asked.Role != "user":
		return "", fmt.Errorf("the question is stored as %+v", asked)
	case answered.Content != p.answer.text || answered.State != "complete" || answered.Parent != p.sent.ID:
		return "", fmt.Errorf("the answer is stored as %s after %s, %s", answered.State, answered.Parent, differ(p.answer.text, answered.Content))
	case answered.Model == "":
		return "", errors.New("who answered is not stored")
	}
	var points struct {
		Items []struct{ ID, Message, Task string }
	}
	if _, err := p.call(ctx, request{method: http.MethodGet, path: "/v1/chat/sessions/" + p.session + "/checkpoints"}, &points); err != nil {
		return "", err
	}
	for _, c := range points.Items {
		if c.Message == p.answer.id {
			p.point = "/v1/chat/sessions/" + p.session + "/checkpoints/" + c.ID
			return "by " + answered.Model + ", " + c.Task, nil
		}
	}
	return "", errors.New("the answer has no checkpoint")
}

// forks begins a session at the first answer.
func forks(ctx context.Context, p *probe) (string, error) {
	if p.point == "" {
		return "", skipped("there is no checkpoint to begin at")
	}
	var fork struct{ ID string }
	if _, err := p.call(ctx, request{method: http.MethodPost, path: p.point + "/forks", body: map[string]string{"title": "A probe"}}, &fork); err != nil {
		return "", err
	}
	p.made(fork.ID)
	list, err := p.messages(ctx, fork.ID)
	if err != nil {
		return "", err
	}
	for _, m := range list {
		if m.Role == "assistant" && m.Content == p.answer.text {
			return fork.ID, nil
		}
	}
	return "", fmt.Errorf("the answer is not among the %d messages of %s", len(list), fork.ID)
}

// messages gives the newest messages of a session by their ids.
func (p *probe) messages(ctx context.Context, session string) (map[string]message, error) {
	var list struct{ Items []message }
	if _, err := p.call(ctx, request{method: http.MethodGet, path: "/v1/chat/sessions/" + session + "/messages?limit=100"}, &list); err != nil {
		return nil, err
	}
	byID := make(map[string]message, len(list.Items))
	for _, m := range list.Items {
		byID[m.ID] = m
	}
	return byID, nil
}

// notFound asks for what is not there, and has somebody else ask for what is.
func notFound(ctx context.Context, p *probe) (string, error) {
	if err := hidden(ctx, p.client, "ses_00000000000000000000000000", "msg_00000000000000000000000000"); err != nil {
		return "", err
	}
	if p.other == nil {
		return "nobody else asked: PROBE_OTHER_KEY is not set", nil
	}
	if p.answer.id == "" {
		return "", skipped("there is no whole answer for somebody else to ask for")
	}
	if err := hidden(ctx, p.other, p.session, p.answer.id); err != nil {
		return "", fmt.Errorf("somebody else: %w", err)
	}
	return "nor by somebody else", nil
}

// hidden tells whether nothing of a session can be read, changed or told apart from
// what is not there.
func hidden(ctx context.Context, c *client, session, answer string) error {
	at := "/v1/chat/sessions/" + session
	for _, q := range []request{
		{method: http.MethodGet, path: at},
		{method: http.MethodGet, path: at + "/messages"},
		{method: http.MethodGet, path: at + "/messages/" + answer},
		{method: http.MethodGet, path: at + "/checkpoints"},
		{method: http.MethodGet, path: at + "/stream", header: map[string]string{"Last-Event-ID": answer + ".0"}},
		{method: http.MethodDelete, path: at + "/stream"},
		{method: http.MethodPost, path: at + "/messages", body: newMessage{Content: "Who is there?", MaxTokens: 1}},
		{method: http.MethodDelete, path: at},
	} {
		resp, err := c.open(ctx, q)
		if err == nil {
			resp.Body.Close()
			return fmt.Errorf("%s %s is answered with %d", q.method, q.path, resp.StatusCode)
		}
		r, ok := errors.AsType[*refusal](err)
		if !ok || r.Status != http.StatusNotFound {
			return fmt.Errorf("%s %s: %w", q.method, q.path, err)
		}
		var problem struct {
			Title, Detail string
			Status        int
		}
		if err := json.Unmarshal(r.body, &problem); err != nil || problem.Status != http.StatusNotFound || problem.Detail == "" {
			return fmt.Errorf("%s %s is refused with no problem document: %.200s", q.method, q.path, r.body)
		}
	}
	return nil
}
