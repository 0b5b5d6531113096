// Package openaitest is a server that speaks OpenAI's wire format by a script: each
// request gets the next reply, with the failures that real servers have.
package openaitest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Reply is what the server does with one request. The zero value answers "ok".
type Reply struct {
	Status  int               // 0: 200
	Header  map[string]string // beside Content-Type
	Body    string            // sent as it is; empty: made of the fields below
	Delay   time.Duration     // before the first byte
	CutAt   int               // > 0: the connection breaks after so many bytes of the body
	Hang    bool              // no answer until the client goes away
	Text    string            // of the message; empty: "ok"
	Refusal string
	Finish  string // "" is "stop"; "none" leaves it out
	NoUsage bool
	Sound   []byte // the answer of a request for speech
}

// Error is a reply with an error object as OpenAI sends it.
func Error(status int, code, message string) Reply {
	body, _ := json.Marshal(map[string]any{"error": map[string]any{
		"message": message, "type": "error", "param": nil, "code": code,
	}})
	return Reply{Status: status, Body: string(body)}
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
	mu       sync.Mutex
	replies  []Reply
	requests []Request
}

// New starts a server; the last reply is given to all further requests.
func New(t testing.TB, replies ...Reply) *Server {
	t.Helper()
	s := &Server{replies: append([]Reply{}, replies...)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// Requests gives what came so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply, body := s.next(r)
	select {
	case <-time.After(reply.Delay):
	case <-r.Context().Done():
		return
	}
	if reply.Hang {
		<-r.Context().Done()
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
		out = reply.completion(body)
	}
	for k, v := range reply.Header {
		w.Header().Set(k, v)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	w.WriteHeader(max(reply.Status, http.StatusOK))
	if reply.CutAt > 0 && reply.CutAt < len(out) {
		_, _ = io.WriteString(w, out[:reply.CutAt])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = io.WriteString(w, out)
}

func (s *Server) next(r *http.Request) (Reply, map[string]any) {
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{r.URL.Path, r.Header.Clone(), body})
	reply := Reply{}
	if len(s.replies) > 0 {
		reply = s.replies[0]
	}
	if len(s.replies) > 1 {
		s.replies = s.replies[1:]
	}
	return reply, body
}

// completion is a whole answer of /v1/chat/completions.
func (r Reply) completion(request map[string]any) string {
	message := map[string]any{"role": "assistant", "content": r.Text, "refusal": nil}
	switch {
	case r.Refusal != "":
		message["content"], message["refusal"] = nil, r.Refusal
	case r.Text == "":
		message["content"] = "ok"
	}
	choice := map[string]any{"index": 0, "message": message, "logprobs": nil, "finish_reason": "stop"}
	switch r.Finish {
	case "":
	case "none":
		choice["finish_reason"] = nil
	default:
		choice["finish_reason"] = r.Finish
	}
	answer := map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": request["model"],
		"choices": []any{choice},
	}
	if !r.NoUsage {
		answer["usage"] = map[string]any{"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
	}
	out, err := json.Marshal(answer)
	if err != nil {
		panic(err) // what came from JSON goes back to it
	}
	return string(out)
}
