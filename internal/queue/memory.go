package queue

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Memory is a Queue for tests. A task that fails comes again at once; there are
// no rates, no deadlines and no last attempt. The zero value is an empty queue.
type Memory struct {
	mu      sync.Mutex
	names   map[string]bool // every name that was ever taken
	waiting []waitingTask
	changed chan struct{} // closed and replaced when a task comes
	failure error
}

type waitingTask struct {
	Task
	due time.Time
}

var _ Queue = (*Memory)(nil)

// Fail makes every Enqueue from now on fail with err; nil ends it.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
}

// Enqueue implements Queue.
func (m *Memory) Enqueue(ctx context.Context, t Task) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return m.failure
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	name := string(t.Target) + "/" + t.Name
	if m.names[name] {
		return nil
	}
	if m.names == nil {
		m.names = make(map[string]bool)
	}
	m.names[name] = true
	m.add(waitingTask{t, time.Now().Add(t.Delay)})
	return nil
}

// Waiting gives the tasks that were not delivered yet, oldest first.
func (m *Memory) Waiting() []Task {
	m.mu.Lock()
	defer m.mu.Unlock()
	tasks := make([]Task, len(m.waiting))
	for i, w := range m.waiting {
		tasks[i] = w.Task
	}
	return tasks
}

// Drain delivers one task after the other, delayed ones too, until none is left:
// those that come meanwhile and those that fail included. It stops when ctx ends.
func (m *Memory) Drain(ctx context.Context, deliver func(context.Context, Task) error) error {
	for ctx.Err() == nil {
		task, ok := m.take(func(waitingTask) bool { return true })
		if !ok {
			return nil
		}
		if err := deliver(ctx, task.Task); err != nil {
			m.again(task)
		}
	}
	return ctx.Err()
}

// Serve delivers each task in its own goroutine as it falls due, until ctx ends.
func (m *Memory) Serve(ctx context.Context, deliver func(context.Context, Task) error) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		task, ok := m.take(func(w waitingTask) bool { return !w.due.After(time.Now()) })
		if ok {
			running.Go(func() {
				if err := deliver(ctx, task.Task); err != nil {
					m.again(task)
				}
			})
			continue
		}
		changed, wait := m.next()
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-time.After(wait):
		}
	}
}

func (m *Memory) take(due func(waitingTask) bool) (waitingTask, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.waiting, due)
	if i < 0 {
		return waitingTask{}, false
	}
	task := m.waiting[i]
	m.waiting = slices.Delete(m.waiting, i, i+1)
	return task, true
}

func (m *Memory) again(task waitingTask) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(task)
}

func (m *Memory) add(task waitingTask) {
	m.waiting = append(m.waiting, task)
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

// next gives what to wait for when no task is due: news, or the next due time.
func (m *Memory) next() (<-chan struct{}, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changed == nil {
		m.changed = make(chan struct{})
	}
	wait := time.Hour
	for _, w := range m.waiting {
		wait = min(wait, time.Until(w.due))
	}
	return m.changed, wait
}
