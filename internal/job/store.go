package job

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/trail"
)

const columns = `job_id, organization_id, kind, subject, course_id, content, state, waiting_for, version,
	done, total, message, error, input, created_by, created_at, started_at, finished_at, done_before, now()`

func collect(row pgx.CollectableRow) (Job, error) {
	var j Job
	var before int64
	var now time.Time
	err := row.Scan(&j.ID, &j.Organization, &j.Kind, &j.Subject, &j.CourseID, &j.Content, &j.State, &j.WaitingFor, &j.Version,
		&j.Done, &j.Total, &j.Message, &j.Error, &j.Input, &j.CreatedBy, &j.CreatedAt, &j.StartedAt, &j.FinishedAt, &before, &now)
	j.SecondsLeft = secondsLeft(j, before, now)
	return j, err
}

// secondsLeft extends the pace since the job was started or resumed, when before
// units were done. Before a twentieth of the work is done the pace says too
// little, and no number is better than a wrong one.
func secondsLeft(j Job, before int64, now time.Time) *float64 {
	done, total := j.Done-before, j.Total-before
	if j.State != Running || j.StartedAt == nil || done <= 0 || done*20 < total {
		return nil
	}
	return new(now.Sub(*j.StartedAt).Seconds() * float64(total-done) / float64(done))
}

// Get reads one job of an organization.
func Get(ctx context.Context, q postgres.Querier, organization, job string) (Job, error) {
	rows, err := q.Query(ctx, `SELECT `+columns+` FROM jobs WHERE organization_id = $1 AND job_id = $2`, organization, job)
	if err != nil {
		return Job{}, postgres.Fault(err)
	}
	j, err := pgx.CollectExactlyOneRow(rows, collect)
	if errors.Is(err, pgx.ErrNoRows) {
		return Job{}, fault.New(fault.NotFound, "There is no job %s.", job)
	}
	return j, postgres.Fault(err)
}

// ForCourse lists the newest jobs of a course, at most limit of them.
func ForCourse(ctx context.Context, q postgres.Querier, organization, course string, limit int) ([]Job, error) {
	rows, err := q.Query(ctx, `
		SELECT `+columns+`
		FROM jobs
		WHERE organization_id = $1 AND course_id = $2
		ORDER BY created_at DESC, job_id DESC
		LIMIT $3`, organization, course, limit)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	jobs, err := pgx.CollectRows(rows, collect)
	return jobs, postgres.Fault(err)
}

// Start makes a job with its steps; created is false when an open job for the same
// kind, subject and content is there already: that one comes back. Call
// Runner.Dispatch after the transaction has committed; if that never happens, the
// sweep does it.
//
// Render steps exist once per lesson and content among all open jobs: those that
// another job works on are left out, and a job that would be left without any
// step becomes that other job.
func Start(ctx context.Context, tx postgres.Querier, n NewJob) (j Job, created bool, err error) {
	input, err := json.Marshal(n.Input)
	if err != nil {
		return Job{}, false, err
	}
	rows, err := tx.Query(ctx, `
		INSERT INTO jobs (job_id, organization_id, kind, subject, course_id, content, state, message, input, created_by, trail)
		VALUES ($1, $2, $3, $4, $5, $6, 'queued', $7, $8, $9, $10)
		ON CONFLICT DO NOTHING
		RETURNING `+columns,
		id.New(id.Job), n.Organization, n.Kind, n.Subject, n.CourseID, n.Content, n.Message, input, n.User, trail.From(ctx).String())
	if err != nil {
		return Job{}, false, postgres.Fault(err)
	}
	j, err = pgx.CollectExactlyOneRow(rows, collect)
	if errors.Is(err, pgx.ErrNoRows) {
		j, err = open(ctx, tx, n)
		return j, false, err
	}
	if err != nil {
		return Job{}, false, postgres.Fault(err)
	}
	added, err := addSteps(ctx, tx, j.ID, n.Organization, n.Steps)
	if err != nil {
		return Job{}, false, err
	}
	if added == 0 && len(n.Steps) > 0 {
		if _, err := tx.Exec(ctx, `DELETE FROM jobs WHERE organization_id = $1 AND job_id = $2`, n.Organization, j.ID); err != nil {
			return Job{}, false, postgres.Fault(err)
		}
		j, err = holder(ctx, tx, n)
		return j, false, err
	}
	if n.Admit != nil {
		if err := n.Admit(ctx, tx, j); err != nil {
			return Job{}, false, err
		}
	}
	j, err = refresh(ctx, tx, n.Organization, j.ID)
	return j, true, err
}

