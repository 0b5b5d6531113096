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

// How server-sent events are kept alive and bounded.
const (
	heartbeat       = 10 * time.Second // below the 15 s after which a follower may doubt us
	streamWriteTime = 10 * time.Second // per write: a reader that takes nothing is let go
	reconnectAfter  = time.Second      // what browsers wait before they come again
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
func Stream(w http.ResponseWriter, r *http.Request, produce func(ctx context.Context, send func(Message) error) error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &stream{w: w, controller: http.NewResponseController(w)}
	LongLived(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies must not collect
	w.WriteHeader(http.StatusOK)
	if s.write(fmt.Appendf(nil, "retry: %d\n\n", reconnectAfter.Milliseconds())) != nil {
		return
	}

	var beating sync.WaitGroup
	beating.Go(func() { s.beat(ctx, cancel) })
	err := produce(ctx, func(m Message) error {
		if err := r.Context().Err(); err != nil { // gone, or no longer admitted (see Gate.Hold)
			return err
		}
		return s.send(m)
	})
	cancel()
	beating.Wait() // nobody may write after the handler has returned
	if err != nil && r.Context().Err() == nil && s.broken() == nil {
		Failed(ctx, err)
	}
}

// stream serializes writers: the producer and the heartbeat.
type stream struct {
	mu         sync.Mutex
	w          http.ResponseWriter
	controller *http.ResponseController
	err        error // of the first write that failed
}

func (s *stream) send(m Message) error {
	b, err := m.encode()
	if err != nil {
		return err
	}
	return s.write(b)
}

func (s *stream) write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	_ = s.controller.SetWriteDeadline(time.Now().Add(streamWriteTime)) // a recorder has none
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

// beat sends comments until ctx ends; it ends ctx when the client takes no more or
// the process drains.
func (s *stream) beat(ctx context.Context, cancel context.CancelFunc) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-Draining(ctx):
			cancel()
			return
		case <-tick.C:
			if s.write([]byte(": still here\n\n")) != nil {
				cancel()
				return
			}
		}
	}
}

// encode writes the fields, a line each. JSON never holds a raw line break; the id
// and the name are ours, so a line break in them is a mistake of ours.
func (m Message) encode() ([]byte, error) {
	if strings.ContainsAny(m.ID+m.Event, "\r\n\x00") {
		return nil, fmt.Errorf("a line break in the id %q or name %q of an event", m.ID, m.Event)
	}
	data, err := json.Marshal(m.Data)
	if err != nil {
		return nil, fmt.Errorf("encode the event %s: %w", m.Event, err)
	}
	var b bytes.Buffer
	if m.ID != "" {
		fmt.Fprintf(&b, "id: %s\n", m.ID)
	}
	if m.Event != "" {
		fmt.Fprintf(&b, "event: %s\n", m.Event)
	}
	fmt.Fprintf(&b, "data: %s\n\n", data)
	return b.Bytes(), nil
}
