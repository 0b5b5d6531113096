package source

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/postgres"
)

// Library is where the agents who write a course look things up.
type Library struct{ DB postgres.Querier }

// Part is a run of passages of a source, by position.
type Part struct {
	Source string `json:"source"`
	From   int    `json:"from"`
	To     int    `json:"to"` // exclusive
}

// Section is a part of a source under one heading, without what stands under the
// headings below it.
type Section struct {
	Part
	Document string   // the source's title
	Language string   // the source's; BCP 47; empty when it cannot be told
	Path     []string // headings from the document's top; none before the first heading
	Page     int      // 1-based; 0 when the source has no pages
	Words    int
	Text     string // of its first passage
}

// Sections lists what a course's ready sources are made of: the sources in the
// order of their upload, each in reading order.
func (l Library) Sections(ctx context.Context, organization, course string) ([]Section, error) {
	rows, err := l.DB.Query(ctx, `
		SELECT s.source_id, CASE s.title WHEN '' THEN s.name ELSE s.title END, s.language, p.heading, p.position, p.page, p.words, p.text
		FROM sources s
		JOIN passages p USING (source_id)
		WHERE s.organization_id = $1 AND p.organization_id = $1 AND s.course_id = $2 AND s.state = 'ready'
		ORDER BY s.created_at, s.source_id, p.position`, organization, course)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	var sections []Section
	var s Section
	_, err = pgx.ForEachRow(rows, []any{&s.Source, &s.Document, &s.Language, &s.Path, &s.From, &s.Page, &s.Words, &s.Text}, func() error {
		s.To = s.From + 1
		if n := len(sections); n > 0 && sections[n-1].Source == s.Source && slices.Equal(sections[n-1].Path, s.Path) {
			sections[n-1].To = s.To
			sections[n-1].Words += s.Words
			return nil
		}
		begun := s
		begun.Path = slices.Clone(s.Path)
		sections = append(sections, begun)
		return nil
	})
	return sections, postgres.Fault(err)
}

// Passages reads stretches of a course's sources, in the order asked for.
func (l Library) Passages(ctx context.Context, organization, course string, parts []Part) ([]Passage, error) {
	sources, from, to := make([]string, len(parts)), make([]int, len(parts)), make([]int, len(parts))
	for i, p := range parts {
		sources[i], from[i], to[i] = p.Source, p.From, p.To
	}
	return collectPassages(l.DB.Query(ctx, `
		SELECT `+passageColumns+`
		FROM unnest($3::text[], $4::bigint[], $5::bigint[]) WITH ORDINALITY AS part (source_id, first, beyond, place)
		JOIN passages p ON p.source_id = part.source_id AND p.position >= part.first AND p.position < part.beyond
		WHERE p.organization_id = $1 AND p.course_id = $2
		ORDER BY part.place, p.position`, organization, course, sources, from, to))
}

// ByID reads passages by their ids, in that order; those that are gone are left out.
func (l Library) ByID(ctx context.Context, organization, course string, ids []string) ([]Passage, error) {
	return collectPassages(l.DB.Query(ctx, `
		SELECT `+passageColumns+`
		FROM unnest($3::text[]) WITH ORDINALITY AS wanted (passage_id, place)
		JOIN passages p ON p.passage_id = wanted.passage_id
		WHERE p.organization_id = $1 AND p.course_id = $2
		ORDER BY wanted.place`, organization, course, ids))
}

const passageColumns = `p.passage_id, p.source_id, p.position, p.kind, p.code_language, p.heading, p.page, p.start_offset, p.end_offset, p.text, p.words`

// columns gives where to scan passageColumns to.
func (p *Passage) columns() []any {
	return []any{&p.ID, &p.Source, &p.Position, &p.Kind, &p.CodeLanguage, &p.Heading, &p.Page, &p.Start, &p.End, &p.Text, &p.Words}
}

func collectPassages(rows pgx.Rows, err error) ([]Passage, error) {
	if err != nil {
		return nil, postgres.Fault(err)
	}
	passages, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Passage, err error) {
		err = row.Scan(p.columns()...)
		return p, err
	})
	return passages, postgres.Fault(err)
}
