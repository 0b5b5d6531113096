package openai_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/openai"
)

// wire is a server in the same goroutine: no port, no clock but the test's.
type wire func(*http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

// over makes a model that speaks to a wire. A stream may be silent for a minute.
func over(t testing.TB, w wire) openai.Model {
	t.Helper()
	server, err := openai.New(openai.Config{
		BaseURL: "http://models.test/v1", Model: "small", Wait: 20 * time.Second, Silence: time.Minute,
		Client: &http.Client{Transport: w},
	})
	if err != nil {
		t.Fatal(err)
	}
	return openai.Model{Server: server}
}

// says answers every request with the bytes of a stream.
func says(body func(ctx context.Context) io.Reader) wire {
	return func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return &http.Response{
			StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {"text/event-stream"}},
			Body: io.NopCloser(body(r.Context())),
		}, nil
	}
}

func text(s string) wire {
	return says(func(context.Context) io.Reader { return strings.NewReader(s) })
}

// pipes are connections in memory, for what a wire has none of.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p pipes) Close() error { return nil }

func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// part of a body, after a silence. Like a connection it ends with its request.
type part struct {
	after time.Duration
	text  string
}

type paced struct {
	ctx   context.Context
	parts []part
}

func (p *paced) Read(b []byte) (int, error) {
	if len(p.parts) == 0 {
		return 0, io.EOF
	}
	next := &p.parts[0]
	select {
	case <-time.After(next.after):
	case <-p.ctx.Done():
		return 0, p.ctx.Err()
	}
	next.after = 0
	n := copy(b, next.text)
	if next.text = next.text[n:]; next.text == "" {
		p.parts = p.parts[1:]
	}
	return n, nil
}

// heard is what a stream brought.
type heard struct {
	resp   llm.Response
	err    error
	pieces []llm.Piece
	text   string // of the pieces
}

func listen(ctx context.Context, m openai.Model) heard {
	var h heard
	h.resp, h.err = m.Stream(ctx, llm.Request{Messages: []llm.Message{{Role: llm.User, Text: "Hello"}}}, func(p llm.Piece) error {
		h.pieces = append(h.pieces, p)
		h.text += p.Text
		return nil
	})
	return h
}

// check holds what is true of every stream, however it ended.
func (h heard) check(t testing.TB) {
	t.Helper()
	if h.resp.Text != h.text {
		t.Errorf("the response says %q, its pieces %q", h.resp.Text, h.text)
	}
	if h.err != nil && h.resp.Finish != "" {
		t.Errorf("finish %q beside %v", h.resp.Finish, h.err)
	}
	if h.err == nil && h.resp.Finish == "" {
		t.Error("an answer without a finish was called whole")
	}
}
