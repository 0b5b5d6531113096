// Package source knows the documents that courses are made from: how they arrive,
// are read and cut into passages, and how passages are found again.
//
//	uploading ──object finalized──▶ queued ──job "ingest"──▶ ready | failed
//
// The upload goes straight to the bucket under a signed URL; the event that it
// causes starts the job (see Uploaded), which reads the document in a child process
// (see Reader) and stores its passages.
package source

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/source/extract"
	"lectern.dev/lectern/internal/trail"
)

// State is where a source stands.
type State string

// The states of a source.
const (
	Uploading State = "uploading" // the file is not in the bucket yet
	Queued    State = "queued"
	Reading   State = "reading"
	Ready     State = "ready"
	Failed    State = "failed" // Reason says why
)

// Source is an uploaded document.
type Source struct {
	ID           string    `json:"id"`
	Organization string    `json:"-"`
	CourseID     string    `json:"course"`
	Name         string    `json:"name" doc:"file name"`
	ContentType  string    `json:"content_type"`
	Size         int64     `json:"size" doc:"bytes, as declared before the upload"`
	State        State     `json:"state" enum:"uploading,queued,reading,ready,failed"`
	Reason       string    `json:"reason,omitempty" doc:"why it failed"`
	Title        string    `json:"title,omitempty" doc:"as the document names itself"`
	Language     string    `json:"language,omitempty" doc:"BCP 47 tag, as found in the text"`
	Pages        int       `json:"pages,omitempty" doc:"absent when the format has none"`
	Characters   int       `json:"characters,omitempty" doc:"of extracted text"`
	Object       string    `json:"-"`
	Generation   int64     `json:"-"`
	CreatedAt    time.Time `json:"created_at"`
	UpdatedAt    time.Time `json:"updated_at"`
}

// perCourse is how many sources a course may have.
const perCourse = 100

// uploadTime is how long a signed upload may begin.
const uploadTime = time.Hour

// TextKey is where the extracted text of a source stands in the bucket.
func TextKey(source string) string { return "sources/" + source + "/text.txt" }

// NewSource is what Create makes a source of.
type NewSource struct {
	Name        string // file name, as the person knows it
	ContentType string // as the browser says; the name's extension decides
	Size        int64  // bytes
}

// Create notes a source that is going to be uploaded, in a transaction. Sign then
// gives the upload. Invalid: a type that cannot be read, or a bad name. TooLarge,
// Exhausted: the limits of a file and of a course.
func Create(ctx context.Context, tx postgres.Querier, organization, course string, n NewSource) (Source, error) {
	name, format, err := n.check()
	if err != nil {
		return Source{}, err
	}
	var held int
	err = tx.QueryRow(ctx, `
		SELECT 1 FROM courses
		WHERE organization_id = $1 AND course_id = $2
		FOR UPDATE`, organization, course).Scan(&held)
	if errors.Is(err, pgx.ErrNoRows) {
		return Source{}, fault.New(fault.NotFound, "There is no course %s.", course)
	}
	if err != nil {
		return Source{}, postgres.Fault(err)
	}
	key := id.New(id.Source)
	tag, err := tx.Exec(ctx, `
		INSERT INTO sources (source_id, course_id, organization_id, name, content_type, size, state, object, trail)
		SELECT $3, $2, $1, $4, $5, $6, 'uploading', 'sources/' || $3 || '/upload', $8
		WHERE (SELECT count(*) FROM sources WHERE organization_id = $1 AND course_id = $2) < $7`,
		organization, course, key, name, format.MediaType(), n.Size, perCourse, trail.From(ctx).String())
	if err != nil {
		return Source{}, postgres.Fault(err)
	}
	if tag.RowsAffected() == 0 {
		return Source{}, fault.New(fault.Exhausted, "A course can have %d sources. Delete one that is not needed.", perCourse)
	}
	return Get(ctx, tx, organization, key)
}

