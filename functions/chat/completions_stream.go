package chat

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/llm"
)

// coalesce is how long pieces are collected before they are sent together: a person
// sees no difference, and a write for every token would cost most of the CPU.
const coalesce = 25 * time.Millisecond

// chunks writes an answer as OpenAI's stream of chunks. Pieces come from one
// goroutine; what was collected may be sent by another.
// https://platform.openai.com/docs/api-reference/chat-streaming
type chunks struct {
	to    *edge.DataStream
	head  []byte // what every chunk begins with, up to the delta
	usage bool   // a last chunk tells it, and all others that it is not told yet

	mu      sync.Mutex
	out     []byte // chunks that are to be sent
	text    []byte // and text that is to be in the next
	refusal bool   // text is one
	refused bool   // there was one
	begun   bool
	sentAt  time.Time
	timer   *time.Timer
	err     error
}

// newChunks makes a stream with the id and time of a completion.
func newChunks(to *edge.DataStream, c completion, usage bool) *chunks {
	s := &chunks{to: to, usage: usage}
	s.name(c)
	return s
}

// name says who answers, from here on.
func (s *chunks) name(c completion) {
	head, _ := json.Marshal(struct { // of strings and a number
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		Model   string `json:"model"`
	}{c.ID, "chat.completion.chunk", c.Created, c.Model})
	s.head = append([]byte("data: "), head[:len(head)-1]...)
}

// add passes a piece on, with others of the next moment. It blocks while the client
// is slow, and fails when it is gone.
func (s *chunks) add(p llm.Piece) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	if p.Text != "" {
		if p.Refusal != s.refusal {
			s.putText()
			s.refusal = p.Refusal
		}
		s.refused = s.refused || p.Refusal
		s.text = append(s.text, p.Text...)
	}
	if len(p.ToolCalls) > 0 {
		s.putText()
		s.put(append(append([]byte(`{"tool_calls":`), callParts(p.ToolCalls)...), '}'), "null")
	}
	switch wait := coalesce - time.Since(s.sentAt); {
	case wait <= 0:
		s.send()
	case s.timer == nil:
		s.timer = time.AfterFunc(wait, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.timer != nil {
				s.send()
			}
		})
	}
	return s.err
}

// callParts are the parts of calls as a chunk has them: who and what comes with the first.
func callParts(parts []llm.ToolCallPiece) []byte {
	calls := make([]completionCallPart, len(parts))
	for i, p := range parts {
		calls[i] = completionCallPart{Index: p.Index, ID: p.ID}
		calls[i].Function.Name, calls[i].Function.Arguments = p.Name, p.Arguments
		if p.ID != "" {
			calls[i].Type = "function"
		}
	}
	encoded, _ := json.Marshal(calls) // of strings and numbers
	return encoded
}

// done ends an answer that is whole.
func (s *chunks) done(c completion, finish llm.Finish, citations []conversation.Citation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	s.putText()
	s.name(c)
	last, err := json.Marshal(struct {
		Citations []conversation.Citation `json:"citations,omitempty"`
	}{citations})
	if err != nil {
		return err
	}
	s.put(last, strconv.Quote(reasonOf(finish, s.refused)))
	if s.usage {
		counted, _ := json.Marshal(c.Usage) // of numbers
		s.out = append(append(s.out, s.head...), `,"choices":[],"usage":`...)
		s.out = append(append(s.out, counted...), "}\n\n"...)
	}
	s.out = append(s.out, "data: [DONE]\n\n"...)
	s.send()
	return nil // a client that is gone needs no telling
}

// close has nothing more be sent.
func (s *chunks) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// broken tells whether the client takes no more.
func (s *chunks) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil
}

// fail ends one that is not: with what there is, the error, and no [DONE].
func (s *chunks) fail(e apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putText()
	encoded, _ := json.Marshal(e) // of strings
	s.out = append(append(append(s.out, "data: "...), encoded...), "\n\n"...)
	s.send()
}

func (s *chunks) begin() {
	if !s.begun {
		s.begun = true
		s.put([]byte(`{"role":"assistant","content":"","refusal":null}`), "null")
	}
}

// putText makes a chunk of the text that was collected.
func (s *chunks) putText() {
	if len(s.text) == 0 {
		return
	}
	encoded, _ := json.Marshal(string(s.text))
	delta := []byte(`{"content":`)
	if s.refusal {
		delta = []byte(`{"refusal":`)
	}
	s.put(append(append(delta, encoded...), '}'), "null")
	s.text = s.text[:0]
}

// put makes a chunk; reason is JSON.
func (s *chunks) put(delta []byte, reason string) {
	s.out = append(append(s.out, s.head...), `,"choices":[{"index":0,"delta":`...)
	s.out = append(append(s.out, delta...), `,"logprobs":null,"finish_reason":`...)
	s.out = append(append(s.out, reason...), `}]`...)
	if s.usage {
		s.out = append(s.out, `,"usage":null`...)
	}
	s.out = append(s.out, "}\n\n"...)
}

// send writes what was collected.
func (s *chunks) send() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.putText()
	if s.err == nil && len(s.out) > 0 {
		s.err = s.to.Send(s.out)
	}
	s.out = s.out[:0]
	s.sentAt = time.Now()
}
