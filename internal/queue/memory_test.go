package queue_test

import (
	"context"
	"errors"
	"testing"

	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/queue/queuetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, deliver queuetest.Deliver) queue.Queue {
		var m queue.Memory
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan struct{})
		go func() {
			defer close(served)
			m.Serve(ctx, deliver)
		}()
		t.Cleanup(func() { cancel(); <-served })
		return &m
	})
}

func TestMemoryDrain(t *testing.T) {
	t.Parallel()
	var m queue.Memory
	down := errors.New("down")
	m.Fail(down)
	if err := m.Enqueue(t.Context(), queue.Task{Name: "a"}); !errors.Is(err, down) {
		t.Fatalf("enqueue: %v", err)
	}
	m.Fail(nil)
	if err := m.Enqueue(t.Context(), queue.Task{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	var order []string
	err := m.Drain(t.Context(), func(ctx context.Context, task queue.Task) error {
		order = append(order, task.Name)
		if len(order) == 1 {
			_ = m.Enqueue(ctx, queue.Task{Name: "b"})
			return errors.New("again")
		}
		return nil
	})
	if err != nil || len(order) != 3 || order[1] != "b" || order[2] != "a" || len(m.Waiting()) != 0 {
		t.Errorf("order %v, waiting %v, %v", order, m.Waiting(), err)
	}
}
