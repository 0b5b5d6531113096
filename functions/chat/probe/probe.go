package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// check is one thing that a chat promises.
type check struct {
	name string
	what string
	run  func(context.Context, *probe) (note string, err error)
}

// checks are made in this order: later ones look at what earlier ones have made.
var checks = []check{
	{"alive", "answers, and only to who has a key", alive},
	{"tasks", "the built-in tasks are listed", tasks},
	{"session", "a session is made, read and listed", session},
	{"stream", "an answer streams: ids, order, its end, its text", streams},
	{"stored", "the answer is stored as it was streamed, with a checkpoint", stored},
	{"resume", "the rest after any event is the same to the byte", resumes},
	{"same id", "a message sent twice is one message", sameID},
	{"disconnect", "a lost connection stops nothing and loses nothing", disconnects},
	{"conflict", "one answer at a time in a session", conflicts},
	{"stop", "an answer that is stopped ends, and is kept", stops},
	{"replay", "an answer is made again from its checkpoint", replays},
	{"fork", "a session begins anew at a checkpoint", forks},
	{"not found", "what is not there, or somebody else's, is not found", notFound},
	{"completion", "OpenAI's API, whole", completes},
	{"chunks", "OpenAI's API, as a stream with its usage", completesInChunks},
	{"bound", "a completion within a session", completesInSession},
	{"models", "OpenAI's list of models", models},
	{"refusals", "errors have OpenAI's shape", refusals},
	{"heartbeats", "no stream is silent for longer than 15 s", heartbeats},
	{"backup", "the expected model answers", backups},
}

// checkAnswers is how many answers all checks ask for at most.
const checkAnswers = 9

// skipped says why a check could not be made.
type skipped string

// Error tells it.
func (s skipped) Error() string { return string(s) }

// probe is one run.
type probe struct {
	*client
	other *client // somebody else; nil: nobody
	o     options
	told  io.Writer

	mu       sync.Mutex
	sessions []string // to be deleted
	silence  time.Duration

	session string     // of the first answer
	sent    newMessage // what it answers
	first   transcript // of it, nil when it did not come
	answer  answer
	point   string         // its checkpoint
	models  map[string]int // who has answered, and how often
}

func newProbe(o options, told io.Writer) *probe {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = o.concurrency + 4
	calls := &client{http: &http.Client{Transport: transport}, url: o.url, key: o.key, told: told, left: o.maxAnswers}
	p := &probe{client: calls, o: o, told: told, models: map[string]int{}}
	if o.otherKey != "" {
		p.other = &client{http: calls.http, url: o.url, key: o.otherKey, told: told}
	}
	return p
}

// probe makes all checks, and measures. It stops early when nothing more can come of it.
func (p *probe) probe(ctx context.Context) result {
	r := result{URL: p.o.url, Began: time.Now().UTC(), Held: true}
	var over error
	for _, c := range checks {
		r.add(p.told, p.make(ctx, c, &over))
	}
	if p.o.answers > 0 && over == nil && ctx.Err() == nil {
		r.Speed = p.measure(ctx)
		if r.Speed.Failed > 0 {
			r.Held = false
		}
	}
	r.Answers, r.Models = p.asked, p.models
	if over == nil && ctx.Err() != nil {
		over = errors.New("the probe was interrupted")
	}
	if over != nil {
		r.Held, r.Stopped = false, over.Error()
	}
	return r
}

// make makes one check, unless an earlier one has found that there is no use.
func (p *probe) make(ctx context.Context, c check, over *error) outcome {
	o := outcome{Name: c.name, What: c.what, Status: passed}
	if *over == nil && ctx.Err() != nil {
		*over = errors.New("the probe was interrupted")
	}
	if *over != nil {
		o.Status, o.Note = skip, (*over).Error()
		return o
	}
	ctx, cancel := context.WithTimeout(ctx, p.o.timeout)
	defer cancel()
	began := time.Now()
	note, err := c.run(ctx, p)
	o.Millis, o.Note = time.Since(began).Milliseconds(), note
	var why skipped
	switch {
	case errors.As(err, &why):
		o.Status, o.Note = skip, string(why)
	case err != nil:
		o.Status, o.Note = failed, err.Error()
	}
	if errors.Is(err, errSpent) {
		*over = errSpent
	}
	return o
}

