package source

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/trail"
)

// IsUpload tells whether a key in the bucket is that of an upload:
// sources/{source}/upload.
func IsUpload(key string) bool {
	parts := strings.Split(key, "/")
	return len(parts) == 3 && parts[0] == "sources" && id.Valid(id.Source, parts[1]) && parts[2] == "upload"
}

// Uploaded notes that a source's upload lies complete in the bucket, and starts the
// job that reads it. It is called with the object as the bucket describes it now,
// by the event that the upload causes, and by the sweep when that event never
// comes. Conflict means that it was noted before; NotFound, that the source was
// deleted or never was, and the object is nobody's.
func Uploaded(ctx context.Context, runner *job.Runner, object blob.Info) error {
	organization, source, _, err := owner(ctx, runner.DB, object.Key)
	if err != nil {
		return err
	}
	ctx = postgres.WithOrganization(ctx, organization)
	var started job.Job
	err = postgres.InTx(ctx, runner.DB, func(tx pgx.Tx) error {
		started, err = begin(ctx, tx, organization, source, object)
		crash.Point("source.before-commit")
		return err
	})
	if fault.Is(err, fault.Conflict) {
		// Whoever noted it may have died before it sent the task.
		if err := runner.DispatchSubject(ctx, organization, source); err != nil {
			return err
		}
		return err
	}
	if err != nil {
		return err
	}
	crash.Point("source.uploaded")
	return runner.Dispatch(ctx, organization, started.ID)
}

// owner finds whose upload an object is, and the trail to who said that it was to come.
// An event knows no organization: this is the one query that finds it by the key, which we
// made.
func owner(ctx context.Context, q postgres.Querier, key string) (organization, source, trail string, err error) {
	err = q.QueryRow(ctx, `SELECT organization_id, source_id, trail FROM sources WHERE object = $1`, key).Scan(&organization, &source, &trail)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", "", "", fault.New(fault.NotFound, "No source waits for the object %s.", key)
	}
	return organization, source, trail, postgres.Fault(err)
}

// Trail leads back to the request that said that an upload was to come: its event carries
// nothing of ours. It leads nowhere when there is no such upload.
func Trail(ctx context.Context, q postgres.Querier, key string) trail.Trail {
	_, _, text, _ := owner(ctx, q, key) // whoever goes on finds out why there is none
	return trail.Parse(text)
}

func begin(ctx context.Context, tx postgres.Querier, organization, source string, object blob.Info) (job.Job, error) {
	var course, user string
	err := tx.QueryRow(ctx, `
		UPDATE sources s
		SET state = 'queued', generation = $3, updated_at = now()
		FROM courses c
		WHERE s.organization_id = $1 AND s.source_id = $2 AND c.organization_id = $1 AND c.course_id = s.course_id
			AND s.state = 'uploading' AND s.generation < $3
		RETURNING s.course_id, c.created_by`, organization, source, object.Generation).Scan(&course, &user)
	if errors.Is(err, pgx.ErrNoRows) {
		return job.Job{}, fault.New(fault.Conflict, "The upload of source %s was noted before.", source)
	}
	if err != nil {
		return job.Job{}, postgres.Fault(err)
	}
	j, _, err := job.Start(ctx, tx, job.NewJob{
		Organization: organization, User: user,
		Kind: job.Ingest, Subject: source, CourseID: course,
		Content: strconv.FormatInt(object.Generation, 10),
		Message: "Waiting to be read",
		Steps:   []job.NewStep{{Name: "ingest", Kind: "ingest", Subject: source}},
	})
	return j, err
}

// The life of an upload that nobody has heard of.
const (
	uploadGrace    = 2 * time.Minute // for its event
	uploadLifetime = 24 * time.Hour  // its signed URL is dead long before
	uploadLimit    = 200             // looked at by one sweep
)

// Overdue looks for uploads whose event has not come, across all organizations: it
// notes those that are there, and fails those that did not come within a day.
func Overdue(ctx context.Context, runner *job.Runner, bucket blob.Store) (found, abandoned int, err error) {
	rows, err := runner.DB.Query(ctx, `
		SELECT source_id, organization_id, object, created_at < now() - $1::interval, trail
		FROM sources
		WHERE state = 'uploading' AND created_at < now() - $2::interval
		ORDER BY updated_at
		LIMIT $3`, uploadLifetime, uploadGrace, uploadLimit)
	if err != nil {
		return 0, 0, postgres.Fault(err)
	}
	type upload struct {
		Source, Organization, Object string
		Old                          bool
		Trail                        string
	}
	uploads, err := pgx.CollectRows(rows, pgx.RowToStructByPos[upload])
	if err != nil {
		return 0, 0, postgres.Fault(err)
	}
	var errs []error
	for _, u := range uploads {
		ctx := postgres.WithOrganization(ctx, u.Organization)
		object, err := bucket.Stat(ctx, u.Object)
		switch {
		case err == nil:
			following, span := trail.Follow(ctx, trail.Parse(u.Trail), "upload found late")
			err = Uploaded(following, runner, object)
			span.End(err)
			if err == nil {
				found++
			}
		case errors.Is(err, blob.ErrNotFound) && u.Old:
			err = abandon(ctx, runner.DB, u.Organization, u.Source)
			if err == nil {
				abandoned++
			}
		case errors.Is(err, blob.ErrNotFound):
			err = lookLater(ctx, runner.DB, u.Organization, u.Source)
		}
		if err != nil && !fault.Is(err, fault.Conflict) { // the event has come after all
			errs = append(errs, err)
		}
	}
	return found, abandoned, errors.Join(errs...)
}

func abandon(ctx context.Context, q postgres.Querier, organization, source string) error {
	_, err := q.Exec(ctx, `
		UPDATE sources
		SET state = 'failed', reason = 'The file was never uploaded.', updated_at = now()
		WHERE organization_id = $1 AND source_id = $2 AND state = 'uploading'`, organization, source)
	return postgres.Fault(err)
}

// lookLater puts a source at the end of the line, so that a sweep's limit starves nobody.
func lookLater(ctx context.Context, q postgres.Querier, organization, source string) error {
	_, err := q.Exec(ctx, `
		UPDATE sources
		SET updated_at = now()
		WHERE organization_id = $1 AND source_id = $2 AND state = 'uploading'`, organization, source)
	return postgres.Fault(err)
}
