package course

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// Order is the whole order of a course: every module once, and in them every
// lesson once.
type Order struct {
	Modules []ModuleOrder `json:"modules" maxItems:"50"`
}

// ModuleOrder is a module's place, by its place in the list, and its lessons.
type ModuleOrder struct {
	ID      string   `json:"id"`
	Lessons []string `json:"lessons" maxItems:"50" doc:"ids, in order; a lesson may come from another module of the course"`
}

// videoState tells how a lesson's video stands. What is queued or rendering is
// read from the steps that do it: a copy would be wrong after a cancel.
const videoState = `coalesce(
	(SELECT CASE WHEN bool_or(s.state IN ('running', 'delivered')) THEN 'rendering' WHEN count(*) > 0 THEN 'queued' END
		FROM job_steps s
		WHERE s.organization_id = l.organization_id AND s.kind = 'render' AND s.subject = l.lesson_id
			AND s.state IN ('blocked', 'queued', 'running', 'delivered')),
	(SELECT CASE WHEN bool_or(v.state = 'ready') THEN 'ready' WHEN bool_or(v.state = 'failed') THEN 'failed' END
		FROM videos v
		WHERE v.organization_id = l.organization_id AND v.lesson_id = l.lesson_id),
	'none')`

const selectOutline = `
	SELECT m.module_id, m.title, m.summary, m.position, m.version,
		coalesce(l.lesson_id, ''), coalesce(l.title, ''), coalesce(l.position, 0), -- a module may have no lesson
		EXISTS (SELECT FROM slides s WHERE s.organization_id = $1 AND s.lesson_id = l.lesson_id),
		` + videoState + `
	FROM modules m
	LEFT JOIN lessons l ON l.organization_id = $1 AND l.module_id = m.module_id
	WHERE m.organization_id = $1 AND m.course_id = $2
	ORDER BY m.position, l.position`

// outline reads the modules of a course with their lessons.
func outline(ctx context.Context, q postgres.Querier, organization, course string) ([]Module, error) {
	rows, err := q.Query(ctx, selectOutline, organization, course)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	modules, err := scanOutline(rows, course)
	return modules, postgres.Fault(err)
}

func scanOutline(rows pgx.Rows, course string) ([]Module, error) {
	modules := []Module{}
	var m Module
	var l LessonSummary
	_, err := pgx.ForEachRow(rows, []any{
		&m.ID, &m.Title, &m.Summary, &m.Position, &m.Version,
		&l.ID, &l.Title, &l.Position, &l.Written, &l.VideoState,
	}, func() error {
		if n := len(modules); n == 0 || modules[n-1].ID != m.ID {
			m.CourseID, m.Lessons = course, []LessonSummary{}
			modules = append(modules, m)
		}
		if l.ID != "" {
			last := &modules[len(modules)-1]
			last.Lessons = append(last.Lessons, l)
		}
		return nil
	})
	return modules, err
}

// Reorder puts modules and lessons in a new order, in one go. The order names
// exactly what is in the course: something new, missing or named twice refuses it.
func Reorder(ctx context.Context, tx postgres.Querier, organization, course string, when Condition, order Order) (Course, error) {
	version, err := claim(ctx, tx, organization, course)
	if err != nil {
		return Course{}, err
	}
	if err := when.allows(version - 1); err != nil {
		return Course{}, err
	}
	present, err := outline(ctx, tx, organization, course)
	if err != nil {
		return Course{}, err
	}
	if err := order.check(present); err != nil {
		return Course{}, err
	}
	if err := place(ctx, tx, organization, course, order); err != nil {
		return Course{}, err
	}
	return Get(ctx, tx, organization, course)
}

// check compares an order with what there is.
func (o Order) check(present []Module) error {
	var f findings
	modules, lessons := map[string]bool{}, map[string]bool{} // known; true when named
	for _, m := range present {
		modules[m.ID] = false
		for _, l := range m.Lessons {
			lessons[l.ID] = false
		}
	}
	name := func(known map[string]bool, id, at, what string) {
		named, there := known[id]
		switch {
		case !there:
			f.add(at, "is not a %s of this course", what)
		case named:
			f.add(at, "names a %s twice", what)
		default:
			known[id] = true
		}
	}
	for i, m := range o.Modules {
		name(modules, m.ID, fmt.Sprintf("modules[%d].id", i), "module")
		f.count(fmt.Sprintf("modules[%d].lessons", i), len(m.Lessons), MaxLessons)
		for j, l := range m.Lessons {
			name(lessons, l, fmt.Sprintf("modules[%d].lessons[%d]", i, j), "lesson")
		}
	}
	for _, m := range present {
		if !modules[m.ID] {
			f.add("modules", "the module %s is missing", m.ID)
		}
		for _, l := range m.Lessons {
			if !lessons[l.ID] {
				f.add("modules", "the lesson %s is missing", l.ID)
			}
		}
	}
	return f.err()
}

// place writes an order that has been checked. The unique constraints on positions
// are deferred, so places may be swapped.
func place(ctx context.Context, tx postgres.Querier, organization, course string, order Order) error {
	var modules, lessons, parents []string
	var modulePlaces, lessonPlaces []int64
	for i, m := range order.Modules {
		modules, modulePlaces = append(modules, m.ID), append(modulePlaces, int64(i))
		for j, l := range m.Lessons {
			lessons, lessonPlaces, parents = append(lessons, l), append(lessonPlaces, int64(j)), append(parents, m.ID)
		}
	}
	_, err := tx.Exec(ctx, `
		UPDATE modules m
		SET position = o.position
		FROM unnest($3::text[], $4::bigint[]) AS o (module_id, position)
		WHERE m.organization_id = $1 AND m.course_id = $2 AND m.module_id = o.module_id
			AND m.position <> o.position`, organization, course, modules, modulePlaces)
	if err != nil {
		return postgres.Fault(err)
	}
	_, err = tx.Exec(ctx, `
		UPDATE lessons l
		SET module_id = o.module_id, position = o.position
		FROM unnest($3::text[], $4::bigint[], $5::text[]) AS o (lesson_id, position, module_id)
		WHERE l.organization_id = $1 AND l.course_id = $2 AND l.lesson_id = o.lesson_id
			AND (l.position, l.module_id) <> (o.position, o.module_id)`, organization, course, lessons, lessonPlaces, parents)
	return postgres.Fault(err)
}

// full refuses one more where there are most already.
func full(n, most int, what, where string) error {
	if n < most {
		return nil
	}
	return fault.New(fault.Conflict, "A %s has at most %d %s.", where, most, what)
}
