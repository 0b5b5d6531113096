package job

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// lock takes the job's row, so that changes to its steps happen one after the
// other; every transaction takes the job before its steps.
func lock(ctx context.Context, tx postgres.Querier, organization, job string) error {
	_, err := tx.Exec(ctx, `SELECT FROM jobs WHERE organization_id = $1 AND job_id = $2 FOR UPDATE`, organization, job)
	return postgres.Fault(err)
}

// settle brings a locked job in line with its steps: it unblocks those whose needs
// are met, and ends the job when nothing more can run. One failed step does not
// stop its siblings: what they finish is kept for a resume.
func settle(ctx context.Context, tx postgres.Querier, organization, job string) (Job, error) {
	_, err := tx.Exec(ctx, `
		UPDATE job_steps s
		SET state = 'queued', changed_at = now(), due_at = now()
		WHERE s.organization_id = $1 AND s.job_id = $2 AND s.state = 'blocked'
			AND NOT EXISTS (
				SELECT FROM unnest(s.needs) AS need
				LEFT JOIN job_steps d ON d.organization_id = $1 AND d.job_id = s.job_id AND d.name = need
				WHERE d.state IS DISTINCT FROM 'succeeded')`, organization, job)
	if err != nil {
		return Job{}, postgres.Fault(err)
	}
	_, err = tx.Exec(ctx, `
		WITH steps AS (
			SELECT
				count(*) FILTER (WHERE state IN ('queued', 'running', 'delivered')) AS alive,
				count(*) FILTER (WHERE state <> 'succeeded') AS unfinished,
				count(*) FILTER (WHERE state = 'failed') AS failed,
				count(*) AS every,
				(array_agg(error ORDER BY changed_at) FILTER (WHERE state = 'failed'))[1] AS first_error
			FROM job_steps WHERE organization_id = $1 AND job_id = $2)
		UPDATE jobs j
		SET state = CASE
				WHEN steps.alive > 0 THEN j.state
				WHEN steps.unfinished = 0 THEN 'succeeded'
				ELSE 'failed' END,
			error = CASE
				WHEN steps.failed = 0 AND steps.alive = 0 AND steps.unfinished > 0 THEN 'A step waits for one that is not part of the job.'
				WHEN steps.failed = 0 THEN ''
				WHEN steps.every = 1 THEN steps.first_error
				ELSE steps.failed || ' of ' || steps.every || ' steps failed. ' || steps.first_error END,
			finished_at = CASE WHEN steps.alive > 0 THEN NULL ELSE now() END,
			waiting_for = CASE WHEN steps.alive > 0 THEN j.waiting_for ELSE '' END,
			message = CASE WHEN steps.alive > 0 THEN j.message ELSE '' END
		FROM steps
		WHERE j.organization_id = $1 AND j.job_id = $2 AND j.state IN ('queued', 'running', 'waiting')`, organization, job)
	if err != nil {
		return Job{}, postgres.Fault(err)
	}
	// What still waited for a step that failed will not run unless the job is resumed.
	_, err = tx.Exec(ctx, `
		UPDATE job_steps SET state = 'canceled', changed_at = now()
		WHERE organization_id = $1 AND job_id = $2 AND state = 'blocked'
			AND EXISTS (SELECT FROM jobs WHERE organization_id = $1 AND job_id = $2 AND state = 'failed')`, organization, job)
	if err != nil {
		return Job{}, postgres.Fault(err)
	}
	return refresh(ctx, tx, organization, job)
}

// refresh recounts a job's units and gives the job as it is now.
func refresh(ctx context.Context, q postgres.Querier, organization, job string) (Job, error) {
	rows, err := q.Query(ctx, `
		UPDATE jobs
		SET version = version + 1,
			done = coalesce((SELECT sum(done) FROM job_steps s WHERE s.organization_id = $1 AND s.job_id = jobs.job_id), 0),
			total = coalesce((SELECT sum(units) FROM job_steps s WHERE s.organization_id = $1 AND s.job_id = jobs.job_id), 0)
		WHERE organization_id = $1 AND job_id = $2
		RETURNING `+columns, organization, job)
	if err != nil {
		return Job{}, postgres.Fault(err)
	}
	j, err := pgx.CollectExactlyOneRow(rows, collect)
	if errors.Is(err, pgx.ErrNoRows) {
		return Job{}, fault.New(fault.NotFound, "There is no job %s.", job)
	}
	return j, postgres.Fault(err)
}

// refreshDue is refresh for progress: only when something changed, and at most
// once a second per job, whoever asks; due is false otherwise.
func refreshDue(ctx context.Context, q postgres.Querier, organization, job, message string) (j Job, due bool, err error) {
	rows, err := q.Query(ctx, `
		UPDATE jobs
		SET version = version + 1, shown_version = version + 1, shown_at = now(),
			done = counted, total = units, message = coalesce(nullif($3, ''), message)
		FROM (SELECT sum(done) AS counted, sum(units) AS units FROM job_steps WHERE organization_id = $1 AND job_id = $2) AS steps
		WHERE organization_id = $1 AND job_id = $2 AND state = 'running' AND shown_at <= now() - interval '1 second'
			AND (version > shown_version OR done <> counted OR total <> units OR message <> coalesce(nullif($3, ''), message))
		RETURNING `+columns, organization, job, message)
	if err != nil {
		return Job{}, false, postgres.Fault(err)
	}
	j, err = pgx.CollectExactlyOneRow(rows, collect)
	if errors.Is(err, pgx.ErrNoRows) {
		return Job{}, false, nil
	}
	return j, err == nil, postgres.Fault(err)
}
