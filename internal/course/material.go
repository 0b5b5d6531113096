package course

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/postgres"
)

// Reading is what a lesson says, for who looks something up in it.
type Reading struct {
	Lesson  string // its id
	Title   string
	Article string // its beginning, when there is more than was asked for
}

// Readings gives the articles of a course's lessons in their order: of at most limit
// lessons that have one, the first characters of each.
func Readings(ctx context.Context, q postgres.Querier, organization, course string, limit, characters int) ([]Reading, error) {
	rows, err := q.Query(ctx, `
		SELECT l.lesson_id, l.title, left(l.article, $4)
		FROM modules m
		JOIN lessons l USING (module_id)
		WHERE m.organization_id = $1 AND l.organization_id = $1 AND m.course_id = $2 AND l.article <> ''
		ORDER BY m.position, l.position
		LIMIT $3`, organization, course, limit, characters)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	readings, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Reading, err error) {
		err = row.Scan(&r.Lesson, &r.Title, &r.Article)
		return r, err
	})
	return readings, postgres.Fault(err)
}

// LessonQuestion is a question with the lesson that it belongs to.
type LessonQuestion struct {
	Lesson string // its id
	Question
}

// AllQuestions gives the questions of a course in the order of its lessons.
func AllQuestions(ctx context.Context, q postgres.Querier, organization, course string) ([]LessonQuestion, error) {
	rows, err := q.Query(ctx, `
		SELECT l.lesson_id, q.question_id, q.body
		FROM modules m
		JOIN lessons l USING (module_id)
		JOIN questions q USING (lesson_id)
		WHERE m.organization_id = $1 AND l.organization_id = $1 AND q.organization_id = $1 AND m.course_id = $2
		ORDER BY m.position, l.position, q.position`, organization, course)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	questions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l LessonQuestion, err error) {
		var b questionBody
		err = row.Scan(&l.Lesson, &l.ID, &b)
		l.Question = Question{l.ID, b.Prompt, b.Choices, b.Key, b.Explanation, b.Evidence}
		return l, err
	})
	return questions, postgres.Fault(err)
}
