package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"golang.org/x/sync/errgroup"

	"lectern.dev/lectern/internal/course"
)

// talk is a conversation with the tutor as a page shows it: a page of its own, or the
// panel beside a lesson.
type talk struct {
	Session  *session // nil: none has begun
	Course   string   // whose material it rests on
	Lesson   string   // beside which it stands; "": the whole course
	Turns    []turn
	Tasks    []task
	Task     string // the one that is chosen
	Source   string // where a panel's conversation is read from, once somebody looks at it
	Draft    string // what could not be sent
	Problem  string // why
	Wait     string // when to try again
	Language string
}

// Newest is the message that the next one follows.
func (t talk) Newest() string {
	if len(t.Turns) == 0 {
		return "root"
	}
	return t.Turns[len(t.Turns)-1].ID
}

// Answering tells whether the answer is being made.
func (t talk) Answering() bool {
	return len(t.Turns) > 0 && t.Turns[len(t.Turns)-1].State == "streaming"
}

// TaskTitle gives a task's title by its id, such as quiz-me@2.
func (t talk) TaskTitle(id string) string {
	for _, known := range t.Tasks {
		if len(id) > len(known.Name) && id[:len(known.Name)] == known.Name && id[len(known.Name)] == '@' {
			return known.Title
		}
	}
	return ""
}

// starter is a question to begin with.
type starter struct{ Task, Question string }

// Starters are offered where nothing has been asked yet.
func (t talk) Starters() []starter {
	of := "this course"
	if t.Lesson != "" {
		of = "this lesson"
	}
	return []starter{{"explain", "Explain the main idea of " + of}, {"quiz-me", "Quiz me on " + of}, {"summarise", "Summarise " + of}}
}

// tutorPage is the tutor's page of a course: one conversation, and the way to others.
type tutorPage struct {
	Me *person
	talk
	Of       course.Course // the zero one where it was removed
	Beside   string        // the lesson's title
	Sessions []session
	Memories []memory
	Notice   string
}

// panel is the tutor beside a lesson or a course before anybody has looked at it. It
// asks functions/chat nothing, so that a page need not wait for that; nil: there is
// no tutor.
func (s *site) panel(course course.Course, lesson string) *talk {
	if !s.tutored() || countLessons(course).Written == 0 {
		return nil
	}
	source := "/courses/" + url.PathEscape(course.ID) + "/tutor/panel"
	if lesson != "" {
		source += "?" + url.Values{"lesson": {lesson}}.Encode()
	}
	return &talk{Course: course.ID, Lesson: lesson, Task: "tutor", Source: source, Language: course.Language}
}

// showPanel gives what the panel shows: the newest conversation there.
func (s *site) showPanel(r *http.Request) (string, any, error) {
	ctx, chat := r.Context(), s.chat(r)
	view := talk{Course: r.PathValue("course"), Lesson: r.URL.Query().Get("lesson"), Task: "tutor"}
	var recent list[session]
	group, reading := errgroup.WithContext(ctx)
	group.Go(func() (err error) { view.Tasks, err = chat.tasks(reading); return err })
	group.Go(func() (err error) { recent, err = chat.sessions(reading, view.Course, "", 20); return err })
	if err := group.Wait(); err != nil {
		return "", nil, err
	}
	if r.URL.Query().Get("new") != "" {
		return "panel", view, nil
	}
	at := slices.IndexFunc(recent.Items, func(one session) bool { return one.Lesson == view.Lesson })
	if at < 0 {
		return "panel", view, nil
	}
	view.Session, view.Task = &recent.Items[at], recent.Items[at].Task
	return "panel", view, s.readTurns(ctx, r, &view, "")
}

// showThread gives a session's messages alone, for the page that has the rest.
func (s *site) showThread(r *http.Request) (string, any, error) {
	view := talk{Session: &session{ID: r.PathValue("session")}}
	return "panel", &view, s.readTurns(r.Context(), r, &view, r.URL.Query().Get("at"))
}

func (s *site) readTurns(ctx context.Context, r *http.Request, view *talk, at string) error {
	all, err := s.chat(r).messages(ctx, view.Session.ID)
	if err != nil {
		return err
	}
	if view.Turns, err = thread(view.Session.ID, all, at); err != nil || len(view.Turns) == 0 {
		return err
	}
	if asks := view.Turns[len(view.Turns)-1].Quiz; asks != nil && asks.Question != "" {
		view.Task = "quiz-me" // what is written next answers its question
	}
	return nil
}

// OfCourse is the course that the page is about.
func (t tutorPage) OfCourse() string { return t.Of.ID }

