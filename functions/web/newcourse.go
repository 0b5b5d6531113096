package web

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"

	"lectern.dev/lectern/internal/course"
)

func newCourseForm() form {
	return newForm("new-course", "/courses", "Make the course",
		input{Name: "title", Label: "Title", Required: true, Most: 200, Autocomplete: "off", Hint: "A working title will do. Next you add the documents that it shall be written from."}).with("key", rand.Text())
}

// createCourse makes an empty course and goes there: its sources come next.
func (s *site) createCourse(w http.ResponseWriter, r *http.Request) error {
	got, err := s.courses(r).write(r.Context(), http.MethodPost, "/v1/courses", r.PostFormValue("key"), map[string]string{"title": strings.TrimSpace(r.PostFormValue("title"))})
	if err == nil {
		made, err := decode[course.Course](got)
		if err != nil {
			return err
		}
		http.Redirect(w, r, "/courses/"+url.PathEscape(made.ID), http.StatusSeeOther)
		return nil
	}
	view, unread := s.coursesPage(r)
	if unread != nil {
		return unread
	}
	status, unfit := view.New.refuse(w, r, err)
	if unfit != nil {
		return unfit
	}
	return s.render(w, r, status, "courses", view)
}
