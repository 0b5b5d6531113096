package job

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/queue"
)

// follow shows the job and sends out the steps that are free now. It cannot fail
// the step that has just been written: what is lost here the sweep makes good.
func (r *Runner) follow(ctx context.Context, j Job) {
	if !j.State.Open() {
		r.Show(ctx, j)
		return
	}
	r.showDue(ctx, j.Organization, j.ID, "")
	if err := r.Dispatch(ctx, j.Organization, j.ID); err != nil {
		slog.WarnContext(ctx, "tasks left to the sweep", "job", j.ID, "error", err)
	}
	crash.Point("job.dispatched")
}

// Dispatch enqueues the queued steps of a job whose task the queue has not yet
// accepted. It may be called any number of times: a step's task has the same name
// until the sweep or a resume renews it.
func (r *Runner) Dispatch(ctx context.Context, organization, job string) error {
	crash.Point("job.before-dispatch")
	rows, err := r.DB.Query(ctx, `
		SELECT j.kind, s.name, s.sends
		FROM job_steps s JOIN jobs j USING (job_id)
		WHERE s.organization_id = $1 AND s.job_id = $2 AND s.state = 'queued' AND s.sent < s.sends`, organization, job)
	if err != nil {
		return postgres.Fault(err)
	}
	type free struct {
		Kind  Kind
		Name  string
		Sends int64
	}
	steps, err := pgx.CollectRows(rows, pgx.RowToStructByPos[free])
	if err != nil {
		return postgres.Fault(err)
	}
	var names []string
	var sends []int64
	var errs []error
	for _, s := range steps {
		if err := r.send(ctx, s.Kind, Ref{job, s.Name}, s.Sends); err != nil {
			errs = append(errs, err)
			continue
		}
		names, sends = append(names, s.Name), append(sends, s.Sends)
	}
	_, err = r.DB.Exec(ctx, `
		UPDATE job_steps s
		SET sent = accepted.sends
		FROM unnest($3::text[], $4::bigint[]) AS accepted (name, sends)
		WHERE s.organization_id = $1 AND s.job_id = $2 AND s.name = accepted.name`, organization, job, names, sends)
	return errors.Join(append(errs, postgres.Fault(err))...)
}

func (r *Runner) send(ctx context.Context, kind Kind, ref Ref, sends int64) error {
	body, err := json.Marshal(ref)
	if err != nil {
		return err
	}
	crash.Point("job.before-send")
	err = r.Queue.Enqueue(ctx, queue.Task{Target: queue.Target(kind), Name: taskName(ref, sends), Body: body})
	crash.Point("job.after-send")
	return err
}

// taskName begins with a hash: Cloud Tasks slows down on sequential names.
func taskName(ref Ref, sends int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", ref.Job, ref.Step, sends))
	return fmt.Sprintf("%x-%s-%d", sum[:10], ref.Job, sends)
}

// showAge is how long a document may stay on the board after its last change.
const showAge = 7 * 24 * time.Hour

// Show puts a job on the board. The board is no truth: a failure is logged, and
// readers look at the database now and then.
func (r *Runner) Show(ctx context.Context, j Job) {
	body, err := json.Marshal(j)
	if err == nil {
		err = r.Board.Publish(ctx, live.Document{ID: j.ID, Version: j.Version, Body: body, Expires: time.Now().Add(showAge)})
	}
	if err != nil {
		slog.WarnContext(ctx, "progress not shown", "job", j.ID, "error", err)
	}
}

// showDue shows an open job when something changed since the last time, at most
// once a second however many workers ask. What comes too early is shown by the
// next heartbeat. It tells whether message, which may be empty, has been taken.
func (r *Runner) showDue(ctx context.Context, organization, job, message string) bool {
	j, due, err := refreshDue(ctx, r.DB, organization, job, message)
	if err != nil {
		slog.WarnContext(ctx, "progress not shown", "job", job, "error", err)
		return false
	}
	if due {
		r.Show(ctx, j)
	}
	return due
}

// DispatchSubject dispatches the open jobs that work on a source, lesson or course.
func (r *Runner) DispatchSubject(ctx context.Context, organization, subject string) error {
	rows, err := r.DB.Query(ctx, `
		SELECT job_id FROM jobs
		WHERE organization_id = $1 AND subject = $2 AND state IN ('queued', 'running')`, organization, subject)
	if err != nil {
		return postgres.Fault(err)
	}
	jobs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return postgres.Fault(err)
	}
	var errs []error
	for _, j := range jobs {
		errs = append(errs, r.Dispatch(ctx, organization, j))
	}
	return errors.Join(errs...)
}
