package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"unicode/utf8"

	"lectern.dev/lectern/internal/fault"
)

// Live is an answer that is made here. It is used by one goroutine.
type Live struct {
	r      *Relay
	name   Answer
	log    *answer // what is logged, and so may be read
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	changed sync.Cond // something was logged, or the answer is given up
	pending []piece   // what is to be logged
	size    int       // of pending, in bytes
	text    int       // bytes of text in all
	seq     int64     // of the last event that was made
	queued  bool      // in the writer's list; being written
	hurried bool      // in its urgent list
	closed  error     // why nothing more can be added
	broken  error     // why nothing more is logged
}

// piece is an event to be: text, or the data of a citation.
type piece struct {
	kind Kind
	text []byte
}

// How many bytes may wait to be logged: of an answer, and of all together.
const (
	maxPending = 64 << 10
	maxWaiting = 32 << 20
)

// Begin takes up an answer whose row carries this process's id, as soon as it does:
// a row that nobody begins is ended as interrupted. The log has logged events of it
// already: 0, unless it was claimed. Cancel is called, with one of the reasons
// above or why the log cannot be written, when the answer is to end.
func (r *Relay) Begin(a Answer, logged int64, cancel context.CancelCauseFunc) *Live {
	r.mu.Lock()
	log := r.claimed[a]
	delete(r.claimed, a)
	if log == nil {
		log = &answer{}
	}
	l := &Live{r: r, name: a, log: log, cancel: cancel, seq: logged}
	l.changed.L = &l.mu
	closed := r.closed || r.leaving
	if !closed {
		r.lives[a] = l
		r.keep()
		if w := r.watched[a]; w != nil { // who has been waiting reads here
			delete(r.watched, a)
			w.finish(errElsewhere, 0)
		}
	}
	r.mu.Unlock()
	switch {
	case closed:
		l.giveUp(ErrHandedOver)
	case log.count() != logged:
		l.giveUp(ErrLost)
	}
	return l
}

// Storable is a text as the log and the rows hold it: every byte that is no UTF-8, and
// U+0000, become U+FFFD. It is the same wherever a text is cut between characters.
func Storable(text string) string {
	if !utf8.ValidString(text) {
		text = string([]rune(text))
	}
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "\uFFFD")
	}
	return text
}

// Text adds to the answer. It is logged with what comes in the next moment, and
// before a citation; the first text at once. It blocks only when very much is
// waiting to be logged. What is not Storable is made so. ErrTooLong: nothing of the
// text was added, and the answer should end here.
func (l *Live) Text(text string) error {
	if text == "" {
		return nil
	}
	text = Storable(text)
	l.mu.Lock()
	if err := l.room(); err != nil {
		l.mu.Unlock()
		return err
	}
	if l.text+len(text) > MaxText {
		l.mu.Unlock()
		return ErrTooLong
	}
	first := l.text == 0 && l.seq == 0
	l.text += len(text)
	l.size += len(text)
	l.r.waiting.Add(int64(len(text)))
	for text != "" {
		n := len(l.pending)
		if n == 0 || l.pending[n-1].kind != Delta || len(l.pending[n-1].text) >= maxEvent {
			l.pending = append(l.pending, piece{kind: Delta})
			n++
		}
		into := &l.pending[n-1].text
		part := head(text, maxEvent-len(*into))
		if part == "" { // no room for a whole character
			l.pending = append(l.pending, piece{kind: Delta})
			continue
		}
		*into = append(*into, part...)
		text = text[len(part):]
	}
	l.queue(first)
	return nil
}

// head is the beginning of a text, of at most n bytes and whole characters.
func head(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// Cite adds a citation.
func (l *Live) Cite(data json.RawMessage) error {
	var line bytes.Buffer
	if err := json.Compact(&line, data); err != nil || !utf8.Valid(data) || bytes.Contains(data, []byte(`\u0000`)) || line.Len() > maxPending {
		return fault.Wrap(fault.Invalid, err, "A citation cannot be stored.")
	}
	l.mu.Lock()
	if err := l.room(); err != nil {
		l.mu.Unlock()
		return err
	}
	if l.text+line.Len() > MaxText {
		l.mu.Unlock()
		return ErrTooLong
	}
	l.text += line.Len()
	l.size += line.Len()
	l.r.waiting.Add(int64(line.Len()))
	l.pending = append(l.pending, piece{Citation, line.Bytes()})
	l.queue(false)
	return nil
}

// room waits until there is some. Called and left with the lock held.
func (l *Live) room() error {
	for l.closed == nil && l.size > 0 && (l.size >= maxPending || l.r.waiting.Load() >= maxWaiting) {
		l.changed.Wait()
	}
	return l.closed
}

// queue has the writer come by; when it already comes in a hurry, it takes all there is.
// Called with the lock held; it is let go.
func (l *Live) queue(urgent bool) {
	in := &l.queued
	if urgent || l.hurried {
		in = &l.hurried
	}
	there := *in
	*in = true
	l.mu.Unlock()
	if !there {
		l.r.enqueue(l, urgent)
	}
}

// Flush returns when all that was added is in the log, and tells how many events
// the answer then has. Unavailable: the log could not be written for a long time;
// then only End is left to do: the row is ended with what the log has, by whoever
// can first.
func (l *Live) Flush(ctx context.Context) (events int64, err error) {
	l.mu.Lock()
	if l.size > 0 {
		l.queue(true)
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	defer context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changed.Broadcast()
	})()
	for l.broken == nil && ctx.Err() == nil && (l.size > 0 || l.log.count() < l.seq) {
		l.changed.Wait()
	}
	switch {
	case l.broken != nil:
		return l.log.count(), l.broken
	case l.size > 0 || l.log.count() < l.seq:
		return l.log.count(), fault.Wrap(fault.Unavailable, ctx.Err(), "The answer could not be kept.")
	}
	return l.log.count(), l.closed
}

// End tells readers that the row says how the answer ended. It must be called, even
// when that is not so: then the row is ended as interrupted after some time.
func (l *Live) End() {
	l.r.forget(l)
	l.giveUp(errEnded)
}

// close has nothing more added to the answer; what was is still logged.
func (l *Live) close(why error) {
	l.mu.Lock()
	if l.closed == nil {
		l.closed = why
	}
	l.changed.Broadcast()
	l.mu.Unlock()
	l.cancel(why)
}

// giveUp says why nothing more is logged, and with what is waiting neither: the
// first reason counts.
func (l *Live) giveUp(why error) {
	l.mu.Lock()
	first := l.broken == nil
	if first {
		l.broken = why
		if l.closed == nil {
			l.closed = why
		}
		l.r.waiting.Add(-int64(l.size))
		l.pending, l.size = nil, 0
		l.changed.Broadcast()
	}
	l.mu.Unlock()
	if !first {
		return
	}
	if why != errEnded {
		l.r.forget(l)
		l.log.finish(errElsewhere, 0)
		l.cancel(why)
		return
	}
	l.log.finish(errEnded, l.log.count())
}

// forget takes an answer out of those that are made here.
func (r *Relay) forget(l *Live) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lives[l.name] == l {
		delete(r.lives, l.name)
		r.touch()
	}
}
