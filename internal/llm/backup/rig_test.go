package backup_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// voice is a scripted model: each call goes by the next line, the last one by itself
// for all further calls.
type voice struct {
	name  string
	lines []line
	draw  func() line // instead of lines

	mu        sync.Mutex
	calls     int
	cancelled int
	active    atomic.Int32
}

// line is what a model does with one call.
type line struct {
	after  time.Duration // silence before it says or fails
	err    error         // instead of an answer
	text   string        // said word by word; "": name and "answers"
	gap    time.Duration // before each further word
	breaks error         // after the text
	panics bool
}

var (
	down  = fault.New(fault.Unavailable, "down")
	quota = fault.New(fault.Exhausted, "no credit")
	wrong = fault.New(fault.Invalid, "no such thing")
)

func (v *voice) Name() string { return v.name }

func (v *voice) take() line {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls++
	if v.draw != nil {
		return v.draw()
	}
	if len(v.lines) == 0 {
		return line{}
	}
	return v.lines[min(v.calls, len(v.lines))-1]
}

func (v *voice) count() (calls, cancelled int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls, v.cancelled
}

func (v *voice) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		v.mu.Lock()
		v.cancelled++
		v.mu.Unlock()
		return llm.Interrupted(ctx.Err())
	}
}

func (v *voice) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	return v.Stream(ctx, req, func(llm.Piece) error { return nil })
}

func (v *voice) Stream(ctx context.Context, _ llm.Request, emit func(llm.Piece) error) (resp llm.Response, err error) {
	v.active.Add(1)
	defer v.active.Add(-1)
	l := v.take()
	resp = llm.Response{Model: v.name}
	if err := v.wait(ctx, l.after); err != nil {
		return resp, err
	}
	if l.panics {
		panic("the model panics")
	}
	if l.err != nil {
		return resp, l.err
	}
	if l.text == "" {
		l.text = v.name + " answers"
	}
	for word := range strings.SplitAfterSeq(l.text, " ") {
		if resp.Text != "" {
			if err := v.wait(ctx, l.gap); err != nil {
				return resp, err
			}
		}
		if err := emit(llm.Piece{Text: word}); err != nil {
			return resp, err
		}
		resp.Text += word
	}
	if l.breaks != nil {
		return resp, l.breaks
	}
	resp.Finish, resp.Usage = llm.Stop, llm.Usage{Input: 5, Output: 2}
	return resp, nil
}

// heard is what came of one answer, in the end and as it came.
type heard struct {
	text  string
	first time.Duration // until the first piece
	resp  llm.Response
	err   error
	took  time.Duration
}

// hear streams an answer and checks what holds for all: pieces come one at a time, and
// together they are what the response says.
func hear(t testing.TB, ctx context.Context, m llm.Streamer) heard {
	t.Helper()
	var h heard
	var busy atomic.Int32
	over := false
	began := time.Now()
	h.resp, h.err = m.Stream(ctx, question, func(p llm.Piece) error {
		if busy.Add(1) != 1 || over {
			t.Error("a piece came beside another, or after the end")
		}
		defer busy.Add(-1)
		if h.text == "" {
			h.first = time.Since(began)
		}
		h.text += p.Text
		return nil
	})
	over = true
	h.took = time.Since(began)
	if h.resp.Text != h.text {
		t.Errorf("the response says %q, its pieces %q", h.resp.Text, h.text)
	}
	return h
}

var question = llm.Request{Messages: []llm.Message{{Role: llm.User, Text: "Why do owls turn their heads?"}}}
