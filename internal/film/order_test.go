package film_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/queue"
)

// A double click gives the same job; a course's job has a step for every written
// lesson; what has no slides is refused; nobody else's lesson is found.
func TestOrders(t *testing.T) {
	t.Parallel()
	db, tasks := pgtest.New(t), new(queue.Memory)
	runner := &job.Runner{DB: db, Queue: tasks, Board: new(live.Memory)}
	who := account.Local
	var courseID string
	var lessons []string
	err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
		c, err := course.Create(t.Context(), tx, who.Organization, who.User, course.Fields{Title: "Debian"})
		if err != nil {
			return err
		}
		courseID = c.ID
		m, err := course.CreateModule(t.Context(), tx, who.Organization, c.ID, course.ModuleFields{Title: "First"})
		if err != nil {
			return err
		}
		for _, title := range []string{"Packages", "Files", "Empty"} {
			l, err := course.CreateLesson(t.Context(), tx, who.Organization, m.ID, course.LessonFields{Title: title})
			if err != nil {
				return err
			}
			lessons = append(lessons, l.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := film.StartRenders(t.Context(), runner, who, courseID); !fault.Is(err, fault.Conflict) {
		t.Errorf("a course without slides: %v", err)
	}
	for _, l := range lessons[:2] {
		err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
			_, _, err := course.ReplaceSlides(t.Context(), tx, who.Organization, l, nil, []course.Slide{{
				Kind: course.PointsSlide, Title: "One", Points: []course.Point{{Text: "A point"}},
				Narration: []course.Sentence{{Text: "A sentence.", Reveals: 1}},
			}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	first, err := film.StartRender(t.Context(), runner, who, lessons[0])
	if err != nil || first.Total != 5 || len(tasks.Waiting()) != 1 {
		t.Fatalf("%+v, %d tasks, %v", first, len(tasks.Waiting()), err)
	}
	if again, err := film.StartRender(t.Context(), runner, who, lessons[0]); err != nil || again.ID != first.ID {
		t.Errorf("a second click: %+v, %v", again, err)
	}
	whole, err := film.StartRenders(t.Context(), runner, who, courseID)
	if err != nil || whole.ID == first.ID || whole.Total != 5 { // the first lesson is being filmed already
		t.Errorf("the whole course: %+v, %v", whole, err)
	}
	if len(tasks.Waiting()) != 2 {
		t.Errorf("%d tasks", len(tasks.Waiting()))
	}
	if _, err := film.StartRender(t.Context(), runner, who, lessons[2]); !fault.Is(err, fault.Conflict) {
		t.Errorf("a lesson without slides: %v", err)
	}
	stranger := account.Principal{Organization: "org_other", User: "user_other", Role: account.Owner}
	if _, err := film.StartRender(t.Context(), runner, stranger, lessons[0]); !fault.Is(err, fault.NotFound) {
		t.Errorf("somebody else's lesson: %v", err)
	}
	if _, err := film.StartRenders(t.Context(), runner, stranger, courseID); !fault.Is(err, fault.NotFound) {
		t.Errorf("somebody else's course: %v", err)
	}
}