// OfCourse is "": the page is about all.
func (talksPage) OfCourse() string { return "" }

// showTutor is a course's tutor, ready for a new conversation.
func (s *site) showTutor(r *http.Request) (string, any, error) {
	view, err := s.tutorPage(r, &talk{Course: r.PathValue("course"), Lesson: r.URL.Query().Get("lesson")})
	return "tutor", view, err
}

// showSession is one conversation.
func (s *site) showSession(r *http.Request) (string, any, error) {
	view, err := s.sessionPage(r)
	return "tutor", view, err
}

func (s *site) sessionPage(r *http.Request) (*tutorPage, error) {
	found, err := s.chat(r).session(r.Context(), r.PathValue("session"))
	if err != nil {
		return nil, err
	}
	return s.tutorPage(r, &talk{Session: &found, Course: found.Course, Lesson: found.Lesson})
}

// tutorPage reads what stands around a conversation, and its messages.
func (s *site) tutorPage(r *http.Request, t *talk) (*tutorPage, error) {
	ctx, chat := r.Context(), s.chat(r)
	view := &tutorPage{Me: visitor(ctx), talk: *t, Notice: doneWithTutor[r.URL.Query().Get("done")]}
	if view.Task = "tutor"; view.Session != nil {
		view.Task = view.Session.Task
	}
	group, reading := errgroup.WithContext(ctx)
	group.Go(func() (err error) { view.Tasks, err = chat.tasks(reading); return err })
	group.Go(func() error {
		all, err := chat.sessions(reading, view.Course, "", 50)
		view.Sessions = all.Items
		return err
	})
	if view.Session != nil {
		group.Go(func() error { return s.readTurns(reading, r, &view.talk, r.URL.Query().Get("at")) })
	}
	if view.Course != "" {
		group.Go(func() (err error) { view.Memories, err = chat.memories(reading, view.Course); return err })
		group.Go(func() (err error) {
			view.Of, err = s.courses(r).course(reading, view.Course)
			if view.Session != nil { // what was said about a course that is gone can still be read
				return there(err)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	view.Language = view.Of.Language
	if view.Lesson != "" {
		view.Beside = namesOf(view.Of, nil)[view.Lesson]
	}
	return view, nil
}

var doneWithTutor = map[string]string{
	"renamed": "The conversation has its new name.", "deleted": "The conversation is deleted.",
	"forgotten": "The tutor has forgotten that.", "all-forgotten": "The tutor has forgotten all of it.",
}

// talksPage lists all conversations of a person.
type talksPage struct {
	Me       *person
	Talks    []listed
	Memories []remembered
	Next     string
	Later    bool
	Notice   string
}

// remembered is a memory in the list of all courses'.
type remembered struct {
	memory
	CourseTitle string
}

// listed is a conversation in the list.
type listed struct {
	session
	CourseTitle string
}

func (s *site) showTalks(r *http.Request) (string, any, error) {
	cursor := r.URL.Query().Get("cursor")
	var all list[session]
	var memories []memory
	group, reading := errgroup.WithContext(r.Context())
	group.Go(func() (err error) { all, err = s.chat(r).sessions(reading, "", cursor, 30); return err })
	group.Go(func() (err error) { memories, err = s.chat(r).memories(reading, ""); return err })
	if err := group.Wait(); err != nil {
		return "", nil, err
	}
	var courses []string
	for _, one := range all.Items {
		courses = append(courses, one.Course)
	}
	for _, one := range memories {
		courses = append(courses, one.Course)
	}
	titles, err := s.titles(r, courses)
	if err != nil {
		return "", nil, err
	}
	view := talksPage{Me: visitor(r.Context()), Next: all.NextCursor, Later: cursor != "", Notice: doneWithTutor[r.URL.Query().Get("done")]}
	for _, one := range all.Items {
		view.Talks = append(view.Talks, listed{one, titles[one.Course]})
	}
	for _, one := range memories {
		view.Memories = append(view.Memories, remembered{one, titles[one.Course]})
	}
	return "talks", view, nil
}

// titles gives the titles of courses by id. One that is gone has none.
func (s *site) titles(r *http.Request, ids []string) (map[string]string, error) {
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" })
	found := make([]course.Course, len(ids))
	group, reading := errgroup.WithContext(r.Context())
	group.SetLimit(8)
	for i, id := range ids {
		group.Go(func() (err error) { found[i], err = s.courses(r).course(reading, id); return there(err) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	titles := map[string]string{}
	for i, id := range ids {
		titles[id] = found[i].Title
	}
	return titles, nil
}