// open finds the open job that kept n from being made.
func open(ctx context.Context, tx postgres.Querier, n NewJob) (Job, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+columns+`
		FROM jobs
		WHERE organization_id = $1 AND kind = $2 AND subject = $3 AND state IN ('queued', 'running', 'waiting')
		ORDER BY content = $4 DESC
		LIMIT 1`, n.Organization, n.Kind, n.Subject, n.Content)
	if err != nil {
		return Job{}, postgres.Fault(err)
	}
	j, err := pgx.CollectExactlyOneRow(rows, collect)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // it ended this very moment
		return Job{}, fault.New(fault.Unavailable, "A job for the same work has just ended. Try again.")
	case err == nil && j.Content != n.Content:
		return Job{}, fault.New(fault.Conflict, "Another job (%s) is working on this. Wait until it is done, or cancel it first.", j.ID)
	}
	return j, postgres.Fault(err)
}

// holder finds the open job that renders the first of n's lessons.
func holder(ctx context.Context, tx postgres.Querier, n NewJob) (Job, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+columns+`
		FROM jobs
		WHERE organization_id = $1 AND job_id IN (
			SELECT job_id FROM job_steps
			WHERE organization_id = $1 AND kind = $2 AND subject = $3 AND content = $4
				AND state IN ('blocked', 'queued', 'running', 'delivered'))`,
		n.Organization, n.Steps[0].Kind, n.Steps[0].Subject, n.Steps[0].Content)
	if err != nil {
		return Job{}, postgres.Fault(err)
	}
	j, err := pgx.CollectExactlyOneRow(rows, collect)
	if errors.Is(err, pgx.ErrNoRows) {
		return Job{}, fault.New(fault.Unavailable, "A job for the same work has just ended. Try again.")
	}
	return j, postgres.Fault(err)
}

// addSteps inserts steps that are not there yet and tells how many were added.
func addSteps(ctx context.Context, tx postgres.Querier, job, organization string, steps []NewStep) (int, error) {
	added := 0
	for _, s := range steps {
		input, err := json.Marshal(s.Input)
		if err != nil {
			return 0, err
		}
		state := "queued"
		if len(s.Needs) > 0 {
			state = "blocked"
		}
		tag, err := tx.Exec(ctx, `
			INSERT INTO job_steps (job_id, name, organization_id, kind, subject, content, state, needs, units, input)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			ON CONFLICT DO NOTHING`,
			job, s.Name, organization, s.Kind, s.Subject, s.Content, state, append([]string{}, s.Needs...), max(1, s.Units), input)
		if err != nil {
			return 0, postgres.Fault(err)
		}
		added += int(tag.RowsAffected())
	}
	return added, nil
}

// Output reads what a step that succeeded has left, into v.
func Output(ctx context.Context, q postgres.Querier, organization string, ref Ref, v any) error {
	var raw []byte
	err := q.QueryRow(ctx, `
		SELECT output FROM job_steps
		WHERE organization_id = $1 AND job_id = $2 AND name = $3 AND state = 'succeeded'`,
		organization, ref.Job, ref.Step).Scan(&raw)
	if err != nil {
		return postgres.Fault(err)
	}
	return json.Unmarshal(raw, v)
}
