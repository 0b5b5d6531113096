package course

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// slideBody is what the body column holds: a slide without its id and kind.
type slideBody struct {
	Title     string     `json:"title"`
	Points    []Point    `json:"points"`
	Code      *Code      `json:"code,omitempty"`
	Table     *Table     `json:"table,omitempty"`
	Quote     *Quote     `json:"quote,omitempty"`
	Narration []Sentence `json:"narration"`
}

func (s Slide) body() slideBody {
	return slideBody{s.Title, s.Points, s.Code, s.Table, s.Quote, s.Narration}
}

func (b slideBody) slide(id string, kind SlideKind) Slide {
	return Slide{id, kind, b.Title, b.Points, b.Code, b.Table, b.Quote, b.Narration}
}

// Slides reads a lesson's slides in order and the lesson's version, which is
// theirs too: two queries in one round trip.
func Slides(ctx context.Context, q postgres.Querier, organization, lesson string) (slides []Slide, version int64, err error) {
	version, err = withVersion(ctx, q, organization, lesson, selectSlides, func(rows pgx.Rows) (err error) {
		slides, err = pgx.CollectRows(rows, scanSlide)
		return err
	})
	return filled(slides), version, err
}

// withVersion reads a lesson's version, and with sql a part of what is in it.
func withVersion(ctx context.Context, q postgres.Querier, organization, lesson, sql string, scan func(pgx.Rows) error) (version int64, err error) {
	b := new(pgx.Batch)
	b.Queue(`SELECT version FROM lessons WHERE organization_id = $1 AND lesson_id = $2`, organization, lesson).
		QueryRow(func(row pgx.Row) error { return row.Scan(&version) })
	b.Queue(sql, organization, lesson).Query(scan)
	return version, missing(q.SendBatch(ctx, b).Close(), "lesson")
}

const selectSlides = `
	SELECT slide_id, kind, body
	FROM slides
	WHERE organization_id = $1 AND lesson_id = $2
	ORDER BY position`

func scanSlide(row pgx.CollectableRow) (Slide, error) {
	var slide string
	var kind SlideKind
	var body slideBody
	err := row.Scan(&slide, &kind, &body)
	return body.slide(slide, kind), err
}

func readSlides(ctx context.Context, q postgres.Querier, organization, lesson string) ([]Slide, error) {
	rows, err := q.Query(ctx, selectSlides, organization, lesson)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	slides, err := pgx.CollectRows(rows, scanSlide)
	return slides, postgres.Fault(err)
}

// ReplaceSlides puts a whole list of slides in the place of another, in a
// transaction. A slide that names its id keeps it; one without gets one.
func ReplaceSlides(ctx context.Context, tx postgres.Querier, organization, lesson string, when Condition, slides []Slide) ([]Slide, int64, error) {
	if _, err := lockLesson(ctx, tx, organization, lesson, when); err != nil {
		return nil, 0, err
	}
	present, err := readSlides(ctx, tx, organization, lesson)
	if err != nil {
		return nil, 0, err
	}
	known := map[string]bool{}
	for _, s := range present {
		known[s.ID] = true
	}
	slides = slices.Clone(slides) // the caller's keep no new ids: the transaction may have to run again
	var f findings
	f.count("slides", len(slides), MaxSlides)
	for i := range slides {
		at := fmt.Sprintf("slides[%d].", i)
		slides[i].check(&f, at)
		slides[i].ID = keepID(&f, at, id.Slide, slides[i].ID, known)
	}
	if err := f.err(); err != nil {
		return nil, 0, err
	}
	if err := writeSlides(ctx, tx, organization, lesson, slides); err != nil {
		return nil, 0, err
	}
	version, err := touch(ctx, tx, organization, lesson)
	return filled(slides), version, err
}

// keepID gives back an id that is known and not yet used, or a new one for none.
func keepID(f *findings, at, prefix, given string, known map[string]bool) string {
	switch {
	case given == "":
		return id.New(prefix)
	case !known[given]:
		f.add(at+"id", "is not in this lesson, or there twice; leave it out for something new")
	}
	delete(known, given)
	return given
}

func writeSlides(ctx context.Context, tx postgres.Querier, organization, lesson string, slides []Slide) error {
	ids, kinds, bodies := make([]string, len(slides)), make([]string, len(slides)), make([]string, len(slides))
	for i, s := range slides {
		b, err := json.Marshal(s.body())
		if err != nil {
			return err
		}
		ids[i], kinds[i], bodies[i] = s.ID, string(s.Kind), string(b)
	}
	_, err := tx.Exec(ctx, `DELETE FROM slides WHERE organization_id = $1 AND lesson_id = $2`, organization, lesson)
	if err != nil {
		return postgres.Fault(err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO slides (slide_id, lesson_id, organization_id, position, kind, body)
		SELECT s.id, $2, $1, s.place - 1, s.kind, s.body::jsonb
		FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS s (id, kind, body, place)`,
		organization, lesson, ids, kinds, bodies)
	return postgres.Fault(err)
}

// UpdateSlide changes one slide, in a transaction. A change that changes nothing
// leaves the lesson's version as it is.
func UpdateSlide(ctx context.Context, tx postgres.Querier, organization, lesson, slide string, when Condition, change func(*Slide) error) (Slide, int64, error) {
	l, err := lockLesson(ctx, tx, organization, lesson, when)
	if err != nil {
		return Slide{}, 0, err
	}
	var kind SlideKind
	var body slideBody
	err = tx.QueryRow(ctx, `
		SELECT kind, body
		FROM slides
		WHERE organization_id = $1 AND lesson_id = $2 AND slide_id = $3`, organization, lesson, slide).Scan(&kind, &body)
	if err != nil {
		return Slide{}, 0, missing(err, "slide")
	}
	s := body.slide(slide, kind)
	before, err := json.Marshal(s)
	if err != nil {
		return Slide{}, 0, err
	}
	if err := change(&s); err != nil {
		return Slide{}, 0, err
	}
	if s.ID != slide {
		return Slide{}, 0, fault.New(fault.Invalid, "The id of a slide cannot be changed.")
	}
	var f findings
	s.check(&f, "")
	if err := f.err(); err != nil {
		return Slide{}, 0, err
	}
	if after, err := json.Marshal(s); err != nil || bytes.Equal(before, after) {
		return s, l.Version, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE slides
		SET kind = $4, body = $5
		WHERE organization_id = $1 AND lesson_id = $2 AND slide_id = $3`, organization, lesson, slide, s.Kind, s.body())
	if err != nil {
		return Slide{}, 0, postgres.Fault(err)
	}
	version, err := touch(ctx, tx, organization, lesson)
	return s, version, err
}
