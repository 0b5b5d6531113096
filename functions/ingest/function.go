package ingest

import (
	"context"
	"errors"
	"net/http"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/gcs"
	"lectern.dev/lectern/internal/gcp/tasks"
	"lectern.dev/lectern/internal/queue"
)

// Build makes the production handler; every wrong setting is reported at once.
func Build(ctx context.Context) (http.Handler, error) {
	var c Config
	if err := edge.Load(ctx, &c); err != nil {
		return nil, err
	}
	work, err1 := c.Worker.Open(ctx, map[queue.Target]tasks.Function{queue.Ingest: {URL: c.IngestURL, Deadline: tasks.Longest}})
	bucket, err2 := gcs.Open(ctx, gcs.Config{Bucket: c.Bucket})
	tracing, err3 := c.Telemetry.Open(ctx, "ingest")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return edge.Traced(edge.Tracing(tracing), New(Deps{Callers: work.Callers, DB: work.DB, Queue: work.Queue, Board: work.Board, Bucket: bucket, TempDir: c.TempDir})), nil
}
