// Package queue is the port to delivery of tasks: at least once, in no order.
package queue

import (
	"context"
	"time"
)

// Queue hands tasks to the functions that execute them.
type Queue interface {
	// Enqueue accepts a task. A name that was taken before is success: the task is there.
	// Errors are Unavailable: the caller may leave it to the sweep, since the intent is in the database.
	Enqueue(ctx context.Context, t Task) error
}

// Target is the function that executes a task; it is also the queue's name.
type Target string

// The targets.
const (
	Generate Target = "generate"
	Ingest   Target = "ingest"
	Render   Target = "render"
)

// Task is one delivery. It carries ids, never content.
type Task struct {
	Target Target
	Name   string // deterministic, [A-Za-z0-9_-]{1,500}, hashed prefix; see job.Step.TaskName
	Body   []byte // JSON
	Delay  time.Duration
}
