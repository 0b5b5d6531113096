package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// How server-sent events are kept alive and bounded. Over HTTP/2 a write deadline that
// passes ends the stream though nobody is writing: the next heartbeat must come first.
const (
	heartbeat      = 5 * time.Second // well below the 15 s after which a follower may doubt us
	reconnectAfter = time.Second     // what browsers wait before they come again
)

// Message is one server-sent event.
type Message struct {
	ID    string // what a client sends back as Last-Event-ID; may be empty
	Event string // the event's name
	Data  any    // sent as JSON on one line, so no text in it can forge an event
}

// Stream answers with server-sent events as long as produce runs. Its ctx ends
// when the client has gone or the process drains; produce then returns. Comments
// keep an idle connection open. An error of produce after the first byte cannot
// be told any more: it is logged, and the client comes again by itself.
// https://html.spec.whatwg.org/multipage/server-sent-events.html
//
// Behind HTTP the stream begins when the handler that called Stream, and all that called
// the handler, has returned: nothing of them is kept while it is open. An open stream
// costs a timer beside its request, or two small goroutines instead of it (see line).
func Stream(w http.ResponseWriter, r *http.Request, produce Producer) {
	hold(w, r, context.WithCancel, produce)
}

// hold is Stream as long as the gate lets who asks stay.
func hold(w http.ResponseWriter, r *http.Request, admitted func(ctx context.Context) (context.Context, context.CancelFunc), produce Producer) {
	s := &stream{ctx: r.Context(), admitted: admitted, produce: produce}
	LongLived(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies must not collect
	if q := requestOf(s.ctx); q != nil && q.outer {
		q.stream = s
		return
	}
	s.run(w)
}

// stream serializes writers: the producer and the heartbeat.
type stream struct {
	ctx      context.Context // of the handler; its values are those of the stream's
	admitted func(ctx context.Context) (context.Context, context.CancelFunc)
	produce  Producer

	w          http.ResponseWriter
	controller *http.ResponseController
	cancel     context.CancelFunc // ends the producer's ctx

	mu       sync.Mutex
	beat     *time.Timer
	ended    bool
	last     time.Time // of the writes
	patience Patience
	err      error // of the first write that failed
}

// run sends what the producer has until it is done.
func (s *stream) run(w http.ResponseWriter) {
	s.w, s.controller = w, http.NewResponseController(w)
	admitted, release := s.admitted(s.ctx)
	defer release()
	ctx, cancel := context.WithCancel(admitted)
	s.cancel = cancel
	defer s.cancel()
	w.WriteHeader(http.StatusOK)
	if s.write(fmt.Appendf(nil, "retry: %d\n\n", reconnectAfter.Milliseconds())) != nil {
		return
	}

	defer context.AfterFunc(drained(ctx), s.cancel)()
	s.keepAlive()
	defer s.end()
	err := s.produce(ctx, func(m Message) error {
		if err := admitted.Err(); err != nil { // gone, or no longer admitted (see Gate.Hold)
			return err
		}
		return s.send(m)
	})
	if err != nil && ctx.Err() == nil && s.broken() == nil { // a reader that went, or that a drain sent elsewhere, is no failure
		Failed(ctx, err)
	}
}

// encoders are shared by all streams: each needs one only while it writes.
var encoders = sync.Pool{New: func() any { return new([]byte) }}

func (s *stream) send(m Message) error {
	buffer := encoders.Get().(*[]byte)
	defer encoders.Put(buffer)
	b, err := m.encode((*buffer)[:0])
	if err != nil {
		return err
	}
	if *buffer = b; cap(b) > 64<<10 { // a rare long one is not kept
		*buffer = nil
	}
	return s.write(b)
}

func (s *stream) write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(b)
}

// put writes, with the lock held.
func (s *stream) put(b []byte) error {
	if s.err != nil {
		return s.err
	}
	s.last = time.Now()
	s.patience.Begin(s.controller, s.last)
	if _, s.err = s.w.Write(b); s.err == nil {
		s.err = s.controller.Flush()
	}
	return s.err
}

func (s *stream) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// keepAlive has a comment sent whenever nothing was for long.
func (s *stream) keepAlive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat = time.AfterFunc(heartbeat, s.alive)
}

// alive sends the comment; it ends the stream's ctx when the client takes no more.
func (s *stream) alive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.err != nil {
		return
	}
	left := heartbeat - time.Since(s.last)
	if left <= 0 {
		if s.put([]byte(": still here\n\n")) != nil {
			s.cancel()
			return
		}
		left = heartbeat
	}
	s.beat.Reset(left)
}

// end returns when no comment is being sent: nobody may write after the handler has
// returned.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.beat.Stop()
}

// encode appends the fields, a line each. JSON never holds a raw line break, except
// between its parts: what is encoded already goes as it is when it has none. The id
// and the name are ours, so a line break in them is a mistake of ours.
func (m Message) encode(b []byte) ([]byte, error) {
	if strings.ContainsAny(m.ID, "\r\n\x00") || strings.ContainsAny(m.Event, "\r\n\x00") {
		return nil, fmt.Errorf("a line break in the id %q or name %q of an event", m.ID, m.Event)
	}
	data, ready := m.Data.(json.RawMessage)
	if !ready || len(data) == 0 || bytes.ContainsAny(data, "\r\n") {
		var err error
		if data, err = json.Marshal(m.Data); err != nil {
			return nil, fmt.Errorf("encode the event %s: %w", m.Event, err)
		}
	}
	if m.ID != "" {
		b = append(append(append(b, "id: "...), m.ID...), '\n')
	}
	if m.Event != "" {
		b = append(append(append(b, "event: "...), m.Event...), '\n')
	}
	return append(append(append(b, "data: "...), data...), "\n\n"...), nil
}
