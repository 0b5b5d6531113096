package sweep

import (
	"context"
	"errors"
	"net/http"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/gcs"
	"lectern.dev/lectern/internal/gcp/tasks"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/smtp"
)

// Build makes the production handler; every wrong setting is reported at once.
func Build(ctx context.Context) (http.Handler, error) {
	var c Config
	if err := edge.Load(ctx, &c); err != nil {
		return nil, err
	}
	work, err1 := c.Worker.Open(ctx, map[queue.Target]tasks.Function{
		queue.Generate: {URL: c.GenerateURL, Deadline: tasks.Longest},
		queue.Ingest:   {URL: c.IngestURL, Deadline: tasks.Longest},
		queue.Render:   {URL: c.RenderURL, Deadline: tasks.Longest},
	})
	bucket, err2 := gcs.Open(ctx, gcs.Config{Bucket: c.Bucket})
	ledger, err3 := c.Budget.Open(work.DB)
	sender, err4 := smtp.Open(c.Mail)
	tracing, err5 := c.Telemetry.Open(ctx, "sweep")
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	return edge.Traced(edge.Tracing(tracing), New(Deps{Callers: work.Callers, Pool: work.DB, Ledger: ledger, Mail: sender, Queue: work.Queue, Board: work.Board, Bucket: bucket, SegmentAge: c.SegmentAge})), nil
}