// newMessage is what is sent to a session.
type newMessage struct {
	ID        string `json:"id,omitempty"`
	Content   string `json:"content"`
	Parent    string `json:"parent,omitempty"`
	MaxTokens int    `json:"max_tokens,omitempty"`
}

// Questions whose answers take some time, so that there is something to cut and stop.
const (
	openQuestion   = "Explain in about 150 words how a heron catches fish, and why it stands so still."
	courseQuestion = "What is the most important thing to learn here? Explain it in about 150 words."
	longQuestion   = "Write out the numbers from one to two hundred in words, one on each line, and nothing else."
)

func (p *probe) ask(content string) newMessage {
	return newMessage{ID: rand.Text(), Content: content, MaxTokens: p.o.maxTokens}
}

func (p *probe) question() string {
	if p.o.course != "" {
		return courseQuestion
	}
	return openQuestion
}

// begin makes a session, which is deleted in the end.
func (p *probe) begin(ctx context.Context) (id string, err error) {
	var s struct{ ID string }
	body := map[string]string{"title": "A probe"}
	if p.o.course != "" {
		body["course"] = p.o.course
	}
	resp, err := p.call(ctx, request{method: http.MethodPost, path: "/v1/chat/sessions", body: body}, &s)
	if err != nil {
		return "", err
	}
	if s.ID == "" || resp.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("a session was begun with status %d and the id %q", resp.StatusCode, s.ID)
	}
	p.made(s.ID)
	return s.ID, nil
}

// made notes a session that is to be deleted.
func (p *probe) made(session string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions = append(p.sessions, session)
}

// send sends a message, and hears its answer until see has seen enough. A message that
// was sent before asks for no answer.
func (p *probe) send(ctx context.Context, session string, m newMessage, again bool, see func(event) bool) (transcript, error) {
	t, err := p.listen(ctx, request{method: http.MethodPost, path: "/v1/chat/sessions/" + session + "/messages", body: m, answer: !again}, see)
	p.heard(t)
	return t, err
}

// follow hears an answer from behind an event.
func (p *probe) follow(ctx context.Context, session, last string, see func(event) bool) (transcript, error) {
	t, err := p.listen(ctx, request{
		method: http.MethodGet, path: "/v1/chat/sessions/" + session + "/stream", header: map[string]string{"Last-Event-ID": last},
	}, see)
	p.heard(t)
	return t, err
}

func (p *probe) heard(t transcript) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silence = max(p.silence, t.silence)
}

func (p *probe) answeredBy(model string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.models[model]++
}

// tidy deletes what the probe has made, also when it was interrupted.
func (p *probe) tidy(ctx context.Context, r *result) {
	if len(p.sessions) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	var over error
	r.add(p.told, p.make(ctx, check{"tidy", "the sessions of the probe are deleted, and gone", func(ctx context.Context, p *probe) (string, error) {
		for _, id := range p.sessions {
			if _, err := p.call(ctx, request{method: http.MethodDelete, path: "/v1/chat/sessions/" + id}, nil); err != nil {
				return "", fmt.Errorf("delete %s: %w", id, err)
			}
			if _, err := p.call(ctx, request{method: http.MethodGet, path: "/v1/chat/sessions/" + id}, nil); !wants(err, http.StatusNotFound) {
				return "", fmt.Errorf("%s is still there: %v", id, err)
			}
		}
		return fmt.Sprintf("%d sessions", len(p.sessions)), nil
	}}, &over))
}
