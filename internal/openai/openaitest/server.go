// Package openaitest is a server that speaks OpenAI's wire format by a script: each
// request gets the next reply, with the failures that real servers have. A request
// that asks for a stream gets the reply piece by piece.
package openaitest

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

// Forever is longer than any test.
const Forever = 1000 * time.Hour

// Reply is what the server does with one request. The zero value answers "ok".
type Reply struct {
	Status  int               // 0: 200
	Header  map[string]string // beside Content-Type
	Body    string            // sent as it is; empty: made of the fields below
	Delay   time.Duration     // before the first byte
	CutAt   int               // > 0: the connection breaks after so many bytes of the body
	Drop    bool              // the connection breaks before any byte
	Hang    bool              // no answer until the client goes away
	Text    string            // of the message; empty: "ok"
	Refusal string
	Finish  string // "" is "stop", or "tool_calls" with some; "none" leaves it out
	NoUsage bool
	Usage   *Usage // nil: 11 tokens in, 7 out
	Sound   []byte // the answer of a request for speech

	ToolCalls []ToolCall

	// Of streams.
	Pieces  []string      // the text as it comes; empty: Text word by word
	Repeat  int           // > 0: Text is one piece, which comes so often
	Every   time.Duration // before each piece but the first
	StallAt int           // the piece before which the server is silent for Stall; 0: the first
	Stall   time.Duration
	Until   <-chan struct{} // and until this is closed; nil: no longer
	NoDone  bool            // the stream ends without [DONE]
}

// Usage is what the server says that it has counted, true or not.
type Usage struct {
	Input  int `json:"prompt_tokens"`
	Output int `json:"completion_tokens"`
}

// ToolCall is a tool that the reply wants called. In a stream its arguments come in two parts.
type ToolCall struct{ ID, Name, Arguments string }

// Error is a reply with an error object as OpenAI sends it.
func Error(status int, code, message string) Reply {
	return Reply{Status: status, Body: errorObject(code, message)}
}

func errorObject(code, message string) string {
	body, _ := json.Marshal(map[string]any{"error": map[string]any{
		"message": message, "type": "error", "param": nil, "code": code,
	}})
	return string(body)
}

// Raw is a reply with the bytes of a stream as they are.
func Raw(stream string) Reply {
	return Reply{Body: stream, Header: map[string]string{"Content-Type": "text/event-stream"}}
}

// Request is what came.
type Request struct {
	Path   string
	Header http.Header
	Body   map[string]any
}

// Server is a running server. Its address for a client's base URL is URL + "/v1".
type Server struct {
	*httptest.Server
	*Script
}

// New starts a server; the last reply is given to all further requests.
func New(t testing.TB, replies ...Reply) *Server {
	t.Helper()
	return start(t, &Script{replies: append([]Reply{}, replies...)}, (*httptest.Server).Start)
}

// NewFunc starts a server whose replies are made for each request. The function may
// be called by several requests at once.
func NewFunc(t testing.TB, reply func(Request) Reply) *Server {
	t.Helper()
	return start(t, &Script{Reply: reply}, (*httptest.Server).Start)
}

// NewTLS starts a server that offers HTTP/2; its Client trusts it.
func NewTLS(t testing.TB, replies ...Reply) *Server {
	t.Helper()
	return start(t, &Script{replies: append([]Reply{}, replies...)}, func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.StartTLS()
	})
}

func start(t testing.TB, script *Script, run func(*httptest.Server)) *Server {
	s := &Server{httptest.NewUnstartedServer(script), script}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that break off, as they are meant to
	run(s.Server)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// ServeHTTP implements http.Handler.
func (s *Script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply, request := s.next(r)
	call := s.begin()
	defer func() { s.end(call, r.Context().Err() != nil) }()
	if reply.Drop {
		panic(http.ErrAbortHandler)
	}
	if reply.Hang {
		reply.Delay = Forever
	}
	if !wait(r, reply.Delay) {
		return
	}
	if request.Body["stream"] == true && reply.Body == "" && reply.Status <= http.StatusOK {
		reply.stream(w, r, request)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	out := reply.Body
	switch {
	case out != "":
	case r.URL.Path == "/v1/audio/speech":
		w.Header().Set("Content-Type", "audio/pcm")
		out = string(reply.Sound)
	default:
		out = reply.completion(request.Body)
	}
	reply.head(w, len(out))
	if reply.CutAt > 0 && reply.CutAt < len(out) {
		_, _ = io.WriteString(w, out[:reply.CutAt])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = io.WriteString(w, out)
}

// head sends the headers; a length below 0 is not known yet.
func (r Reply) head(w http.ResponseWriter, length int) {
	for k, v := range r.Header {
		w.Header().Set(k, v)
	}
	if length >= 0 {
		w.Header().Set("Content-Length", strconv.Itoa(length))
	}
	w.WriteHeader(max(r.Status, http.StatusOK))
}

// completion is a whole answer of /v1/chat/completions.
func (r Reply) completion(request map[string]any) string {
	message := map[string]any{"role": "assistant", "content": r.text(), "refusal": nil}
	if r.Refusal != "" {
		message["content"], message["refusal"] = nil, r.Refusal
	}
	if len(r.ToolCalls) > 0 {
		calls := make([]any, len(r.ToolCalls))
		for i, c := range r.ToolCalls {
			calls[i] = map[string]any{"id": c.ID, "type": "function", "function": map[string]any{"name": c.Name, "arguments": c.Arguments}}
		}
		message["tool_calls"] = calls
	}
	choice := map[string]any{"index": 0, "message": message, "logprobs": nil, "finish_reason": r.finish()}
	answer := map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": request["model"],
		"choices": []any{choice},
	}
	if !r.NoUsage {
		answer["usage"] = r.usage()
	}
	out, err := json.Marshal(answer)
	if err != nil {
		panic(err) // what came from JSON goes back to it
	}
	return string(out)
}

// text is what the message says: a call of tools alone says nothing.
func (r Reply) text() string {
	if r.Text == "" && len(r.ToolCalls) == 0 {
		return "ok"
	}
	return r.Text
}

// finish is a string, or nil for none.
func (r Reply) finish() any {
	switch {
	case r.Finish == "none":
		return nil
	case r.Finish != "":
		return r.Finish
	case len(r.ToolCalls) > 0:
		return "tool_calls"
	}
	return "stop"
}

func (r Reply) usage() map[string]int {
	u := Usage{Input: 11, Output: 7}
	if r.Usage != nil {
		u = *r.Usage
	}
	return map[string]int{"prompt_tokens": u.Input, "completion_tokens": u.Output, "total_tokens": u.Input + u.Output}
}
