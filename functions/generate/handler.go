// Package generate is the function in which the agents work: each task of the queue
// is one step of writing a course.
package generate

import (
	"context"
	"net/http"

	"lectern.dev/lectern/internal/authoring"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/backup"
	"lectern.dev/lectern/internal/llm/traced"
	"lectern.dev/lectern/internal/offline"
	"lectern.dev/lectern/internal/openai"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/source"
)

// Deps are the parts that generate works with.
type Deps struct {
	Callers edge.Callers // who may call this function
	DB      postgres.Beginner
	Queue   queue.Queue
	Board   live.Board
	Model   llm.Model // paid for, as NewModel's is
}

// New serves the deliveries of the generate queue.
func New(d Deps) http.Handler {
	runner := &job.Runner{DB: d.DB, Queue: d.Queue, Board: d.Board, Bill: budget.Bill}
	agents := &authoring.Agents{DB: d.DB, Library: source.Library{DB: d.DB}, Model: d.Model}
	return edge.Task(d.Callers, func(ctx context.Context, body []byte) error {
		return runner.Execute(ctx, body, agents.Work)
	})
}

// NewModel gives the model that the settings name: a server's, else the offline one,
// with its backup behind it. Calls are paid for from the ledger, those of each model by
// themselves. A model without a price is refused.
func NewModel(c OpenAI, ledger *budget.Ledger) (llm.Model, error) {
	first, err := modelOf(openai.Config{APIKey: c.APIKey, BaseURL: c.BaseURL, Model: c.Model}, ledger)
	if err != nil || c.BackupBaseURL == "" {
		return first, err
	}
	second, err := modelOf(openai.Config{APIKey: c.BackupAPIKey, BaseURL: c.BackupBaseURL, Model: c.BackupModel}, ledger)
	if err != nil {
		return nil, err
	}
	return backup.New(first, second, backup.Options{}), nil
}

func modelOf(c openai.Config, ledger *budget.Ledger) (llm.Streamer, error) {
	model, err := openai.ModelOr(c, offline.Model{})
	if err != nil {
		return nil, err
	}
	return budget.NewStreamer(traced.Streamer{Streamer: model}, ledger)
}
