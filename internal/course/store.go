package course

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// Condition lists the versions of a thing that a writer is willing to change; nil
// means any. Nothing else happens when the present version is not among them.
type Condition []int64

func (c Condition) allows(version int64) error {
	if c == nil || slices.Contains(c, version) {
		return nil
	}
	return fault.New(fault.PreconditionFailed, "Somebody changed this since you read it. Read it again, then repeat your change.")
}

// missing turns "no row" into words about what was looked for.
func missing(err error, what string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.New(fault.NotFound, "There is no such %s.", what)
	}
	return postgres.Fault(err)
}

const courseColumns = `course_id, title, summary, audience, language, version, created_at, updated_at`

func scanCourse(row pgx.CollectableRow) (c Course, err error) {
	err = row.Scan(&c.ID, &c.Title, &c.Summary, &c.Audience, &c.Language, &c.Version, &c.CreatedAt, &c.UpdatedAt)
	return c, err
}

// one runs a statement that gives exactly one course.
func one(ctx context.Context, q postgres.Querier, sql string, args ...any) (Course, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return Course{}, postgres.Fault(err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanCourse)
	return c, missing(err, "course")
}

// Get reads a course with its outline: two queries in one round trip.
func Get(ctx context.Context, q postgres.Querier, organization, course string) (c Course, err error) {
	var modules []Module
	b := new(pgx.Batch)
	b.Queue(`
		SELECT `+courseColumns+`
		FROM courses
		WHERE organization_id = $1 AND course_id = $2`, organization, course).
		Query(func(rows pgx.Rows) (err error) {
			c, err = pgx.CollectExactlyOneRow(rows, scanCourse)
			return err
		})
	b.Queue(selectOutline, organization, course).Query(func(rows pgx.Rows) (err error) {
		modules, err = scanOutline(rows, course)
		return err
	})
	if err := q.SendBatch(ctx, b).Close(); err != nil {
		return Course{}, missing(err, "course")
	}
	c.Modules = modules
	return c, nil
}

// Create makes an empty course.
func Create(ctx context.Context, tx postgres.Querier, organization, user string, f Fields) (Course, error) {
	if err := f.check(); err != nil {
		return Course{}, err
	}
	c, err := one(ctx, tx, `
		INSERT INTO courses (course_id, organization_id, title, summary, audience, language, created_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		RETURNING `+courseColumns,
		id.New(id.Course), organization, f.Title, f.Summary, f.Audience, f.Language, user)
	c.Modules = []Module{}
	return c, err
}

// Update changes what stands about a course, in a transaction: change gets the
// present fields. A change that changes nothing leaves the version as it is.
func Update(ctx context.Context, tx postgres.Querier, organization, course string, when Condition, change func(*Fields) error) (Course, error) {
	c, err := one(ctx, tx, `
		SELECT `+courseColumns+`
		FROM courses
		WHERE organization_id = $1 AND course_id = $2
		FOR UPDATE`, organization, course)
	if err != nil {
		return Course{}, err
	}
	if err := when.allows(c.Version); err != nil {
		return Course{}, err
	}
	before := Fields{c.Title, c.Summary, c.Audience, c.Language}
	f := before
	if err := change(&f); err != nil {
		return Course{}, err
	}
	if err := f.check(); err != nil {
		return Course{}, err
	}
	if f != before {
		c, err = one(ctx, tx, `
			UPDATE courses
			SET title = $3, summary = $4, audience = $5, language = $6, version = version + 1, updated_at = now()
			WHERE organization_id = $1 AND course_id = $2
			RETURNING `+courseColumns, organization, course, f.Title, f.Summary, f.Audience, f.Language)
		if err != nil {
			return Course{}, err
		}
	}
	c.Modules, err = outline(ctx, tx, organization, course)
	return c, err
}

// claim locks the course and raises its version: whoever changes what stands in
// an outline, or its order, does so first, and so works alone on it.
func claim(ctx context.Context, tx postgres.Querier, organization, course string) (version int64, err error) {
	err = tx.QueryRow(ctx, `
		UPDATE courses
		SET version = version + 1, updated_at = now()
		WHERE organization_id = $1 AND course_id = $2
		RETURNING version`, organization, course).Scan(&version)
	return version, missing(err, "course")
}

// hold locks the course as claim does, before it is known whether anything changes.
func hold(ctx context.Context, tx postgres.Querier, organization, course string) error {
	_, err := tx.Exec(ctx, `SELECT FROM courses WHERE organization_id = $1 AND course_id = $2 FOR UPDATE`, organization, course)
	return postgres.Fault(err)
}

// Exists says NotFound unless the organization has the course.
func Exists(ctx context.Context, q postgres.Querier, organization, course string) error {
	var there bool
	err := q.QueryRow(ctx, `SELECT true FROM courses WHERE organization_id = $1 AND course_id = $2`, organization, course).Scan(&there)
	return missing(err, "course")
}
