package course

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/postgres"
)

// Delete removes a course with everything in it, in a transaction: its open jobs
// end, and what it has in the bucket is put down for removal (see Clean).
func Delete(ctx context.Context, tx postgres.Querier, organization, course string, when Condition) error {
	if err := job.CancelCourse(ctx, tx, organization, course); err != nil { // jobs before courses, as those who write steps do
		return err
	}
	version, err := claim(ctx, tx, organization, course)
	if err != nil {
		return err
	}
	if err := when.allows(version - 1); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO deletions (prefix, organization_id)
		SELECT 'videos/' || lesson_id || '/', $1 FROM lessons WHERE organization_id = $1 AND course_id = $2
		UNION ALL
		SELECT 'sources/' || source_id || '/', $1 FROM sources WHERE organization_id = $1 AND course_id = $2
		ON CONFLICT DO NOTHING`, organization, course)
	if err != nil {
		return postgres.Fault(err)
	}
	_, err = tx.Exec(ctx, `DELETE FROM courses WHERE organization_id = $1 AND course_id = $2`, organization, course)
	return postgres.Fault(err)
}

// DeleteModule removes a module with its lessons and closes the gap, in a transaction.
func DeleteModule(ctx context.Context, tx postgres.Querier, organization, module string, when Condition) error {
	lessons, err := lessonsOf(ctx, tx, organization, module)
	if err != nil {
		return err
	}
	for _, l := range lessons { // jobs before courses, as in Delete
		if err := job.DropLesson(ctx, tx, organization, l); err != nil {
			return err
		}
	}
	course, err := claimByModule(ctx, tx, organization, module)
	if err != nil {
		return err
	}
	// A lesson may have come or gone before the course was ours: one that stays would
	// have lost its jobs, and one that goes would have kept them.
	now, err := lessonsOf(ctx, tx, organization, module)
	if err != nil {
		return err
	}
	if !slices.Equal(lessons, now) {
		return postgres.ErrAgain
	}
	var version int64
	err = tx.QueryRow(ctx, `
		SELECT version FROM modules
		WHERE organization_id = $1 AND module_id = $2
		FOR UPDATE`, organization, module).Scan(&version)
	if err != nil {
		return missing(err, "module")
	}
	if err := when.allows(version); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO deletions (prefix, organization_id)
		SELECT 'videos/' || lesson_id || '/', $1 FROM lessons WHERE organization_id = $1 AND module_id = $2
		ON CONFLICT DO NOTHING`, organization, module)
	if err != nil {
		return postgres.Fault(err)
	}
	_, err = tx.Exec(ctx, `
		WITH gone AS (
			DELETE FROM modules
			WHERE organization_id = $1 AND module_id = $2
			RETURNING position)
		UPDATE modules
		SET position = position - 1
		WHERE organization_id = $1 AND course_id = $3 AND position > (SELECT position FROM gone)`, organization, module, course)
	return postgres.Fault(err)
}

func lessonsOf(ctx context.Context, tx postgres.Querier, organization, module string) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT lesson_id
		FROM lessons
		WHERE organization_id = $1 AND module_id = $2
		ORDER BY lesson_id`, organization, module)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	lessons, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return lessons, postgres.Fault(err)
}

// DeleteLesson removes a lesson and closes the gap, in a transaction.
func DeleteLesson(ctx context.Context, tx postgres.Querier, organization, lesson string, when Condition) error {
	if err := job.DropLesson(ctx, tx, organization, lesson); err != nil {
		return err
	}
	if err := claimByLesson(ctx, tx, organization, lesson); err != nil {
		return err
	}
	if _, err := lockLesson(ctx, tx, organization, lesson, when); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO deletions (prefix, organization_id)
		VALUES ('videos/' || $2 || '/', $1)
		ON CONFLICT DO NOTHING`, organization, lesson)
	if err != nil {
		return postgres.Fault(err)
	}
	_, err = tx.Exec(ctx, `
		WITH gone AS (
			DELETE FROM lessons
			WHERE organization_id = $1 AND lesson_id = $2
			RETURNING module_id, position)
		UPDATE lessons l
		SET position = l.position - 1
		FROM gone
		WHERE l.organization_id = $1 AND l.module_id = gone.module_id AND l.position > gone.position`, organization, lesson)
	return postgres.Fault(err)
}
