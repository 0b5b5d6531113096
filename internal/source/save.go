package source

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/source/extract"
)

// save stores what was read and makes the source ready, all in tx. Conflict: the
// source was deleted, or its file is another one than was read.
func save(ctx context.Context, tx postgres.Querier, s Source, doc *extract.Document, passages []Passage) error {
	tag, err := tx.Exec(ctx, `
		UPDATE sources
		SET state = 'ready', reason = '', title = $4, language = $5, pages = $6, characters = $7, updated_at = now()
		WHERE organization_id = $1 AND source_id = $2 AND generation = $3 AND state IN ('queued', 'failed')`,
		s.Organization, s.ID, s.Generation, doc.Title, doc.Language, doc.Pages, doc.Characters())
	if err != nil {
		return postgres.Fault(err)
	}
	if tag.RowsAffected() == 0 {
		return fault.New(fault.Conflict, "The source was deleted or replaced while it was read.")
	}
	_, err = tx.Exec(ctx, `DELETE FROM passages WHERE organization_id = $1 AND source_id = $2`, s.Organization, s.ID)
	if err != nil {
		return postgres.Fault(err)
	}
	const together = 500
	for len(passages) > 0 {
		n := min(together, len(passages))
		if err := insert(ctx, tx, s, doc.Language, passages[:n]); err != nil {
			return err
		}
		passages = passages[n:]
	}
	return nil
}

func insert(ctx context.Context, tx postgres.Querier, s Source, language string, passages []Passage) error {
	batch := &pgx.Batch{}
	for _, p := range passages {
		batch.Queue(`
			INSERT INTO passages (passage_id, source_id, course_id, organization_id, position, kind, code_language,
				heading, page, start_offset, end_offset, text, words, configuration, lexemes)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::regconfig,
				setweight(to_tsvector($14::regconfig, $15), 'A') || setweight(to_tsvector($14::regconfig, $16), 'B'))`,
			passageID(s.ID, p), s.ID, s.CourseID, s.Organization, p.Position, p.Kind, p.CodeLanguage,
			p.Heading, p.Page, p.Start, p.End, p.Text, p.Words, configuration(language),
			searchable(strings.Join(p.Heading, "\n")), searchable(p.Text))
	}
	return postgres.Fault(tx.SendBatch(ctx, batch).Close())
}

// passageID is the same whenever the same file is read again, so that what points
// to a passage goes on to do so.
func passageID(source string, p Passage) string {
	h := sha256.New()
	h.Write([]byte(source))
	_ = binary.Write(h, binary.BigEndian, []int64{int64(p.Start), int64(p.End)})
	h.Write([]byte(p.Text))
	encoding := base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
	return id.Passage + "_" + encoding.EncodeToString(h.Sum(nil)[:15])
}

// IfFailed is what job.Runner.IfFailed is for ingest jobs: it notes why a source could not
// be read.
func IfFailed(ctx context.Context, tx pgx.Tx, s job.Step, failure error) error {
	_, err := tx.Exec(ctx, `
		UPDATE sources
		SET state = 'failed', reason = $3, updated_at = now()
		WHERE organization_id = $1 AND source_id = $2 AND state IN ('queued', 'failed')`, s.Organization, s.Subject, job.Reason(failure))
	return postgres.Fault(err)
}
