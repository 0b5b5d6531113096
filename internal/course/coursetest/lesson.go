// Package coursetest makes courses for the tests of what works on them.
package coursetest

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/postgres"
)

// Lesson makes a course of an organisation with one lesson, and gives the ids of both.
func Lesson(t testing.TB, db postgres.Beginner, organization string) (courseID, lesson string) {
	t.Helper()
	err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
		c, err := course.Create(t.Context(), tx, organization, account.Local.User, course.Fields{Title: "Debian", Language: "en"})
		if err != nil {
			return err
		}
		m, err := course.CreateModule(t.Context(), tx, organization, c.ID, course.ModuleFields{Title: "First"})
		if err != nil {
			return err
		}
		l, err := course.CreateLesson(t.Context(), tx, organization, m.ID, course.LessonFields{Title: "Packages"})
		courseID, lesson = c.ID, l.ID
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return courseID, lesson
}
