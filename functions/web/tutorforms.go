package web

import (
	"net/http"
	"net/url"
	"strings"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
)

// What the tutor's pages send where no script streams the answer. tutor.js sends the
// same to the API itself.

// beginTalk begins a conversation with its first question, and shows the answer.
func (s *site) beginTalk(w http.ResponseWriter, r *http.Request) error {
	question, task := asked(r)
	in := newSession{Course: r.PathValue("course"), Lesson: r.PostFormValue("lesson"), Task: r.PostFormValue("task")}
	var begun session
	err := error(fault.New(fault.Invalid, "Write a question first."))
	if question != "" {
		begun, err = s.chat(r).begin(r.Context(), r.PostFormValue("id"), in)
	}
	if begun.ID != "" {
		err = s.chat(r).ask(r.Context(), begun.ID, prompt{ID: r.PostFormValue("id"), Content: question, Parent: "root", Task: task})
	}
	if err != nil {
		return s.refuseQuestion(w, r, err, func() (*tutorPage, error) {
			at := &talk{Course: in.Course, Lesson: in.Lesson}
			if begun.ID != "" {
				at.Session = &begun
			}
			return s.tutorPage(r, at)
		})
	}
	http.Redirect(w, r, "/tutor/"+url.PathEscape(begun.ID)+"#newest", http.StatusSeeOther)
	return nil
}

// send adds a question to a conversation, or asks for another answer, or for the rest
// of one: then there is no question, but a parent.
func (s *site) send(w http.ResponseWriter, r *http.Request) error {
	question, task := asked(r)
	in := prompt{Content: question, Parent: r.PostFormValue("parent"), Task: task}
	if question != "" {
		in.ID = r.PostFormValue("id")
	}
	err := error(fault.New(fault.Invalid, "Write a question first."))
	if question != "" || r.PostForm.Has("again") {
		err = s.chat(r).ask(r.Context(), r.PathValue("session"), in)
	}
	if err != nil {
		return s.refuseQuestion(w, r, err, func() (*tutorPage, error) { return s.sessionPage(r) })
	}
	http.Redirect(w, r, talkPath(r)+"#newest", http.StatusSeeOther)
	return nil
}

// asked gives the question of a form: what was written, or the button that was
// pressed instead.
func asked(r *http.Request) (question, task string) {
	question, task = strings.TrimSpace(r.PostFormValue("question")), r.PostFormValue("task")
	if name, text, ok := strings.Cut(r.PostFormValue("starter"), ":"); ok {
		question, task = text, name
	}
	return question, task
}

// refuseQuestion shows the conversation with why the question was refused; the question
// is kept.
func (s *site) refuseQuestion(w http.ResponseWriter, r *http.Request, err error, read func() (*tutorPage, error)) error {
	if fault.Is(err, fault.Internal) || fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.NotFound) {
		return err
	}
	view, unread := read()
	if unread != nil {
		return err // the page that tells it alone
	}
	edge.Failed(r.Context(), err)
	p := edge.ProblemOf(r.Context(), err)
	view.Problem, view.Draft = p.Detail, r.PostFormValue("question")
	view.Wait = tellWait(w, err)
	return s.render(w, r, p.Status, "tutor", view)
}

func (s *site) stopAnswer(r *http.Request) (string, error) {
	_, err := s.chat(r).write(r.Context(), http.MethodDelete, sessionPath(r.PathValue("session"))+"/stream", "", nil)
	return talkPath(r) + "#newest", there(err)
}

func (s *site) renameTalk(r *http.Request) (string, error) {
	_, err := s.chat(r).write(r.Context(), http.MethodPatch, sessionPath(r.PathValue("session")), "", map[string]string{"title": strings.TrimSpace(r.PostFormValue("title"))})
	return talkPath(r) + "?done=renamed", err
}

func (s *site) deleteTalk(r *http.Request) (string, error) {
	_, err := s.chat(r).write(r.Context(), http.MethodDelete, sessionPath(r.PathValue("session")), "", nil)
	return "/tutor?done=deleted", there(err)
}

func (s *site) forget(r *http.Request) (string, error) {
	_, err := s.chat(r).write(r.Context(), http.MethodDelete, "/v1/chat/memories/"+url.PathEscape(r.PathValue("memory")), "", nil)
	return forgottenOn(r) + "?done=forgotten", there(err)
}

// forgetAll forgets a course's memories or, from the page of all, every course's: the
// API forgets those of one course at a time.
func (s *site) forgetAll(r *http.Request) (string, error) {
	courses := map[string]bool{r.PostFormValue("course"): true}
	if courses[""] {
		memories, err := s.chat(r).memories(r.Context(), "")
		if err != nil {
			return "", err
		}
		clear(courses)
		for _, one := range memories {
			courses[one.Course] = true
		}
	}
	for id := range courses {
		if _, err := s.chat(r).write(r.Context(), http.MethodDelete, "/v1/chat/memories?"+url.Values{"course": {id}}.Encode(), "", nil); err != nil {
			return "", err
		}
	}
	return forgottenOn(r) + "?done=all-forgotten", nil
}

// forgottenOn is the page on which the button was pressed: a course's, or that of all.
func forgottenOn(r *http.Request) string {
	if id := r.PostFormValue("course"); id != "" {
		return "/courses/" + url.PathEscape(id) + "/tutor"
	}
	return "/tutor"
}

func talkPath(r *http.Request) string { return "/tutor/" + url.PathEscape(r.PathValue("session")) }
