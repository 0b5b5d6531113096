package web

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/json"
	"html/template"
	"maps"
	"net/http"
	"sync"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
)

//go:embed templates
var templateFiles embed.FS

// pages are the templates by page: "course" is templates/course.html inside the layout.
type pages map[string]*template.Template

// parsePages reads the templates, once for all sites of a process.
var parsePages = sync.OnceValue(func() pages {
	functions := template.FuncMap{"asset": readAssets().url, "formKey": rand.Text}
	maps.Copy(functions, words)
	layout := template.Must(template.New("layout.html").Funcs(functions).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/form.html", "templates/conversation.html"))
	p := pages{}
	for _, name := range []string{"courses", "course", "lesson", "docs", "error", "enter", "account", "organization", "secret", "budget", "organizations", "tutor", "talks"} {
		p[name] = template.Must(template.Must(layout.Clone()).ParseFS(templateFiles, "templates/"+name+".html"))
	}
	// A part of a page, without what stands around it.
	p["panel"] = template.Must(template.Must(layout.Clone()).ParseFS(templateFiles, "templates/panel.html")).Lookup("panel.html")
	return p
})

// handler answers, or gives the error that a page then tells.
type handler func(w http.ResponseWriter, r *http.Request) error

// answers makes a handler of do.
func (s *site) answers(do handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := do(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// page answers with a page: show names it and gives what it is about.
func (s *site) page(show func(r *http.Request) (name string, view any, err error)) http.Handler {
	return s.answers(func(w http.ResponseWriter, r *http.Request) error {
		name, view, err := show(r)
		if err != nil {
			return err
		}
		return s.render(w, r, http.StatusOK, name, view)
	})
}

// act answers a form: do carries it out and says which page to show next. The
// answer is a redirect, so that reloading that page does not send the form again.
func (s *site) act(do func(r *http.Request) (next string, err error)) http.Handler {
	return s.answers(func(w http.ResponseWriter, r *http.Request) error {
		next, err := do(r)
		if err != nil {
			return err
		}
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	})
}

// errorPage tells what went wrong.
type errorPage struct {
	edge.Problem
	Wait string // when to try again
}

// fail answers with the page that tells an error, or lets who is not signed in do so.
func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	edge.Failed(r.Context(), err)
	p := errorPage{Problem: *edge.ProblemOf(r.Context(), err)}
	if p.RequestID == "" {
		p.RequestID = edge.RequestID(r.Context())
	}
	maps.Copy(w.Header(), p.GetHeaders())
	p.Wait = tellWait(w, err)
	if fault.Is(err, fault.Unauthenticated) {
		err = s.turnAway(w, r)
	} else {
		err = s.render(w, r, p.Status, "error", &p)
	}
	if err != nil {
		edge.Failed(r.Context(), err)
		http.Error(w, p.Detail, p.Status)
	}
}

// frame is a page with what stands around it.
type frame struct {
	Me    *person // nil: nobody is signed in
	Path  string
	Tutor bool // whether there is one
	View  any
}

// render writes a page, whole or not at all. Pages show what is going on now, to
// one person: no copy is kept, also not for who sits down at the browser after them.
func (s *site) render(w http.ResponseWriter, r *http.Request, status int, name string, view any) error {
	var b bytes.Buffer
	if err := s.pages[name].Execute(&b, frame{visitor(r.Context()), r.URL.Path, s.tutored(), view}); err != nil {
		return err
	}
	h, content := w.Header(), b.Bytes()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding, Cookie")
	if takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		content = compress(content)
	}
	w.WriteHeader(status)
	_, _ = w.Write(content) // the reader may be gone
	return nil
}

// problem answers with a problem document, where no person looks.
func problem(w http.ResponseWriter, r *http.Request, err error) {
	edge.Failed(r.Context(), err)
	p := edge.ProblemOf(r.Context(), err)
	maps.Copy(w.Header(), p.GetHeaders())
	w.Header().Set("Content-Type", p.ContentType(""))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone
}
