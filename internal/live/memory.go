package live

import (
	"context"
	"slices"
	"sync"

	"lectern.dev/lectern/internal/fault"
)

// MaxBody is the largest body of a document, in bytes.
const MaxBody = 64 << 10

// Memory is a Board inside one process: the local default, and the fake for
// tests. It forgets everything at exit and drops nothing when it expires. The
// zero value is an empty board.
type Memory struct {
	mu       sync.Mutex
	shown    map[string]Document
	watchers map[string][]chan Document
	failure  error
}

var _ Board = (*Memory)(nil)

// Fail makes every call from now on fail with err; nil ends it. Who watches
// already goes on, and hears nothing: that is what an outage looks like.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
}

// Publish implements Board.
func (m *Memory) Publish(ctx context.Context, d Document) error {
	if err := Check(d); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx); err != nil {
		return err
	}
	if old, there := m.shown[d.ID]; there && old.Version >= d.Version {
		return nil
	}
	if m.shown == nil {
		m.shown = make(map[string]Document)
	}
	d.Body = slices.Clone(d.Body)
	m.shown[d.ID] = d
	for _, news := range m.watchers[d.ID] {
		Offer(news, d)
	}
	return nil
}

// Watch implements Board.
func (m *Memory) Watch(ctx context.Context, id string) (<-chan Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx); err != nil {
		return nil, err
	}
	if m.watchers == nil {
		m.watchers = make(map[string][]chan Document)
	}
	news := make(chan Document, 1)
	m.watchers[id] = append(m.watchers[id], news)
	if d, there := m.shown[id]; there {
		news <- d
	}
	context.AfterFunc(ctx, func() { m.leave(id, news) })
	return news, nil
}

func (m *Memory) leave(id string, news chan Document) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := slices.DeleteFunc(m.watchers[id], func(c chan Document) bool { return c == news })
	if len(rest) == 0 {
		delete(m.watchers, id)
	} else {
		m.watchers[id] = rest
	}
	close(news)
}

// Remove implements Board.
func (m *Memory) Remove(ctx context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx); err != nil {
		return err
	}
	delete(m.shown, id)
	return nil
}

// Shown gives the document that is up now; a test asks for it.
func (m *Memory) Shown(id string) (Document, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, there := m.shown[id]
	return d, there
}

func (m *Memory) ready(ctx context.Context) error {
	if m.failure != nil {
		return m.failure
	}
	return ctx.Err()
}

// Check tells what no board takes: a document without an id, or one too large.
func Check(d Document) error {
	switch {
	case d.ID == "":
		return fault.New(fault.Invalid, "A live document needs an id.")
	case len(d.Body) > MaxBody:
		return fault.New(fault.TooLarge, "A live document has at most %d bytes; this one has %d.", MaxBody, len(d.Body))
	}
	return nil
}

// Offer puts d into news, a channel with room for one, in the place of an older
// document that nobody has taken yet, so that a slow watcher holds up nobody and
// sees the newest. Only one goroutine at a time may offer to a channel.
func Offer(news chan Document, d Document) {
	select {
	case news <- d:
		return
	default:
	}
	select {
	case <-news:
	default: // taken meanwhile
	}
	news <- d
}
