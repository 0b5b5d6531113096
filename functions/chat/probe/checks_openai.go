package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// completionOf is the part of OpenAI's answers that every client reads.
// https://platform.openai.com/docs/api-reference/chat
type completionOf struct {
	ID, Object, Model string
	Choices           []struct {
		Index   int
		Message struct {
			Role    string
			Content *string
		}
		Delta struct {
			Role    string
			Content string
		}
		FinishReason *string `json:"finish_reason"`
	}
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
	}
	Error json.RawMessage
}

// asOpenAI is what OpenAI's clients send. The model is the one that everybody has.
func (p *probe) asOpenAI(content string, more map[string]any) request {
	body := map[string]any{
		"model": "lectern", "max_tokens": p.o.maxTokens,
		"messages": []map[string]string{{"role": "user", "content": content}},
	}
	for field, value := range more {
		body[field] = value
	}
	return request{method: http.MethodPost, path: "/v1/chat/completions", body: body, answer: true}
}

func completes(ctx context.Context, p *probe) (string, error) {
	var got completionOf
	resp, err := p.call(ctx, p.asOpenAI("Say hello.", nil), &got)
	if err != nil {
		return "", err
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("status %d", resp.StatusCode)
	case got.Object != "chat.completion" || got.ID == "" || got.Model == "":
		return "", fmt.Errorf("the object is %q, its id %q, its model %q", got.Object, got.ID, got.Model)
	case len(got.Choices) != 1 || got.Choices[0].Message.Role != "assistant" || got.Choices[0].Message.Content == nil || *got.Choices[0].Message.Content == "":
		return "", fmt.Errorf("the choices are %+v", got.Choices)
	case got.Choices[0].FinishReason == nil:
		return "", errors.New("it has no finish_reason")
	case got.Usage == nil || got.Usage.Prompt <= 0 || got.Usage.Total != got.Usage.Prompt+got.Usage.Completion:
		return "", fmt.Errorf("the usage is %+v", got.Usage)
	}
	p.answeredBy(got.Model)
	return fmt.Sprintf("%s by %s, %d tokens", *got.Choices[0].FinishReason, got.Model, got.Usage.Total), nil
}

func completesInChunks(ctx context.Context, p *probe) (string, error) {
	q := p.asOpenAI("Say hello.", map[string]any{"stream": true, "stream_options": map[string]bool{"include_usage": true}})
	t, err := p.listen(ctx, q, nil)
	p.heard(t)
	if err != nil {
		return "", err
	}
	n := len(t.events)
	if n == 0 || t.events[n-1].data != "[DONE]" {
		return "", errors.New("the stream does not end with [DONE]")
	}
	var text strings.Builder
	var id, finish, model string
	usage := 0
	for i, e := range t.events[:n-1] {
		var c completionOf
		if err := json.Unmarshal([]byte(e.data), &c); err != nil || c.Object != "chat.completion.chunk" || c.Error != nil {
			return "", fmt.Errorf("event %d is no chunk: %.200s", i, e.data)
		}
		if i == 0 {
			id = c.ID
		}
		if c.ID != id || id == "" {
			return "", fmt.Errorf("chunk %d has the id %q, the first one %q", i, c.ID, id)
		}
		model = c.Model
		if c.Usage != nil {
			if len(c.Choices) != 0 || i != n-2 {
				return "", fmt.Errorf("the usage comes in chunk %d of %d, with %d choices", i, n-1, len(c.Choices))
			}
			usage = c.Usage.Total
		}
		for _, choice := range c.Choices {
			if finish != "" {
				return "", fmt.Errorf("a choice comes after the finish_reason, in chunk %d", i)
			}
			text.WriteString(choice.Delta.Content)
			if choice.FinishReason != nil {
				finish = *choice.FinishReason
			}
		}
	}
	switch {
	case text.Len() == 0:
		return "", errors.New("the chunks have no text")
	case finish == "":
		return "", errors.New("no chunk has a finish_reason, and yet [DONE] is sent")
	case usage == 0:
		return "", errors.New("the usage that was asked for does not come")
	}
	p.answeredBy(model)
	return fmt.Sprintf("%d chunks, %s", n-1, finish), nil
}

// completesInSession binds a call to a session, in which it is a turn like others.
func completesInSession(ctx context.Context, p *probe) (string, error) {
	session, err := p.begin(ctx)
	if err != nil {
		return "", err
	}
	q := p.asOpenAI("Say hello.", nil)
	q.header = map[string]string{"X-Lectern-Session": session}
	var got completionOf
	if _, err := p.call(ctx, q, &got); err != nil {
		return "", err
	}
	if len(got.Choices) != 1 || got.Choices[0].Message.Content == nil {
		return "", fmt.Errorf("the choices are %+v", got.Choices)
	}
	list, err := p.messages(ctx, session)
	if err != nil {
		return "", err
	}
	p.answeredBy(got.Model)
	for _, m := range list {
		if m.Role == "assistant" && m.Content == *got.Choices[0].Message.Content {
			return "stored as " + m.ID, nil
		}
	}
	return "", fmt.Errorf("the answer is not among the %d messages of its session", len(list))
}

func models(ctx context.Context, p *probe) (string, error) {
	var list struct {
		Object string
		Data   []struct{ ID, Object string }
	}
	if _, err := p.call(ctx, request{method: http.MethodGet, path: "/v1/models"}, &list); err != nil {
		return "", err
	}
	if list.Object != "list" || len(list.Data) == 0 {
		return "", fmt.Errorf("a %q of %d models", list.Object, len(list.Data))
	}
	var names []string
	for _, m := range list.Data {
		if m.Object != "model" || m.ID == "" {
			return "", fmt.Errorf("a model is %+v", m)
		}
		names = append(names, m.ID)
	}
	return strings.Join(names, ", "), nil
}

// refusals sends what cannot be answered. None of it asks a model.
func refusals(ctx context.Context, p *probe) (string, error) {
	nobody := &client{http: p.http, url: p.url, key: "cred_00000000000000000000000000.wrong", told: p.told}
	for _, c := range []struct {
		what   string
		by     *client
		more   map[string]any
		status []int
	}{
		{"a wrong key", nobody, nil, []int{http.StatusUnauthorized}},
		{"an unknown model", p.client, map[string]any{"model": "no-such-model-" + p.sent.ID}, []int{http.StatusNotFound, http.StatusBadRequest}},
		{"no messages", p.client, map[string]any{"messages": []string{}}, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}},
		{"two answers at once", p.client, map[string]any{"n": 2}, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}},
	} {
		q := p.asOpenAI("Say hello.", c.more)
		q.answer = false
		_, err := c.by.call(ctx, q, nil)
		r, ok := errors.AsType[*refusal](err)
		if !ok {
			return "", fmt.Errorf("%s is not refused: %v", c.what, err)
		}
		fits := false
		for _, status := range c.status {
			fits = fits || r.Status == status
		}
		var shape struct {
			Error *struct{ Message, Type string }
		}
		if err := json.Unmarshal(r.body, &shape); !fits || err != nil || shape.Error == nil || shape.Error.Message == "" || shape.Error.Type == "" {
			return "", fmt.Errorf("%s is refused with %d and no error of OpenAI's shape: %.200s", c.what, r.Status, r.body)
		}
	}
	return "", nil
}
