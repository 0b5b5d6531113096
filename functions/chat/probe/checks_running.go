package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// heardLive is a stream that is heard in the background.
type heardLive struct {
	began chan string // the answer's id
	ended chan error
	t     transcript
}

// sendLive sends a message and gives back control when its answer has begun to speak.
func (p *probe) sendLive(ctx context.Context, session string, m newMessage) (*heardLive, string, error) {
	h := &heardLive{began: make(chan string, 1), ended: make(chan error, 1)}
	go func() {
		var err error
		h.t, err = p.send(ctx, session, m, false, func(e event) bool {
			var started struct{ Message message }
			if e.name == "start" && json.Unmarshal([]byte(e.data), &started) == nil {
				h.began <- started.Message.ID
			}
			return false
		})
		h.ended <- err
	}()
	select {
	case id := <-h.began:
		return h, id, nil
	case err := <-h.ended:
		if err == nil {
			_, err = h.t.whole()
		}
		return nil, "", fmt.Errorf("the answer does not begin: %w", err)
	}
}

func (p *probe) stop(ctx context.Context, session string) error {
	resp, err := p.call(ctx, request{method: http.MethodDelete, path: "/v1/chat/sessions/" + session + "/stream"}, nil)
	if err == nil && resp.StatusCode != http.StatusNoContent {
		err = fmt.Errorf("stopping is answered with %d", resp.StatusCode)
	}
	return err
}

// conflicts sends a second message while the first is being answered.
func conflicts(ctx context.Context, p *probe) (string, error) {
	session, err := p.begin(ctx)
	if err != nil {
		return "", err
	}
	live, first, err := p.sendLive(ctx, session, p.ask(longQuestion))
	if err != nil {
		return "", err
	}
	second, err := p.send(ctx, session, p.ask("And now?"), false, nil)
	if stop := p.stop(ctx, session); stop != nil {
		return "", stop
	}
	if ended := <-live.ended; ended != nil {
		return "", ended
	}
	if err == nil {
		return "", p.overlapping(ctx, session, first, second)
	}
	r, ok := errors.AsType[*refusal](err)
	if !ok || r.Status != http.StatusConflict {
		return "", fmt.Errorf("a second message is not refused with 409: %w", err)
	}
	for _, e := range r.Errors {
		if e.Location == "session.answering" && e.Message == first {
			return "409 names the running answer", nil
		}
	}
	return "", fmt.Errorf("409 does not name the running answer %s at session.answering: %.300s", first, r.body)
}

// overlapping tells whether two answers of a session were made at once; else there was
// nothing to refuse.
func (p *probe) overlapping(ctx context.Context, session, first string, second transcript) error {
	a, err := second.whole()
	if err != nil {
		return err
	}
	list, err := p.messages(ctx, session)
	if err != nil {
		return err
	}
	one, other := list[first], list[a.id]
	if one.FinishedAt == nil || one.FinishedAt.After(other.CreatedAt) {
		return fmt.Errorf("two answers are made at once: %s and %s", first, a.id)
	}
	return skipped("the answer had ended before a second message could be sent")
}

// stops has a running answer end, and looks at what is kept of it.
func stops(ctx context.Context, p *probe) (string, error) {
	session, err := p.begin(ctx)
	if err != nil {
		return "", err
	}
	live, id, err := p.sendLive(ctx, session, p.ask(longQuestion))
	if err != nil {
		return "", err
	}
	began := time.Now()
	if err := p.stop(ctx, session); err != nil {
		return "", err
	}
	select {
	case err = <-live.ended:
	case <-time.After(10 * time.Second):
		return "", errors.New("the stream goes on for 10 s after its answer was stopped")
	}
	if err != nil {
		return "", err
	}
	took := time.Since(began)
	a, err := live.t.whole()
	if err != nil {
		return "", err
	}
	list, err := p.messages(ctx, session)
	if err != nil {
		return "", err
	}
	switch kept := list[id]; {
	case kept.Content != a.text || kept.State != a.last.State:
		return "", fmt.Errorf("it is kept as %s: %s", kept.State, differ(a.text, kept.Content))
	case kept.State == "complete":
		return "", skipped("the answer had ended before it could be stopped")
	case kept.State != "stopped":
		return "", fmt.Errorf("it is %s, not stopped", kept.State)
	}
	return fmt.Sprintf("ended after %v, %d bytes kept", took.Round(time.Millisecond), len(a.text)), nil
}
