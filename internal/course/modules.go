package course

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

const moduleColumns = `module_id, course_id, title, summary, position, version`

func oneModule(ctx context.Context, q postgres.Querier, sql string, args ...any) (Module, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return Module{}, postgres.Fault(err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (m Module, err error) {
		err = row.Scan(&m.ID, &m.CourseID, &m.Title, &m.Summary, &m.Position, &m.Version)
		return m, err
	})
	m.Lessons = []LessonSummary{}
	return m, missing(err, "module")
}

// CreateModule adds an empty module at the end of a course, in a transaction.
func CreateModule(ctx context.Context, tx postgres.Querier, organization, course string, f ModuleFields) (Module, error) {
	if err := f.check(); err != nil {
		return Module{}, err
	}
	if _, err := claim(ctx, tx, organization, course); err != nil {
		return Module{}, err
	}
	var n int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM modules WHERE organization_id = $1 AND course_id = $2`, organization, course).Scan(&n)
	if err != nil {
		return Module{}, postgres.Fault(err)
	}
	if err := full(n, MaxModules, "modules", "course"); err != nil {
		return Module{}, err
	}
	return oneModule(ctx, tx, `
		INSERT INTO modules (module_id, course_id, organization_id, title, summary, position)
		VALUES ($1, $2, $3, $4, $5, $6)
		RETURNING `+moduleColumns, id.New(id.Module), course, organization, f.Title, f.Summary, n)
}

// UpdateModule changes what stands about a module, in a transaction. A change that
// changes nothing leaves the versions as they are.
func UpdateModule(ctx context.Context, tx postgres.Querier, organization, module string, when Condition, change func(*ModuleFields) error) (Module, error) {
	var course string
	err := tx.QueryRow(ctx, `SELECT course_id FROM modules WHERE organization_id = $1 AND module_id = $2`, organization, module).Scan(&course)
	if err != nil {
		return Module{}, missing(err, "module")
	}
	if err := hold(ctx, tx, organization, course); err != nil {
		return Module{}, err
	}
	m, err := oneModule(ctx, tx, `
		SELECT `+moduleColumns+`
		FROM modules
		WHERE organization_id = $1 AND module_id = $2
		FOR UPDATE`, organization, module)
	if err != nil {
		return Module{}, err
	}
	if err := when.allows(m.Version); err != nil {
		return Module{}, err
	}
	before := ModuleFields{m.Title, m.Summary}
	f := before
	if err := change(&f); err != nil {
		return Module{}, err
	}
	if err := f.check(); err != nil {
		return Module{}, err
	}
	if f == before {
		return m, nil
	}
	if _, err := claim(ctx, tx, organization, course); err != nil {
		return Module{}, err
	}
	return oneModule(ctx, tx, `
		UPDATE modules
		SET title = $3, summary = $4, version = version + 1
		WHERE organization_id = $1 AND module_id = $2
		RETURNING `+moduleColumns, organization, module, f.Title, f.Summary)
}

// claimByModule is claim for the course of a module.
func claimByModule(ctx context.Context, tx postgres.Querier, organization, module string) (course string, err error) {
	err = tx.QueryRow(ctx, `SELECT course_id FROM modules WHERE organization_id = $1 AND module_id = $2`, organization, module).Scan(&course)
	if err != nil {
		return "", missing(err, "module")
	}
	_, err = claim(ctx, tx, organization, course)
	return course, err
}
