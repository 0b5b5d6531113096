package openai

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// goodbye is for the end of a body whose last event is there.
const goodbye = 50 * time.Millisecond

// errSilent is why a call ends whose server says nothing for longer than Config.Silence.
var errSilent = errors.New("the server was silent for too long")

// Stream implements llm.Streamer. The answer is whole only when the server has sent
// both a finish reason and [DONE]: with one of them alone nobody knows whether a
// proxy between has cut the rest.
//
// It is repeated as try does. A server that has taken the request and says nothing
// may be at work, so it is not asked a second time.
func (m Model) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	listening, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(m.config.Silence, func() { cancel(errSilent) })
	defer quiet.Stop()

	a, err := m.begin(listening, req, quiet)
	begun := err == nil
	if begun {
		a.emit = emit
		err = a.read(listening)
		a.leave(err == nil)
	}
	if err != nil && (begun || context.Cause(listening) == errSilent) {
		err = llm.Used(m.reason(ctx, listening, err))
	}
	return a.response(), err
}

// begin asks, and returns when the answer begins.
func (m Model) begin(ctx context.Context, req llm.Request, quiet *time.Timer) (*answer, error) {
	body, calls, err := try(ctx, m.Server, m.opening(req, quiet))
	return &answer{
		body: hearing{body: body, quiet: quiet, silence: m.config.Silence},
		resp: llm.Response{Model: m.config.Model, Tries: triesOf(calls)},
	}, err
}

// opening makes the call that returns when the answer begins.
func (m Model) opening(req llm.Request, quiet *time.Timer) func(ctx context.Context) (io.ReadCloser, error) {
	params := m.params(req)
	params.StreamOptions = sdk.ChatCompletionStreamOptionsParam{IncludeUsage: sdk.Bool(true)}
	return func(ctx context.Context) (io.ReadCloser, error) {
		quiet.Reset(m.config.Silence)
		defer quiet.Stop()
		var resp *http.Response
		_, err := m.chat.New(ctx, params,
			option.WithJSONSet("stream", true),
			option.WithHeader("Accept", "text/event-stream"),
			option.WithHeader("Accept-Encoding", "identity"), // what compresses also collects
			option.WithResponseBodyInto(&resp))
		if err != nil {
			return nil, err
		}
		if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/event-stream" {
			said, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
			_ = resp.Body.Close()
			return nil, fault.Wrap(fault.Unavailable, errors.New(kind+": "+string(said)), "The server at %s does not answer with a stream.", m.host)
		}
		resp.Request = nil // the connection keeps the response, and with it what was asked
		return resp.Body, nil
	}
}

// reason gives the failure of a stream its kind and a sentence for people.
func (m Model) reason(ctx, listening context.Context, err error) error {
	if said, ok := err.(refused); ok {
		return said.error
	}
	switch {
	case ctx.Err() != nil:
		return llm.Interrupted(ctx.Err())
	case context.Cause(listening) == errSilent:
		return fault.Wrap(fault.Unavailable, errSilent, "The language model said nothing for too long.")
	case errors.Is(err, bufio.ErrTooLong):
		return fault.Wrap(fault.Unavailable, err, "The language model sent far too much at once.")
	}
	return m.faultOf(ctx, err)
}

// hearing reads a body, and lets the timer run while nothing comes.
type hearing struct {
	body    io.ReadCloser
	quiet   *time.Timer
	silence time.Duration
	err     error // that ended it
}

func (h *hearing) Read(p []byte) (int, error) {
	h.quiet.Reset(h.silence)
	defer h.quiet.Stop()
	n, err := h.body.Read(p)
	if err != nil && err != io.EOF {
		h.err = err
	}
	return n, err
}

// leave gives the connection back. That of a whole answer can be used again, when it was
// read to its end.
func (a *answer) leave(whole bool) {
	if whole {
		a.body.quiet.Reset(goodbye)
		_, _ = io.CopyN(io.Discard, a.body.body, 512)
	}
	_ = a.body.body.Close()
}

// read takes the events of an answer until it is done.
func (a *answer) read(ctx context.Context) error {
	in := readEvents(&a.body)
	for in.next() {
		if ctx.Err() != nil { // several events may have come at once
			return ctx.Err()
		}
		data := string(in.data)
		switch {
		case data == "[DONE]":
			return a.end()
		case in.name == "error":
			return failed(in.data)
		case data == "":
			continue
		}
		if err := a.take(data); err != nil {
			return err
		}
	}
	return cmp.Or(a.body.err, in.err, errUnfinished())
}
