package edge

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// DataStream is an answer of server-sent events that are data alone, as others' wire
// formats have them: without ids, so nobody can come again, and without a word about
// reconnecting, which some of their clients take for an event.
//
// It begins with the first event, or a comment when there is none for long: until
// then an error can still be told with a status.
type DataStream struct {
	w          http.ResponseWriter
	controller *http.ResponseController

	mu               sync.Mutex
	begun, withdrawn bool

	err error // of the first write that failed
}

// firstComment is how long an answer may be silent before its stream begins with a comment:
// until then an error can be told with a status, upon which clients ask again by themselves.
const firstComment = 10 * time.Second

// NewDataStream makes one that has not begun.
func NewDataStream(w http.ResponseWriter) *DataStream {
	return &DataStream{w: w, controller: http.NewResponseController(w)}
}

// Send writes events, each of which is "data: …\n\n", at once. It fails when the
// client takes nothing for 10 s, and ever after.
func (s *DataStream) Send(events []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(events)
}

// Alive sends comments until ctx ends, so that neither the client nor a proxy takes
// silence for the end. It calls gone when the client takes no more.
func (s *DataStream) Alive(ctx context.Context, gone func()) {
	from, tick := time.Now(), time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(from) < firstComment && !s.hasBegun() {
			continue
		}
		if s.Send([]byte(": still here\n\n")) != nil {
			gone()
			return
		}
	}
}

func (s *DataStream) hasBegun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

// Withdraw has a stream that has not begun never begin, and tells whether that was so:
// another answer can be given then.
func (s *DataStream) Withdraw() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withdrawn = !s.begun
	return s.withdrawn
}

var errWithdrawn = errors.New("the stream was withdrawn")

func (s *DataStream) write(b []byte) error {
	switch {
	case s.err != nil:
		return s.err
	case s.withdrawn:
		return errWithdrawn
	case !s.begun:
		s.begun = true
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // proxies must not collect
		s.w.WriteHeader(http.StatusOK)
	}
	_ = s.controller.SetWriteDeadline(time.Now().Add(streamWriteTime)) // a recorder has none
	if _, s.err = s.w.Write(b); s.err == nil {
		s.err = s.controller.Flush()
	}
	return s.err
}
