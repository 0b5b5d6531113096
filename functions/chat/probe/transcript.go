package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tmaxmax/go-sse"
)

// event is one server-sent event, with what it was made of.
type event struct {
	id, name, data string
	raw            string // its lines, as they came
	at             time.Duration
}

// transcript is all that came of a stream.
type transcript struct {
	events  []event
	silence time.Duration // the longest between two bytes
	ended   bool          // by the server, and as HTTP wants it
}

// message is a message of a session.
type message struct {
	ID, Parent, Role, State, Content, Model, Problem string
	Finish                                           string
	Usage                                            *struct {
		Input  int64 `json:"input_tokens"`
		Output int64 `json:"output_tokens"`
	}
	CreatedAt  time.Time  `json:"created_at"`
	FinishedAt *time.Time `json:"finished_at"`
}

// listen calls and reads events until see says that it is enough, or the stream ends.
// A nil see reads all.
func (c *client) listen(ctx context.Context, q request, see func(event) (enough bool)) (t transcript, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var began time.Time
	q.sent = &began
	if q.header == nil {
		q.header = map[string]string{}
	}
	q.header["Accept"] = "text/event-stream"
	resp, err := c.open(ctx, q)
	if err != nil {
		return t, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		t.ended = true
		return t, nil
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/event-stream" {
		return t, fmt.Errorf("the stream's Content-Type is %q", resp.Header.Get("Content-Type"))
	}
	if store := resp.Header.Get("Cache-Control"); !strings.Contains(store, "no-store") && !strings.Contains(store, "no-cache") {
		return t, fmt.Errorf("the stream may be cached: Cache-Control is %q", store)
	}
	raw := &tape{from: resp.Body, last: began}
	for e, err := range sse.Read(raw, &sse.ReadConfig{MaxEventSize: 4 << 20}) {
		if err != nil {
			t.silence = raw.silence
			return t, fmt.Errorf("the stream broke off after %d events: %w", len(t.events), err)
		}
		one := event{id: e.LastEventID, name: e.Type, data: e.Data, at: time.Since(began)}
		t.events = append(t.events, one)
		if see != nil && see(one) {
			t.silence = raw.silence
			t.label(raw.text.Bytes())
			return t, nil
		}
	}
	t.silence, t.ended = raw.silence, true
	t.label(raw.text.Bytes())
	return t, nil
}

// label gives each event the lines that it was made of: those of a block with data.
func (t *transcript) label(raw []byte) {
	n := 0
	for block := range strings.SplitSeq(string(raw), "\n\n") {
		if n == len(t.events) {
			return
		}
		if strings.HasPrefix(block, "data:") || strings.Contains(block, "\ndata:") {
			t.events[n].raw = block
			n++
		}
	}
}

// tape keeps what is read, and the longest time in which nothing came.
type tape struct {
	from    io.Reader
	text    bytes.Buffer
	last    time.Time
	silence time.Duration
}

func (t *tape) Read(b []byte) (int, error) {
	n, err := t.from.Read(b)
	t.text.Write(b[:n])
	t.silence = max(t.silence, time.Since(t.last))
	t.last = time.Now()
	return n, err
}

// raws are the lines of events together.
func raws(events []event) string {
	all := make([]string, len(events))
	for i, e := range events {
		all[i] = e.raw
	}
	return strings.Join(all, "\n\n")
}

// answer is what a whole stream of one answer says, checked.
type answer struct {
	id, text string
	last     message
	first    time.Duration // until the first text
}

// whole checks a stream from its start to its end: each event has an id that follows
// the one before, it begins and ends as it should, and its pieces make up the message.
func (t transcript) whole() (a answer, err error) {
	if len(t.events) == 0 {
		return a, errors.New("the stream has no events")
	}
	begin, end := t.events[0], t.events[len(t.events)-1]
	var started struct{ Message message }
	if err := json.Unmarshal([]byte(begin.data), &started); begin.name != "start" || err != nil || started.Message.ID == "" {
		return a, fmt.Errorf("the stream begins with %q and not with start and its message: %v", begin.name, err)
	}
	a.id = started.Message.ID
	var said strings.Builder
	for i, e := range t.events {
		if want := a.id + "." + strconv.Itoa(i); e.id != want {
			return a, fmt.Errorf("event %d has the id %q, not %q", i, e.id, want)
		}
		switch {
		case e.name == "delta":
			var delta struct{ Text *string }
			if err := json.Unmarshal([]byte(e.data), &delta); err != nil || delta.Text == nil {
				return a, fmt.Errorf("event %s is no delta with a text: %.100s", e.id, e.data)
			}
			if said.Len() == 0 {
				a.first = e.at
			}
			said.WriteString(*delta.Text)
		case e.name == "citation":
			if !json.Valid([]byte(e.data)) {
				return a, fmt.Errorf("event %s is not JSON: %.100s", e.id, e.data)
			}
		case i > 0 && i < len(t.events)-1:
			return a, fmt.Errorf("event %s is a %q in the middle of the stream", e.id, e.name)
		}
	}
	a.text = said.String()
	var ended struct {
		Message message
		Detail  string
	}
	if err := json.Unmarshal([]byte(end.data), &ended); err != nil || end.name != "done" && end.name != "error" {
		return a, fmt.Errorf("the stream ends with %q, neither done nor error: it was cut", end.name)
	}
	a.last = ended.Message
	switch {
	case !t.ended:
		return a, errors.New("the stream goes on after its last event")
	case a.last.ID != a.id:
		return a, fmt.Errorf("the stream of %s ends with the message %s", a.id, a.last.ID)
	case a.last.Content != a.text:
		return a, fmt.Errorf("the pieces make up %d bytes, the message has %d: %s", len(a.text), len(a.last.Content), differ(a.text, a.last.Content))
	case end.name == "error":
		return a, fmt.Errorf("the answer is %s: %s", a.last.State, ended.Detail)
	}
	return a, nil
}

// differ shows where two texts part.
func differ(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	cut := func(s string) string { return s[n:min(len(s), n+40)] }
	return fmt.Sprintf("from byte %d on, %q and %q", n, cut(a), cut(b))
}
