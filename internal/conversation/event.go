package conversation

import (
	"strconv"
	"strings"
	"time"

	"lectern.dev/lectern/internal/fault"
)

// Event is what a reader of an answer is sent.
type Event struct {
	ID   string // what to come again with
	Name string // "start", "delta", "citation", "done" or "error"
	Data any
}

// Started, Done and Broken are the data of "start", "done" and "error".
type (
	// Started begins an answer.
	Started struct {
		Message Message `json:"message"`
		Session string  `json:"session"`
	}
	// Done ends one that is whole, or was stopped.
	Done struct {
		Message Message `json:"message"`
		Usage   *Usage  `json:"usage,omitempty"`
		Model   string  `json:"model"`
	}
	// Broken ends one that is not whole. What there is of it is kept.
	Broken struct {
		Message Message `json:"message"`
		Detail  string  `json:"detail" doc:"what happened, and what can be done"`
	}
	// TextDelta is the data of "delta".
	TextDelta struct {
		Text string `json:"text"`
	}
)

// eventID names the n-th event of an answer: 0 is its start, the last comes after
// those of the log.
func eventID(answer string, n int64) string { return answer + "." + strconv.FormatInt(n, 10) }

// parseEventID gives back what eventID was made of; "" is before the start.
func parseEventID(s string) (answer string, n int64, err error) {
	if s == "" {
		return "", -1, nil
	}
	dot := strings.LastIndexByte(s, '.')
	if dot > 0 {
		answer = s[:dot]
		n, err = strconv.ParseInt(s[dot+1:], 10, 64)
	}
	if dot <= 0 || err != nil || n < 0 || !clientID.MatchString(answer) {
		return "", 0, fault.New(fault.Invalid, "The Last-Event-ID is not the id of an event of this stream. Leave it out to read from the beginning.")
	}
	return answer, n, nil
}

// started tells of an answer's start what its row says before it ends, so that it is
// the same whenever it is told.
func started(session string, m Message) Event {
	at := Message{ID: m.ID, Parent: m.Parent, Role: m.Role, TaskID: m.TaskID, State: Streaming, CreatedAt: inUTC(m.CreatedAt)}
	return Event{eventID(m.ID, 0), "start", Started{at, session}}
}

// last tells how an answer ended, from its row.
func last(m Message) Event {
	id := eventID(m.ID, m.Events+1)
	m.CreatedAt = inUTC(m.CreatedAt)
	if m.FinishedAt != nil {
		m.FinishedAt = new(inUTC(*m.FinishedAt))
	}
	if m.State == Interrupted || m.State == Failed {
		return Event{id, "error", Broken{m, m.Problem}}
	}
	return Event{id, "done", Done{m, m.Usage, m.Model}}
}

// inUTC makes a time look the same wherever it is told.
func inUTC(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
