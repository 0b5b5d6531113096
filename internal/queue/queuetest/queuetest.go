// Package queuetest is what every queue.Queue must pass.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/internal/queue"
)

const patience = 20 * time.Second

// Deliver executes a task; the queue calls it for each delivery.
type Deliver func(ctx context.Context, t queue.Task) error

// Run tests the queue that open gives; it delivers to deliver until the test
// ends. What deliver sees of a task is its Target, Name and Body.
func Run(t *testing.T, open func(t *testing.T, deliver Deliver) queue.Queue) {
	for name, test := range map[string]func(*testing.T, func(Deliver) queue.Queue){
		"a task arrives as it was sent":   arrives,
		"a name is taken once":            takenOnce,
		"also after it was executed":      takenAfterwards,
		"the same name at another target": otherTarget,
		"concurrent enqueues of a name":   concurrent,
		"what fails comes again":          comesAgain,
		"a delay is kept":                 delayed,
		"tasks run beside each other":     parallel,
		"an ended context is obeyed":      endedContext,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(d Deliver) queue.Queue { return open(t, d) })
		})
	}
}

func arrives(t *testing.T, open func(Deliver) queue.Queue) {
	got := make(chan queue.Task, 10)
	q := open(collect(got))
	enqueue(t, q, queue.Task{Target: queue.Render, Name: "ab12-render_1", Body: []byte(`{"job":"job_1"}`)})
	task := receive(t, got)
	if task.Target != queue.Render || task.Name != "ab12-render_1" || string(task.Body) != `{"job":"job_1"}` {
		t.Errorf("got %+v", task)
	}
}

func takenOnce(t *testing.T, open func(Deliver) queue.Queue) {
	got := make(chan queue.Task, 10)
	q := open(collect(got))
	for i := range 3 {
		enqueue(t, q, queue.Task{Target: queue.Ingest, Name: "one", Body: fmt.Append(nil, i), Delay: 50 * time.Millisecond})
	}
	enqueue(t, q, queue.Task{Target: queue.Ingest, Name: "last", Delay: 200 * time.Millisecond})
	if one, last := inOrder(receive(t, got), receive(t, got)); one.Name != "one" || string(one.Body) != "0" || last.Name != "last" {
		t.Errorf("got %s %s and %s", one.Name, one.Body, last.Name)
	}
}

func takenAfterwards(t *testing.T, open func(Deliver) queue.Queue) {
	got := make(chan queue.Task, 10)
	q := open(collect(got))
	enqueue(t, q, queue.Task{Target: queue.Ingest, Name: "one"})
	receive(t, got)
	enqueue(t, q, queue.Task{Target: queue.Ingest, Name: "one"})
	enqueue(t, q, queue.Task{Target: queue.Ingest, Name: "last", Delay: 100 * time.Millisecond})
	if task := receive(t, got); task.Name != "last" {
		t.Errorf("%s was delivered again", task.Name)
	}
}

func otherTarget(t *testing.T, open func(Deliver) queue.Queue) {
	got := make(chan queue.Task, 10)
	q := open(collect(got))
	enqueue(t, q, queue.Task{Target: queue.Ingest, Name: "one"})
	enqueue(t, q, queue.Task{Target: queue.Render, Name: "one"})
	if a, b := receive(t, got), receive(t, got); a.Target == b.Target {
		t.Errorf("both went to %s", a.Target)
	}
}

func concurrent(t *testing.T, open func(Deliver) queue.Queue) {
	got := make(chan queue.Task, 20)
	q := open(collect(got))
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if err := q.Enqueue(t.Context(), queue.Task{Target: queue.Ingest, Name: "one"}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	enqueue(t, q, queue.Task{Target: queue.Ingest, Name: "last", Delay: 100 * time.Millisecond})
	if one, last := inOrder(receive(t, got), receive(t, got)); one.Name != "one" || last.Name != "last" {
		t.Errorf("got %s and %s", one.Name, last.Name)
	}
}

func comesAgain(t *testing.T, open func(Deliver) queue.Queue) {
	got := make(chan queue.Task, 10)
	var mu sync.Mutex
	failures := 0
	q := open(func(ctx context.Context, task queue.Task) error {
		mu.Lock()
		defer mu.Unlock()
		if failures++; failures <= 2 {
			return errors.New("not yet")
		}
		return collect(got)(ctx, task)
	})
	enqueue(t, q, queue.Task{Target: queue.Generate, Name: "one", Body: []byte("x")})
	if task := receive(t, got); string(task.Body) != "x" {
		t.Errorf("got %+v", task)
	}
}

func delayed(t *testing.T, open func(Deliver) queue.Queue) {
	got := make(chan queue.Task, 10)
	q := open(collect(got))
	start := time.Now()
	enqueue(t, q, queue.Task{Target: queue.Ingest, Name: "late", Delay: 300 * time.Millisecond})
	receive(t, got)
	if took := time.Since(start); took < 300*time.Millisecond {
		t.Errorf("it came after %v", took)
	}
}

func parallel(t *testing.T, open func(Deliver) queue.Queue) {
	var meet sync.WaitGroup
	meet.Add(3)
	got := make(chan queue.Task, 10)
	q := open(func(ctx context.Context, task queue.Task) error {
		meet.Done()
		meet.Wait() // three at once, or never
		return collect(got)(ctx, task)
	})
	for i := range 3 {
		enqueue(t, q, queue.Task{Target: queue.Generate, Name: fmt.Sprint("t", i)})
	}
	for range 3 {
		receive(t, got)
	}
}

func endedContext(t *testing.T, open func(Deliver) queue.Queue) {
	q := open(func(context.Context, queue.Task) error { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Enqueue(ctx, queue.Task{Target: queue.Ingest, Name: "one"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
}

// inOrder puts the last task last: on a busy machine both are due when they are looked at.
func inOrder(a, b queue.Task) (one, last queue.Task) {
	if a.Name == "last" {
		return b, a
	}
	return a, b
}

func enqueue(t *testing.T, q queue.Queue, task queue.Task) {
	t.Helper()
	if err := q.Enqueue(t.Context(), task); err != nil {
		t.Fatal(err)
	}
}

func collect(got chan<- queue.Task) Deliver {
	return func(ctx context.Context, task queue.Task) error {
		select {
		case got <- task:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func receive(t *testing.T, got <-chan queue.Task) queue.Task {
	t.Helper()
	select {
	case task := <-got:
		return task
	case <-time.After(patience):
		t.Fatal("nothing was delivered")
		return queue.Task{}
	}
}
