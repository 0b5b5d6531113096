package finalize

import (
	"context"
	"errors"
	"net/http"
	"time"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/oidc"
	"lectern.dev/lectern/internal/gcp/firestore"
	"lectern.dev/lectern/internal/gcp/gcs"
	"lectern.dev/lectern/internal/gcp/tasks"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/queue"
)

// deadline is the longest that Cloud Tasks waits for an answer.
const deadline = 30 * time.Minute

// Build makes the production handler; every wrong setting is reported at once.
func Build(ctx context.Context) (http.Handler, error) {
	var c Config
	if err := edge.Load(ctx, &c); err != nil {
		return nil, err
	}
	callers, err1 := oidc.New(c.OIDC)
	db, err2 := c.Database.Open(ctx, postgres.Options{Role: postgres.System})
	bucket, err3 := gcs.Open(ctx, gcs.Config{Bucket: c.Bucket})
	c.Queue.Traceparent = edge.Traceparent
	c.Queue.Functions = map[queue.Target]tasks.Function{
		queue.Ingest: {URL: c.IngestURL, Deadline: deadline},
		queue.Render: {URL: c.RenderURL, Deadline: deadline},
	}
	line, err4 := tasks.Open(ctx, c.Queue)
	board, err5 := firestore.Open(ctx, firestore.Config{Project: c.Queue.Project})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	return New(Deps{Callers: callers, DB: db, Queue: line, Board: board, Bucket: bucket}), nil
}
