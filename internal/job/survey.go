package job

import (
	"context"
	"time"

	"lectern.dev/lectern/internal/postgres"
)

// overdue is after how long in the queue a step counts as stuck: tasks come within
// seconds, and one attempt takes at most Runner.Limit.
const overdue = time.Hour

// Survey is how the work of all organizations stands.
type Survey struct {
	OpenJobs            int   `json:"open_jobs"`             // queued or running
	WaitingJobs         int   `json:"waiting_jobs"`          // for a person or for a budget
	QueuedSteps         int   `json:"queued_steps"`          // that could be worked on
	OldestQueuedSeconds int64 `json:"oldest_queued_seconds"` // since the first of them could
	StuckJobs           int   `json:"stuck_jobs"`            // with a step that nobody has taken for an hour, however often its task was sent
}

// Look makes the survey.
func (r *Runner) Look(ctx context.Context) (Survey, error) {
	var s Survey
	err := r.DB.QueryRow(ctx, `
		WITH queued AS (
			SELECT s.job_id, s.due_at
			FROM job_steps s JOIN jobs j USING (job_id)
			WHERE s.state = 'queued' AND j.state IN ('queued', 'running')
		)
		SELECT
			(SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')),
			(SELECT count(*) FROM jobs WHERE state = 'waiting'),
			(SELECT count(*) FROM queued),
			(SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0)::bigint FROM queued),
			(SELECT count(DISTINCT job_id) FROM queued WHERE due_at < now() - $1::interval)`, overdue).
		Scan(&s.OpenJobs, &s.WaitingJobs, &s.QueuedSteps, &s.OldestQueuedSeconds, &s.StuckJobs)
	return s, postgres.Fault(err)
}
