package web

import (
	"html/template"
	"net/http"
	"net/url"

	"golang.org/x/sync/errgroup"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/job"
)

// lessonPage is one lesson.
type lessonPage struct {
	Me *person
	course.Lesson
	Course         course.Course
	Module         course.Module
	Number         int // 1-based place in the module
	ArticleHTML    template.HTML
	References     []evidence // what the article's citations point to, in order
	Slides         []slideView
	Transcript     []paragraph
	Questions      []questionView
	Jobs           []jobView // what happens to its video
	Previous, Next *course.LessonSummary
	Tutor          *talk
}

// evidence is where a claim can be checked, with the source's name.
type evidence struct {
	course.Evidence
	Name string
}

// slideView is a slide with all that its claims rest on.
type slideView struct {
	course.Slide
	Start    *float64 // seconds into the video; nil when it is not in it
	Points   []pointView
	Evidence []evidence // of its code, table or quote
}

type pointView struct {
	Text     string
	Evidence []evidence
}

// paragraph is what is spoken while one slide is shown.
type paragraph struct {
	Start     float64 // seconds
	Title     string
	Sentences []course.Transcript
}

type questionView struct {
	course.Question
	Evidence []evidence
}

func (s *site) showLesson(r *http.Request) (string, any, error) {
	ctx, api, id := r.Context(), s.courses(r), r.PathValue("lesson")
	view := lessonPage{Me: visitor(ctx)}
	var slides []course.Slide
	var questions []course.Question
	group, reading := errgroup.WithContext(ctx)
	group.Go(func() (err error) { view.Lesson, err = api.lesson(reading, id); return err })
	group.Go(func() (err error) { slides, err = api.slides(reading, id); return err })
	if view.Me.Writes() { // they carry their answers
		group.Go(func() (err error) { questions, err = api.questions(reading, id); return allowed(err) })
	}
	if err := group.Wait(); err != nil {
		return "", nil, err
	}
	var sources []source
	var jobs []job.Job
	group, reading = errgroup.WithContext(ctx)
	group.Go(func() (err error) { view.Course, err = api.course(reading, view.CourseID); return err })
	if view.Me.Writes() {
		group.Go(func() (err error) { sources, err = api.sources(reading, view.CourseID); return allowed(err) })
		group.Go(func() (err error) { jobs, err = api.jobs(reading, view.CourseID); return allowed(err) })
	}
	if err := group.Wait(); err != nil {
		return "", nil, err
	}

	if view.Video != nil && s.deps.Media == nil {
		onThisSite(view.Video)
	}
	names := namesOf(view.Course, nil)
	for _, s := range sources {
		names[s.ID] = s.Label()
	}
	names[""] = "A source that was removed"
	if sources == nil { // not for a learner to see
		names[""] = "Source"
	}
	view.place()
	view.Tutor = s.panel(view.Course, view.ID)
	view.References = named(view.Citations, names)
	view.Slides = slideViews(slides, view.Video, names)
	view.Transcript = paragraphs(view.Video)
	for _, q := range questions {
		view.Questions = append(view.Questions, questionView{q, named(q.Evidence, names)})
	}
	now, _ := news(jobs, names)
	for _, j := range now {
		if j.Kind == job.Render && (j.Subject == view.ID || j.Subject == view.CourseID) {
			view.Jobs = append(view.Jobs, j)
		}
	}
	var err error
	view.ArticleHTML, err = articleHTML(view.Article, len(view.Citations))
	return "lesson", view, err
}

// onThisSite makes paths of the addresses of a video that is served beside the
// pages. Its readers may know this host by another name, such as localhost or that
// of a forwarded port, and from there a page may load nothing of the first.
func onThisSite(v *course.Video) {
	for _, address := range []*string{&v.URL, &v.CaptionsURL, &v.PosterURL} {
		if u, err := url.Parse(*address); err == nil && u.Host != "" {
			*address = u.RequestURI()
		}
	}
}

// place finds where the lesson stands in its course, and its neighbours.
func (v *lessonPage) place() {
	all := lessons(v.Course)
	for i, l := range all {
		if l.ID != v.ID {
			continue
		}
		if i > 0 {
			v.Previous = &all[i-1]
		}
		if i+1 < len(all) {
			v.Next = &all[i+1]
		}
	}
	for _, m := range v.Course.Modules {
		for i, l := range m.Lessons {
			if l.ID == v.ID {
				v.Module, v.Number = m, i+1
			}
		}
	}
}

func named(list []course.Evidence, names names) []evidence {
	var all []evidence
	for _, e := range list {
		name := names[e.Source]
		if name == "" {
			name = names[""]
		}
		all = append(all, evidence{e, name})
	}
	return all
}

func slideViews(slides []course.Slide, video *course.Video, names names) []slideView {
	starts := map[string]float64{}
	if video != nil {
		for _, c := range video.Chapters {
			starts[c.Slide] = c.Start
		}
	}
	var all []slideView
	for _, s := range slides {
		v := slideView{Slide: s}
		if start, ok := starts[s.ID]; ok {
			v.Start = &start
		}
		for _, p := range s.Points {
			v.Points = append(v.Points, pointView{p.Text, named(p.Evidence, names)})
		}
		switch {
		case s.Code != nil:
			v.Evidence = named(s.Code.Evidence, names)
		case s.Table != nil:
			v.Evidence = named(s.Table.Evidence, names)
		case s.Quote != nil:
			v.Evidence = named(s.Quote.Evidence, names)
		}
		all = append(all, v)
	}
	return all
}

// paragraphs cuts a video's transcript where the slide changes.
func paragraphs(video *course.Video) []paragraph {
	if video == nil {
		return nil
	}
	titles := map[string]string{}
	for _, c := range video.Chapters {
		titles[c.Slide] = c.Title
	}
	var all []paragraph
	for i, t := range video.Transcript {
		if i == 0 || t.Slide != video.Transcript[i-1].Slide {
			all = append(all, paragraph{Start: t.Start, Title: titles[t.Slide]})
		}
		last := &all[len(all)-1]
		last.Sentences = append(last.Sentences, t)
	}
	return all
}
