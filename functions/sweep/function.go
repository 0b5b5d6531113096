package sweep

import (
	"context"
	"net/http"
	"time"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/oidc"
	"lectern.dev/lectern/internal/gcp/cloudsql"
	"lectern.dev/lectern/internal/gcp/firestore"
	"lectern.dev/lectern/internal/gcp/gcs"
	"lectern.dev/lectern/internal/gcp/tasks"
	"lectern.dev/lectern/internal/mail"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/smtp"
)

// deadline is the longest that Cloud Tasks waits for an answer.
const deadline = 30 * time.Minute

// Build makes the production handler; every wrong setting is reported at once.
func Build(ctx context.Context) (http.Handler, error) {
	var c Config
	if err := edge.Load(ctx, &c); err != nil {
		return nil, err
	}
	callers, err := oidc.New(c.OIDC)
	if err != nil {
		return nil, err
	}
	db, err := cloudsql.Open(ctx, c.DatabaseURL, c.CloudSQLInstance, postgres.Options{Role: postgres.System})
	if err != nil {
		return nil, err
	}
	bucket, err := gcs.Open(ctx, gcs.Config{Bucket: c.Bucket})
	if err != nil {
		return nil, err
	}
	tasks, err := tasks.Open(ctx, tasks.Config{
		Project: c.Project, Location: c.Location, ServiceAccount: c.TasksAccount, Traceparent: edge.Traceparent,
		Functions: map[queue.Target]tasks.Function{
			queue.Generate: {URL: c.GenerateURL, Deadline: deadline},
			queue.Ingest:   {URL: c.IngestURL, Deadline: deadline},
			queue.Render:   {URL: c.RenderURL, Deadline: deadline},
		},
	})
	if err != nil {
		return nil, err
	}
	board, err := firestore.Open(ctx, firestore.Config{Project: c.Project})
	if err != nil {
		return nil, err
	}
	ledger, err := c.Budget.Open(db)
	if err != nil {
		return nil, err
	}
	sender, err := c.Mail.sender()
	if err != nil {
		return nil, err
	}
	return New(Deps{Callers: callers, Pool: db, Ledger: ledger, Mail: sender, Queue: tasks, Board: board, Bucket: bucket, SegmentAge: c.SegmentAge}), nil
}

// sender is the mail server, or the log where none is set.
func (m Mail) sender() (mail.Sender, error) {
	if m.Host == "" {
		return mail.Log{}, nil
	}
	return smtp.New(smtp.Config{Host: m.Host, Port: m.Port, User: m.User, Password: m.Password, From: m.From})
}
