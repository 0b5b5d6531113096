package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"lectern.dev/lectern/internal/fault"
)

// The forms of the pages. Each carries a key that was made with the page, so that
// a second click is the same request.

func (s *site) generate(r *http.Request) (string, error) {
	b := brief{
		Title:    strings.TrimSpace(r.PostFormValue("title")),
		Audience: strings.TrimSpace(r.PostFormValue("audience")),
		Language: strings.TrimSpace(r.PostFormValue("language")),
	}
	if n := r.PostFormValue("lessons"); n != "" {
		var err error
		if b.Lessons, err = strconv.Atoi(n); err != nil {
			return "", fault.Wrap(fault.Invalid, err, "The number of lessons is not a number. Go back and correct it.")
		}
	}
	id := r.PathValue("course")
	_, err := s.courses(r).write(r.Context(), http.MethodPost, "/v1/courses/"+url.PathEscape(id)+"/generations", r.PostFormValue("key"), b)
	return "/courses/" + url.PathEscape(id), err
}

func (s *site) renderCourse(r *http.Request) (string, error) {
	id := url.PathEscape(r.PathValue("course"))
	_, err := s.courses(r).write(r.Context(), http.MethodPost, "/v1/courses/"+id+"/renders", r.PostFormValue("key"), nil)
	return "/courses/" + id, err
}

func (s *site) renderLesson(r *http.Request) (string, error) {
	id := url.PathEscape(r.PathValue("lesson"))
	_, err := s.courses(r).write(r.Context(), http.MethodPost, "/v1/lessons/"+id+"/renders", r.PostFormValue("key"), nil)
	return "/lessons/" + id, err
}

func (s *site) cancelJob(r *http.Request) (string, error) {
	id := url.PathEscape(r.PathValue("job"))
	_, err := s.courses(r).write(r.Context(), http.MethodDelete, "/v1/jobs/"+id, r.PostFormValue("key"), nil)
	return back(r), err
}

func (s *site) resumeJob(r *http.Request) (string, error) {
	id := url.PathEscape(r.PathValue("job"))
	_, err := s.courses(r).write(r.Context(), http.MethodPost, "/v1/jobs/"+id+"/resume", r.PostFormValue("key"), nil)
	return back(r), err
}

var ownPage = regexp.MustCompile(`^/((courses|lessons)/[a-z0-9_]+)?$`)

// back gives the page that a form stood on, when it is one of ours.
func back(r *http.Request) string {
	if page := r.PostFormValue("back"); ownPage.MatchString(page) {
		return page
	}
	return "/"
}
