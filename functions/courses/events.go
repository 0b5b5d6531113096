package courses

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"time"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
)

const (
	// truthEvery is how often a stream looks into the database: the board may be
	// silent because it is down.
	truthEvery = 10 * time.Second
	// pollEvery is how often, where there is no board to watch.
	pollEvery = time.Second
)

type watchJob struct {
	ByJob
	LastEventID string `header:"Last-Event-ID" maxLength:"40" doc:"id of the last event that was seen"`
}

func (s *server) watchJob(ctx context.Context, in *watchJob) (edge.Producer, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	read := func(ctx context.Context) (job.Job, error) { return job.Get(ctx, s.DB, p.Organization, in.Job) }
	j, err := read(ctx)
	if err != nil {
		return nil, err
	}
	if !j.State.Open() && in.LastEventID == strconv.FormatInt(j.Version, 10) {
		return nil, nil
	}
	return func(ctx context.Context, send func(edge.Message) error) error {
		return follow(ctx, s.Board, j, read, send)
	}, nil
}

// follow sends a job's states, each newer than the one before, until it has ended.
// It begins with the present one and holds no connection while it waits.
func follow(ctx context.Context, board live.Board, j job.Job, read func(context.Context) (job.Job, error), send func(edge.Message) error) error {
	news, err := board.Watch(ctx, j.ID)
	every := truthEvery
	if err != nil {
		slog.WarnContext(ctx, "no board to watch; reading the database instead", "job", j.ID, "error", err)
		news, every = nil, pollEvery
	}
	truth := time.NewTicker(every)
	defer truth.Stop()
	shown := int64(-1)
	for {
		if j.Version > shown {
			if err := send(message(j)); err != nil {
				return err
			}
			shown = j.Version
		}
		if !j.State.Open() {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case d, ok := <-news:
			if !ok {
				news = nil
			} else if d.Version > shown {
				var now job.Job // fresh: members that are left out must not stay
				if err := json.Unmarshal(d.Body, &now); err != nil {
					return err
				}
				j = now
			}
		case <-truth.C:
			now, err := read(ctx)
			switch {
			case err == nil:
				j = now
			case fault.Is(err, fault.NotFound):
				return nil
			case ctx.Err() == nil:
				slog.WarnContext(ctx, "the job could not be read; the stream goes on", "job", j.ID, "error", err)
			}
		}
	}
}

// message shows a job. Its version is the id, so that a client that comes again
// after the end is told that nothing more will come.
func message(j job.Job) edge.Message {
	event := "progress"
	switch j.State {
	case job.Succeeded:
		event = "done"
	case job.Failed, job.Canceled:
		event = "failed"
	}
	return edge.Message{ID: strconv.FormatInt(j.Version, 10), Event: event, Data: j}
}
