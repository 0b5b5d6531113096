package openai

import (
	"bufio"
	"bytes"
	"io"
)

const (
	maxEvent  = 1 << 20 // bytes of one event
	firstRoom = 512     // bytes that an event may have before more room is made: thousands of streams wait at once
)

// events reads server-sent events, one at a time. A stream that ends without the line
// breaks behind its last event, as some servers leave it, still has that event.
// https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
type events struct {
	lines    *bufio.Scanner
	begun    bool // the first line, which may begin with a mark of its encoding, was there
	returned bool // the line before ended with a carriage return
	err      error

	name string // of the event that next found
	data []byte // and what it says, until the next one
}

func readEvents(body io.Reader) *events {
	e := &events{lines: bufio.NewScanner(body)}
	e.lines.Buffer(make([]byte, 0, firstRoom), maxEvent)
	e.lines.Split(e.line)
	return e
}

// next finds an event. When there is none, err says why, if the stream has not just ended.
func (e *events) next() bool {
	e.name, e.data = "", e.data[:0]
	some := false // of an event was there
	for e.lines.Scan() {
		line := e.lines.Bytes()
		if !e.begun {
			e.begun, line = true, bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(line) == 0 {
			if some {
				e.trim()
				return true
			}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			some, e.name = true, string(value)
		case "data":
			if len(e.data)+len(value) > maxEvent {
				e.err = bufio.ErrTooLong
				return false
			}
			some, e.data = true, append(append(e.data, value...), '\n')
		}
	}
	if e.err = e.lines.Err(); e.err != nil {
		return false
	}
	e.trim()
	return some
}

// trim takes the last line break from the data.
func (e *events) trim() { e.data = bytes.TrimSuffix(e.data, []byte("\n")) }

// line cuts off a line, which ends with a line feed, a carriage return, or both. It does
// not wait for what follows a carriage return: a line feed there belongs to it. Half a
// line is one when the stream has ended, and none when the connection broke.
func (e *events) line(data []byte, ended bool) (advance int, line []byte, err error) {
	if e.returned && len(data) > 0 {
		e.returned = false
		if data[0] == '\n' {
			advance, data = 1, data[1:]
		}
	}
	end := bytes.IndexAny(data, "\r\n")
	switch {
	case end >= 0:
		e.returned = data[end] == '\r'
		return advance + end + 1, data[:end], nil
	case ended && len(data) > 0 && e.lines.Err() == nil:
		return advance + len(data), data, nil
	}
	return advance, nil, nil
}