func (n NewSource) check() (name string, format extract.Format, err error) {
	name = strings.TrimSpace(n.Name)
	switch {
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "", "", fault.New(fault.Invalid, "The file's name has characters that cannot be shown. Rename it.")
	case name == "" || utf8.RuneCountInString(name) > 255:
		return "", "", fault.New(fault.Invalid, "The file's name must have 1 to 255 characters.")
	case n.Size <= 0:
		return "", "", fault.New(fault.Invalid, "The file is empty.")
	case n.Size > extract.MaxBytes:
		return "", "", fault.New(fault.TooLarge, "The file has %d MB; at most %d MB can be read.", (n.Size+1<<20-1)>>20, extract.MaxBytes>>20)
	}
	format, ok := extract.FormatOf(n.ContentType, name)
	if !ok {
		return "", "", fault.New(fault.Invalid, "Files of this type cannot be read. Upload Markdown, text, HTML, PDF, Word (.docx) or PowerPoint (.pptx).")
	}
	return name, format, nil
}

// Sign gives the request that uploads a source's file: exactly its type, at most
// its declared size.
func Sign(ctx context.Context, signer blob.Signer, s Source) (blob.SignedRequest, error) {
	return signer.SignUpload(ctx, s.Object, blob.UploadOptions{ContentType: s.ContentType, MaxBytes: s.Size, Valid: uploadTime})
}

// selectSources reads sources with what their newest job says about them: only the
// job knows whether the source is being read, or was canceled.
const selectSources = `
	SELECT s.source_id, s.organization_id, s.course_id, s.name, s.content_type, s.size,
		CASE
			WHEN s.state IN ('queued', 'failed') AND j.state = 'running' THEN 'reading'
			WHEN s.state = 'failed' AND j.state = 'queued' THEN 'queued'
			WHEN s.state = 'queued' AND j.state IN ('failed', 'canceled') THEN 'failed'
			ELSE s.state
		END,
		CASE
			WHEN s.state = 'failed' AND j.state IN ('queued', 'running') THEN ''
			WHEN s.state = 'queued' AND j.state = 'failed' THEN j.error
			WHEN s.state = 'queued' AND j.state = 'canceled' THEN 'Reading was canceled.'
			ELSE s.reason
		END,
		s.title, s.language, s.pages, s.characters, s.object, s.generation, s.created_at, s.updated_at
	FROM sources s
	LEFT JOIN LATERAL (
		SELECT state, error
		FROM jobs
		WHERE organization_id = s.organization_id AND course_id = s.course_id AND kind = 'ingest' AND subject = s.source_id
		ORDER BY created_at DESC, job_id DESC
		LIMIT 1) j ON true
	WHERE s.organization_id = $1`

func collect(row pgx.CollectableRow) (s Source, err error) {
	err = row.Scan(&s.ID, &s.Organization, &s.CourseID, &s.Name, &s.ContentType, &s.Size, &s.State, &s.Reason,
		&s.Title, &s.Language, &s.Pages, &s.Characters, &s.Object, &s.Generation, &s.CreatedAt, &s.UpdatedAt)
	return s, err
}

// Get reads one source; NotFound when the organization has none of that id.
func Get(ctx context.Context, q postgres.Querier, organization, source string) (Source, error) {
	rows, err := q.Query(ctx, selectSources+` AND s.source_id = $2`, organization, source)
	if err != nil {
		return Source{}, postgres.Fault(err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, collect)
	if errors.Is(err, pgx.ErrNoRows) {
		return Source{}, fault.New(fault.NotFound, "There is no source %s.", source)
	}
	return s, postgres.Fault(err)
}

// List gives the sources of a course in the order of their upload.
func List(ctx context.Context, q postgres.Querier, organization, course string) ([]Source, error) {
	rows, err := q.Query(ctx, selectSources+` AND s.course_id = $2 ORDER BY s.created_at, s.source_id`, organization, course)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	sources, err := pgx.CollectRows(rows, collect)
	return sources, postgres.Fault(err)
}

// Delete removes a source with its passages, in a transaction: its job ends, and
// what it has in the bucket is put down for removal.
func Delete(ctx context.Context, tx postgres.Querier, organization, source string) error {
	if err := job.CancelSubject(ctx, tx, organization, source); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `
		WITH gone AS (
			DELETE FROM sources
			WHERE organization_id = $1 AND source_id = $2
			RETURNING source_id)
		INSERT INTO deletions (prefix, organization_id)
		SELECT 'sources/' || source_id || '/', $1 FROM gone
		ON CONFLICT (prefix) DO UPDATE SET cleaned_at = NULL`, organization, source)
	if err != nil {
		return postgres.Fault(err)
	}
	if tag.RowsAffected() == 0 {
		return fault.New(fault.NotFound, "There is no source %s.", source)
	}
	return nil
}
