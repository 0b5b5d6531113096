// Package render is the function that makes films: each task of the queue is one
// lesson that becomes a narrated video in the bucket.
package render

import (
	"context"
	"net/http"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/queue"
)

// Deps are the parts that render works with.
type Deps struct {
	Callers edge.Callers // who may call this function
	DB      postgres.Beginner
	Queue   queue.Queue
	Board   live.Board
	Studio  *film.Studio  // its voice is paid for, as NewSpeaker's is
	Meter   *budget.Meter // pays for its time; nil: nobody does
}

// New serves the deliveries of the render queue.
func New(d Deps) http.Handler {
	runner := &job.Runner{DB: d.DB, Queue: d.Queue, Board: d.Board, IfFailed: film.Failed, Bill: budget.Bill}
	renderer := film.Renderer{DB: d.DB, Studio: d.Studio, Meter: d.Meter}
	return edge.Task(d.Callers, func(ctx context.Context, body []byte) error {
		return runner.Execute(ctx, body, renderer.Work)
	})
}
