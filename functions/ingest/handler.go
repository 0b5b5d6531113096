// Package ingest is the function that reads documents: each task of the queue is
// one upload that becomes text and passages.
package ingest

import (
	"context"
	"net/http"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/source"
	"lectern.dev/lectern/internal/source/extract"
)

// Deps are the parts that ingest works with.
type Deps struct {
	Callers edge.Callers // who may call this function
	DB      postgres.Beginner
	Queue   queue.Queue
	Board   live.Board
	Bucket  blob.Store
	TempDir string         // "" is the system's
	Limits  extract.Limits // of one document; the zero value is extract.DefaultLimits
}

// New serves the deliveries of the ingest queue. Its program must call
// extract.ChildMain first.
func New(d Deps) http.Handler {
	runner := &job.Runner{DB: d.DB, Queue: d.Queue, Board: d.Board, IfFailed: source.IfFailed}
	reader := &source.Reader{DB: d.DB, Bucket: d.Bucket, Scratch: d.TempDir, Limits: d.Limits}
	return edge.Task(d.Callers, func(ctx context.Context, body []byte) error {
		return runner.Execute(ctx, body, reader.Read)
	})
}
