package course

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

const lessonColumns = `lesson_id, course_id, module_id, title, objectives, article, citations, position, version,
	created_at, updated_at, ` + videoState

func scanLesson(row pgx.CollectableRow) (l Lesson, err error) {
	err = row.Scan(&l.ID, &l.CourseID, &l.ModuleID, &l.Title, &l.Objectives, &l.Article, &l.Citations, &l.Position, &l.Version,
		&l.CreatedAt, &l.UpdatedAt, &l.VideoState)
	return l, err
}

// oneLesson runs a statement that gives exactly one lesson.
func oneLesson(ctx context.Context, q postgres.Querier, sql string, args ...any) (Lesson, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return Lesson{}, postgres.Fault(err)
	}
	l, err := pgx.CollectExactlyOneRow(rows, scanLesson)
	return l, missing(err, "lesson")
}

const selectLesson = `
	SELECT ` + lessonColumns + `
	FROM lessons l
	WHERE organization_id = $1 AND lesson_id = $2`

// GetLesson reads a lesson without its slides, questions and video: one query.
func GetLesson(ctx context.Context, q postgres.Querier, organization, lesson string) (Lesson, error) {
	return oneLesson(ctx, q, selectLesson, organization, lesson)
}

// GetLessonAndVideo also reads the newest video that can be played, nil when there
// is none: two queries in one round trip.
func GetLessonAndVideo(ctx context.Context, q postgres.Querier, organization, lesson string) (l Lesson, v *StoredVideo, err error) {
	b := new(pgx.Batch)
	b.Queue(selectLesson, organization, lesson).Query(func(rows pgx.Rows) (err error) {
		l, err = pgx.CollectExactlyOneRow(rows, scanLesson)
		return err
	})
	b.Queue(selectReadyVideo, organization, lesson).Query(func(rows pgx.Rows) error {
		ready, err := pgx.CollectRows(rows, scanReadyVideo)
		if len(ready) > 0 {
			v = &ready[0]
		}
		return err
	})
	err = q.SendBatch(ctx, b).Close()
	return l, v, missing(err, "lesson")
}

// CreateLesson adds a lesson at the end of a module, in a transaction.
func CreateLesson(ctx context.Context, tx postgres.Querier, organization, module string, f LessonFields) (Lesson, error) {
	if err := f.check(); err != nil {
		return Lesson{}, err
	}
	course, err := claimByModule(ctx, tx, organization, module)
	if err != nil {
		return Lesson{}, err
	}
	var n int
	var there bool
	err = tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM lessons WHERE organization_id = $1 AND module_id = $2),
			EXISTS (SELECT FROM modules WHERE organization_id = $1 AND module_id = $2)`, organization, module).Scan(&n, &there)
	if err == nil && !there { // deleted while we waited for the course
		err = pgx.ErrNoRows
	}
	if err != nil {
		return Lesson{}, missing(err, "module")
	}
	if err := full(n, MaxLessons, "lessons", "module"); err != nil {
		return Lesson{}, err
	}
	return oneLesson(ctx, tx, `
		INSERT INTO lessons AS l (lesson_id, module_id, course_id, organization_id, title, objectives, article, citations, position)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		RETURNING `+lessonColumns,
		id.New(id.Lesson), module, course, organization, f.Title, f.Objectives, f.Article, f.Citations, n)
}

// UpdateLesson changes what stands about a lesson, in a transaction. A change that
// changes nothing leaves the versions as they are.
func UpdateLesson(ctx context.Context, tx postgres.Querier, organization, lesson string, when Condition, change func(*LessonFields) error) (Lesson, error) {
	course, err := courseOf(ctx, tx, organization, lesson)
	if err != nil {
		return Lesson{}, err
	}
	if err := hold(ctx, tx, organization, course); err != nil {
		return Lesson{}, err
	}
	l, err := lockLesson(ctx, tx, organization, lesson, when)
	if err != nil {
		return Lesson{}, err
	}
	before := LessonFields{l.Title, l.Objectives, l.Article, l.Citations}
	f := before
	if err := change(&f); err != nil {
		return Lesson{}, err
	}
	if err := f.check(); err != nil {
		return Lesson{}, err
	}
	if f.equal(before) {
		return l, nil
	}
	if _, err := claim(ctx, tx, organization, course); err != nil {
		return Lesson{}, err
	}
	return oneLesson(ctx, tx, `
		UPDATE lessons l
		SET title = $3, objectives = $4, article = $5, citations = $6, version = version + 1, updated_at = now()
		WHERE organization_id = $1 AND lesson_id = $2
		RETURNING `+lessonColumns, organization, lesson, f.Title, f.Objectives, f.Article, f.Citations)
}

// claimByLesson is claim for the course of a lesson.
func claimByLesson(ctx context.Context, tx postgres.Querier, organization, lesson string) error {
	course, err := courseOf(ctx, tx, organization, lesson)
	if err != nil {
		return err
	}
	_, err = claim(ctx, tx, organization, course)
	return err
}

func courseOf(ctx context.Context, tx postgres.Querier, organization, lesson string) (course string, err error) {
	err = tx.QueryRow(ctx, `SELECT course_id FROM lessons WHERE organization_id = $1 AND lesson_id = $2`, organization, lesson).Scan(&course)
	return course, missing(err, "lesson")
}

// lockLesson reads a lesson that is about to change.
func lockLesson(ctx context.Context, tx postgres.Querier, organization, lesson string, when Condition) (Lesson, error) {
	l, err := oneLesson(ctx, tx, `
		SELECT `+lessonColumns+`
		FROM lessons l
		WHERE organization_id = $1 AND lesson_id = $2
		FOR UPDATE OF l`, organization, lesson)
	if err != nil {
		return Lesson{}, err
	}
	return l, when.allows(l.Version)
}

// touch raises the version of a lesson whose slides or questions changed.
func touch(ctx context.Context, tx postgres.Querier, organization, lesson string) (version int64, err error) {
	err = tx.QueryRow(ctx, `
		UPDATE lessons
		SET version = version + 1, updated_at = now()
		WHERE organization_id = $1 AND lesson_id = $2
		RETURNING version`, organization, lesson).Scan(&version)
	return version, missing(err, "lesson")
}
