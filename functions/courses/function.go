package courses

import (
	"context"
	"errors"
	"net/http"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/gcp/firestore"
	"lectern.dev/lectern/internal/gcp/gcs"
	"lectern.dev/lectern/internal/gcp/tasks"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/queue"
)

// Build makes the production handler; every wrong setting is reported at once.
func Build(ctx context.Context) (http.Handler, error) {
	var c Config
	if err := edge.Load(ctx, &c); err != nil {
		return nil, err
	}
	db, err1 := c.Database.Open(ctx, postgres.Options{})
	bucket, err2 := gcs.Open(ctx, gcs.Config{Bucket: c.Bucket})
	c.Queue.Functions = map[queue.Target]tasks.Function{
		queue.Generate: {URL: c.GenerateURL, Deadline: tasks.Longest},
		queue.Ingest:   {URL: c.IngestURL, Deadline: tasks.Longest},
		queue.Render:   {URL: c.RenderURL, Deadline: tasks.Longest},
	}
	line, err3 := tasks.Open(ctx, c.Queue)
	c.Board.Project = c.Queue.Project
	board, err4 := firestore.Open(ctx, c.Board)
	gate, err5 := c.Access.Open(db)
	ledger, err6 := c.Budget.Open(db)
	tracing, err7 := c.Telemetry.Open(ctx, "courses")
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
		return nil, err
	}
	return edge.Traced(edge.Tracing(tracing), New(Deps{
		DB: db, Bucket: bucket, Board: board, TrustedOrigins: c.TrustedOrigins, Front: c.Front,
		Runner:      &job.Runner{DB: db, Queue: line, Board: board, Limits: c.Limits.Jobs(), Afford: ledger.Afford, Bill: budget.Bill},
		Gate:        gate,
		StartRender: film.StartRender, StartRenders: film.StartRenders,
	})), nil
}
