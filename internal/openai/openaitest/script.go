package openaitest

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Script answers requests in order and keeps what it saw. It is a handler by itself,
// for servers that stand in a process of their own.
type Script struct {
	// Reply makes the reply for a request; nil takes the next of the script.
	Reply func(Request) Reply
	// Forget keeps no request, for loads.
	Forget bool

	mu       sync.Mutex
	replies  []Reply
	requests []Request
	calls    []*Call
	open     int
}

// Call is how an answer was taken, in the order of the requests.
type Call struct {
	Began    time.Time
	Ended    time.Time // zero: it goes on
	ByClient bool      // the client ended it
}

// Then replaces what is left of the script.
func (s *Script) Then(replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies = append([]Reply{}, replies...)
}

// Requests gives what came so far.
func (s *Script) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Calls gives how the answers so far were taken.
func (s *Script) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Call, len(s.calls))
	for i, c := range s.calls {
		out[i] = *c
	}
	return out
}

// Open is the number of answers that are being given.
func (s *Script) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

func (s *Script) begin() *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	c := &Call{Began: time.Now()}
	if !s.Forget {
		s.calls = append(s.calls, c)
	}
	return c
}

func (s *Script) end(c *Call, byClient bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	c.Ended, c.ByClient = time.Now(), byClient
}

func (s *Script) next(r *http.Request) (Reply, Request) {
	request := Request{Path: r.URL.Path, Header: r.Header.Clone()}
	_ = json.NewDecoder(r.Body).Decode(&request.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.Forget {
		s.requests = append(s.requests, request)
	}
	if s.Reply != nil {
		s.mu.Unlock()
		defer s.mu.Lock()
		return s.Reply(request), request
	}
	reply := Reply{}
	if len(s.replies) > 0 {
		reply = s.replies[0]
	}
	if len(s.replies) > 1 {
		s.replies = s.replies[1:]
	}
	return reply, request
}

// wait tells whether the client is still there after a pause.
func wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
