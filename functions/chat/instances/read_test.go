package instances

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tmaxmax/go-sse"
)

// read gives the events of a stream.
func read(body io.Reader, give func(event) error) error {
	for e, err := range sse.Read(body, &sse.ReadConfig{MaxEventSize: 4 << 20}) {
		if err != nil {
			return err
		}
		if e.Type == "" || e.LastEventID == "" {
			continue // a heartbeat, or the time to come again after
		}
		if err := give(event{e.LastEventID, e.Type, e.Data}); err != nil {
			return err
		}
	}
	return nil
}

// transcript is what a reader saw over all its connections.
type transcript struct {
	events []event
	wrong  []string
}

func (s *transcript) give(e event) error {
	if s.over() {
		s.wrong = append(s.wrong, "after the end: "+e.id)
	}
	if e.name == "start" && len(s.events) > 0 {
		s.wrong = append(s.wrong, "a second start: "+e.id)
	}
	answer, n, _ := strings.Cut(e.id, ".")
	if seq, err := strconv.Atoi(n); err != nil || seq != len(s.events) || answer != s.answer(answer) {
		s.wrong = append(s.wrong, fmt.Sprintf("%s is the %d. event", e.id, len(s.events)))
	}
	s.events = append(s.events, e)
	return nil
}

func (s *transcript) answer(none string) string {
	if len(s.events) == 0 {
		return none
	}
	answer, _, _ := strings.Cut(s.events[0].id, ".")
	return answer
}

func (s *transcript) last() event {
	if len(s.events) == 0 {
		return event{}
	}
	return s.events[len(s.events)-1]
}

func (s *transcript) over() bool { return s.last().name == "done" || s.last().name == "error" }

func (s *transcript) String() string {
	var all strings.Builder
	for _, e := range s.events {
		all.WriteString(e.id + " " + e.name + " " + e.data + "\n")
	}
	return all.String()
}

// text is what the deltas say together.
func (s *transcript) text() string {
	var all strings.Builder
	for _, e := range s.events {
		var d struct{ Text string }
		if e.name == "delta" && json.Unmarshal([]byte(e.data), &d) == nil {
			all.WriteString(d.Text)
		}
	}
	return all.String()
}

// row is what the database says of an answer.
type row struct {
	State, Content string
	Events         int64
}

func (h *house) row(answer string) (r row) {
	err := h.db.QueryRow(context.Background(), `SELECT state, content, coalesce(events, -1) FROM messages WHERE message_id = $1`, answer).Scan(&r.State, &r.Content, &r.Events)
	if err != nil {
		h.t.Errorf("%s: %v", answer, err)
	}
	return r
}
