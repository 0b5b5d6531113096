package course

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// rival runs once, in a transaction of its own, after the first statement.
type rival struct {
	pgx.Tx
	run func()
}

func (r *rival) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := r.Tx.Query(ctx, sql, args...)
	if r.run == nil || err != nil {
		return rows, err
	}
	buffered, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	run := r.run
	r.run = nil
	run()
	return r.Tx.Query(ctx, `SELECT unnest($1::text[])`, buffered)
}

// Somebody moves lessons while a module is deleted: each lesson either goes, and
// its job with it, or stays, and its job too.
func TestModuleIsDeletedWhileLessonsMove(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ from, to int }{"in": {1, 0}, "out": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			c0 := newCourse(t, db, 2, 1)
			moved := c0.Modules[c.from].Lessons[0].ID
			for _, m := range c0.Modules {
				render(t, db, c0.ID, m.Lessons[0].ID)
			}
			order := orderOf(c0.Modules)
			order.Modules[c.from].Lessons = []string{}
			order.Modules[c.to].Lessons = append(order.Modules[c.to].Lessons, moved)
			moving := func() {
				inTx(t, db, func(tx pgx.Tx) error {
					_, err := Reorder(t.Context(), tx, org, c0.ID, nil, order)
					return err
				})
			}
			inTx(t, db, func(tx pgx.Tx) error {
				err := DeleteModule(t.Context(), &rival{tx, moving}, org, c0.Modules[0].ID, nil)
				moving = nil // the second time nobody interferes
				return err
			})
			got, err := Get(t.Context(), db, org, c0.ID)
			if err != nil {
				t.Fatal(err)
			}
			gapless(t, got.Modules)
			stays := map[string]bool{}
			for _, m := range got.Modules {
				for _, l := range m.Lessons {
					stays[l.ID] = true
				}
			}
			if stays[moved] != (name == "out") {
				t.Errorf("the lesson that was moved %s is there: %t", name, stays[moved])
			}
			for _, m := range c0.Modules {
				lesson := m.Lessons[0].ID
				jobs, err := job.ForCourse(t.Context(), db, org, c0.ID, 10)
				if err != nil {
					t.Fatal(err)
				}
				for _, j := range jobs {
					if j.Subject == lesson && j.State.Open() != stays[lesson] {
						t.Errorf("lesson %s stays: %t, its job is %s", lesson, stays[lesson], j.State)
					}
				}
			}
		})
	}
}

func render(t *testing.T, db *pgxpool.Pool, course, lesson string) {
	t.Helper()
	inTx(t, db, func(tx pgx.Tx) error {
		_, _, err := job.Start(t.Context(), tx, job.NewJob{
			Organization: org, User: "user_local", Kind: job.Render, Subject: lesson, CourseID: course, Content: "c",
			Steps: []job.NewStep{{Name: "render", Kind: "render", Subject: lesson, Content: "c"}},
		})
		return err
	})
}

// A change that changes nothing leaves every version as it is.
func TestNothingChanged(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := newCourse(t, db, 1, 1)
	module, lesson := c.Modules[0].ID, c.Modules[0].Lessons[0].ID
	var slide Slide
	inTx(t, db, func(tx pgx.Tx) error {
		slides, _, err := ReplaceSlides(t.Context(), tx, org, lesson, nil, []Slide{{
			Kind: PointsSlide, Title: "One", Points: []Point{{Text: "A point"}}, Narration: []Sentence{{Text: "A sentence.", Reveals: 1}},
		}})
		slide = slides[0]
		return err
	})
	versions := func() (v [3]int64) {
		t.Helper()
		err := db.QueryRow(t.Context(), `
			SELECT (SELECT version FROM courses WHERE course_id = $1), (SELECT version FROM modules WHERE module_id = $2), (SELECT version FROM lessons WHERE lesson_id = $3)`,
			c.ID, module, lesson).Scan(&v[0], &v[1], &v[2])
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := versions()
	inTx(t, db, func(tx pgx.Tx) error {
		m, err := UpdateModule(t.Context(), tx, org, module, Condition{before[1]}, func(*ModuleFields) error { return nil })
		if err == nil && (m.Version != before[1] || m.ID != module) {
			t.Errorf("the module came back as %+v", m)
		}
		return err
	})
	inTx(t, db, func(tx pgx.Tx) error {
		_, err := UpdateLesson(t.Context(), tx, org, lesson, nil, func(*LessonFields) error { return nil })
		return err
	})
	inTx(t, db, func(tx pgx.Tx) error {
		_, version, err := UpdateSlide(t.Context(), tx, org, lesson, slide.ID, nil, func(*Slide) error { return nil })
		if err == nil && version != before[2] {
			t.Errorf("the slide came back at version %d", version)
		}
		return err
	})
	if after := versions(); after != before {
		t.Errorf("versions %v became %v", before, after)
	}
	inTx(t, db, func(tx pgx.Tx) error {
		_, err := UpdateModule(t.Context(), tx, org, module, nil, func(f *ModuleFields) error { f.Title = "New"; return nil })
		return err
	})
	inTx(t, db, func(tx pgx.Tx) error {
		_, _, err := UpdateSlide(t.Context(), tx, org, lesson, slide.ID, nil, func(s *Slide) error { s.Title = "New"; return nil })
		return err
	})
	if after := versions(); after != [3]int64{before[0] + 1, before[1] + 1, before[2] + 1} {
		t.Errorf("after changes: versions %v became %v", before, after)
	}
}
