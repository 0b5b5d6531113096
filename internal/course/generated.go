package course

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/postgres"
)

// InsertLesson adds a lesson whose id is known already at the end of a module, in a
// transaction: the steps that will write it name it before it exists.
func InsertLesson(ctx context.Context, tx postgres.Querier, organization, module, lesson string, f LessonFields) error {
	if err := f.check(); err != nil {
		return err
	}
	course, err := claimByModule(ctx, tx, organization, module)
	if err != nil {
		return err
	}
	var n int
	err = tx.QueryRow(ctx, `SELECT count(*) FROM lessons WHERE organization_id = $1 AND module_id = $2`, organization, module).Scan(&n)
	if err != nil {
		return postgres.Fault(err)
	}
	if err := full(n, MaxLessons, "lessons", "module"); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO lessons (lesson_id, module_id, course_id, organization_id, title, objectives, article, citations, position)
		SELECT $1, module_id, $3, $4, $5, $6, $7, $8, $9
		FROM modules
		WHERE organization_id = $4 AND module_id = $2`,
		lesson, module, course, organization, f.Title, f.Objectives, f.Article, f.Citations, n)
	if err == nil && tag.RowsAffected() == 0 { // deleted while we waited for the course
		err = pgx.ErrNoRows
	}
	return missing(err, "module")
}
