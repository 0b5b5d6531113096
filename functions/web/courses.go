package web

import (
	"cmp"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
)

// coursesPage is the list of courses.
type coursesPage struct {
	Me      *person
	New     form
	Courses []courseCard
	Next    string // cursor of the next page; empty on the last
	Later   bool   // whether this is not the first page
}

// courseCard is a course in the list.
type courseCard struct {
	course.Course
	count
	Jobs []jobView // what is going on, and what failed and was not tried again
}

func (s *site) showCourses(r *http.Request) (string, any, error) {
	view, err := s.coursesPage(r)
	return "courses", view, err
}

func (s *site) coursesPage(r *http.Request) (coursesPage, error) {
	ctx, api, me := r.Context(), s.courses(r), visitor(r.Context())
	cursor := r.URL.Query().Get("cursor")
	all, err := api.courses(ctx, cursor)
	if err != nil {
		return coursesPage{}, err
	}
	view := coursesPage{Me: me, New: newCourseForm(), Courses: make([]courseCard, len(all.Items)), Next: all.NextCursor, Later: cursor != ""}
	jobs := make([][]job.Job, len(all.Items))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, c := range all.Items {
		group.Go(func() (err error) { view.Courses[i].Course, err = api.course(ctx, c.ID); return there(err) })
		if me.Writes() {
			group.Go(func() (err error) { jobs[i], err = api.jobs(ctx, c.ID); return there(allowed(err)) })
		}
	}
	if err := group.Wait(); err != nil {
		return coursesPage{}, err
	}
	for i := range view.Courses {
		card := &view.Courses[i]
		card.count = countLessons(card.Course)
		card.Jobs, _ = news(jobs[i], namesOf(card.Course, nil))
	}
	view.Courses = slices.DeleteFunc(view.Courses, func(c courseCard) bool { return c.ID == "" })
	return view, nil
}

// there forgives that a course was deleted after it was listed: it is left out.
func there(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// coursePage is one course.
type coursePage struct {
	Me *person
	course.Course
	count
	Sources []source
	Jobs    []jobView // what is going on, and what failed and was not tried again
	Past    []jobView
	Busy    bool // whether the course is being written or rendered as a whole
	Here    bool // whether documents are sent to this origin
	Tutor   *talk
}

func (s *site) showCourse(r *http.Request) (string, any, error) {
	ctx, api, id := r.Context(), s.courses(r), r.PathValue("course")
	view := coursePage{Me: visitor(ctx), Here: s.deps.Media == nil}
	var jobs []job.Job
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { view.Course, err = api.course(ctx, id); return err })
	if view.Me.Writes() {
		group.Go(func() (err error) { view.Sources, err = api.sources(ctx, id); return allowed(err) })
		group.Go(func() (err error) { jobs, err = api.jobs(ctx, id); return allowed(err) })
	}
	if err := group.Wait(); err != nil {
		return "", nil, err
	}
	view.count = countLessons(view.Course)
	view.Tutor = s.panel(view.Course, "")
	view.Jobs, view.Past = news(jobs, namesOf(view.Course, view.Sources))
	view.Busy = slices.ContainsFunc(jobs, func(j job.Job) bool { return j.State.Open() && j.Subject == view.ID })
	return "course", view, nil
}

// Ready tells whether there is a source that a course can be written from.
func (c coursePage) Ready() bool {
	return slices.ContainsFunc(c.Sources, func(s source) bool { return s.State == "ready" })
}

// count is how far a course is.
type count struct {
	Lessons, Written, Videos int // in all; with slides; with a video that is ready
}

func countLessons(c course.Course) (n count) {
	for _, l := range lessons(c) {
		n.Lessons++
		if l.Written {
			n.Written++
		}
		if l.VideoState == course.VideoReady {
			n.Videos++
		}
	}
	return n
}

// lessons lists a course's lessons in order.
func lessons(c course.Course) []course.LessonSummary {
	var all []course.LessonSummary
	for _, m := range c.Modules {
		all = append(all, m.Lessons...)
	}
	return all
}

// jobView is a job as a page shows it.
type jobView struct {
	job.Job
	Name string // title of the lesson or source it works on; empty for the whole course
}

// names are the titles of what jobs work on, by id.
type names map[string]string

func namesOf(c course.Course, sources []source) names {
	n := names{}
	for _, l := range lessons(c) {
		n[l.ID] = l.Title
	}
	for _, s := range sources {
		n[s.ID] = s.Name
	}
	return n
}

// news parts jobs, newest first, into those that a person wants to know about now,
// the open ones and failures that were not tried again since, and the rest.
func news(jobs []job.Job, titles names) (now, past []jobView) {
	type work struct {
		kind    job.Kind
		subject string
	}
	tried := map[work]bool{}
	for _, j := range jobs {
		w := work{j.Kind, j.Subject}
		view := jobView{j, titles[j.Subject]}
		if j.State.Open() || j.State == job.Failed && !tried[w] {
			now = append(now, view)
		} else {
			past = append(past, view)
		}
		tried[w] = true
	}
	slices.SortStableFunc(now, func(a, b jobView) int { return cmp.Compare(urgency(a.State), urgency(b.State)) })
	return now, past
}

func urgency(s job.State) int {
	return slices.Index([]job.State{job.Waiting, job.Failed, job.Running, job.Queued}, s)
}
