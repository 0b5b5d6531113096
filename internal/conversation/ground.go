package conversation

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/source"
)

const (
	searched       = 8 // passages that a search gives
	fromLesson     = 3 // pieces of the lesson beside which the session stands
	mostReadings   = 40
	readingLength  = 12_000 // characters of each lesson, where the course has no sources
	openingLength  = 900    // characters of each lesson, for a course's summary
	mostOfMemories = 10
	summariseTask  = "summarise"
	explainTask    = "explain"
	quizTask       = "quiz-me"
)

// ground is what a turn rests on.
type ground struct {
	material
	memories []Memory
	quiz     quiz
}

// gather reads what a turn rests on. The search, which takes longest, runs beside the
// rest. What is cited already, by the beginning of an answer, is among it.
func (t *Tutor) gather(ctx context.Context, p account.Principal, turn Turn, cited []Citation) (*ground, error) {
	g := &ground{}
	s := turn.Session
	if s.CourseID == "" {
		return g, nil
	}
	var hits []source.Hit
	var names map[string]string
	var lesson []quoted
	query := searchFor(turn.Question.Content, turn.History)
	whole := turn.Task.Name == summariseTask
	work, both := errgroup.WithContext(ctx)
	work.Go(func() (err error) {
		if turn.Task.Name != quizTask && (!whole || s.LessonID == "") {
			hits, err = search(both, t.p.DB, p.Organization, s.CourseID, query)
		}
		return err
	})
	work.Go(func() (err error) {
		if g.course, err = course.Get(both, t.p.DB, p.Organization, s.CourseID); err != nil {
			return ignore(err, fault.NotFound)
		}
		g.outline = outlineOf(g.course, s.LessonID)
		if names, err = source.Names(both, t.p.DB, p.Organization, s.CourseID); err != nil {
			return err
		}
		if g.lesson, lesson, err = readLesson(both, t.p.DB, p.Organization, s.LessonID); err != nil {
			return err
		}
		if turn.Task.Name == quizTask {
			if g.quiz, err = readQuiz(both, t.p.DB, p.Organization, turn); err != nil {
				return err
			}
		}
		if !p.Credential() {
			g.memories, err = Memories(both, t.p.DB, p, s.CourseID)
		}
		return err
	})
	if err := work.Wait(); err != nil {
		return nil, err
	}
	if err := t.addEvidence(ctx, p, g, names, turn, cited); err != nil {
		return nil, err
	}
	switch {
	case whole:
		g.add(lesson...)
	case turn.Task.Name == explainTask && leans(turn.Question.Content): // "explain this"
		g.add(lesson[:min(len(lesson), 2*fromLesson)]...)
	}
	for _, h := range hits {
		g.add(fromSource(h.Passage, names))
	}
	g.add(about(lesson, query, fromLesson)...)
	if len(g.quoted) == 0 {
		g.add(lesson[:min(len(lesson), fromLesson)]...)
	}
	return g, t.addReadings(ctx, p, g, names, query, whole)
}

// search finds the passages that have all words of a question and, where those are
// few, the ones that have the most of them.
func search(ctx context.Context, q postgres.Querier, organization, course, query string) ([]source.Hit, error) {
	hits, err := source.Search(ctx, q, organization, course, query, searched)
	if err != nil || len(hits) == 0 || len(hits) >= searched/2 {
		return hits, err
	}
	more, err := source.Related(ctx, q, organization, course, query, searched)
	for _, h := range more {
		if len(hits) < searched && !slices.ContainsFunc(hits, func(k source.Hit) bool { return k.ID == h.ID }) {
			hits = append(hits, h)
		}
	}
	return hits, err
}

// addReadings takes up what the course's lessons say where nothing else was found,
// and their beginnings when the course is to be summarised.
func (t *Tutor) addReadings(ctx context.Context, p account.Principal, g *ground, names map[string]string, query string, whole bool) error {
	opening := whole && g.lesson.ID == ""
	if g.course.ID == "" || len(g.quoted) > 0 && !opening {
		return nil
	}
	length := readingLength
	if opening {
		length = openingLength
	}
	readings, err := course.Readings(ctx, t.p.DB, p.Organization, g.course.ID, mostReadings, length)
	if err != nil {
		return err
	}
	var pieces []quoted
	for _, r := range readings {
		of := chunks(r.Lesson, r.Title, r.Article)
		if opening {
			of = of[:min(1, len(of))]
		}
		pieces = append(pieces, of...)
	}
	if !opening {
		pieces = about(pieces, query, searched)
	}
	g.add(pieces...)
	if !opening || len(pieces) > 0 {
		return nil
	}
	return t.addOpenings(ctx, p, g, names)
}

// addOpenings takes up how the sections of a course's sources begin: for the summary of
// one whose lessons are not written yet.
func (t *Tutor) addOpenings(ctx context.Context, p account.Principal, g *ground, names map[string]string) error {
	library := source.Library{DB: t.p.DB}
	sections, err := library.Sections(ctx, p.Organization, g.course.ID)
	if err != nil {
		return err
	}
	var parts []source.Part
	for i := range min(len(sections), mostPassages) { // spread over the whole
		s := sections[i*len(sections)/min(len(sections), mostPassages)]
		parts = append(parts, source.Part{Source: s.Source, From: s.From, To: s.From + 1})
	}
	passages, err := library.Passages(ctx, p.Organization, g.course.ID, parts)
	for _, passage := range passages {
		g.add(fromSource(passage, names))
	}
	return err
}

// addEvidence takes up first what must be there: what a judged question rests on, and
// what the beginning of an answer that is gone on with cites.
func (t *Tutor) addEvidence(ctx context.Context, p account.Principal, g *ground, names map[string]string, turn Turn, cited []Citation) error {
	var ids []string
	if g.quiz.judged != nil {
		for _, e := range g.quiz.judged.Evidence {
			ids = append(ids, e.Passage)
		}
	}
	if turn.Continues != nil {
		cited = append(slices.Clone(turn.Continues.Citations), cited...)
	}
	for _, c := range cited {
		if c.Passage != "" {
			ids = append(ids, c.Passage)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	passages, err := source.Library{DB: t.p.DB}.ByID(ctx, p.Organization, turn.Session.CourseID, ids)
	for _, passage := range passages {
		g.add(fromSource(passage, names))
	}
	return err
}

func fromSource(p source.Passage, names map[string]string) quoted {
	return quoted{Passage: p, name: names[p.Source]}
}

// readLesson reads what the lesson says beside which a session stands; nothing when
// it is gone.
func readLesson(ctx context.Context, q postgres.Querier, organization, lesson string) (course.Lesson, []quoted, error) {
	if lesson == "" {
		return course.Lesson{}, nil, nil
	}
	l, err := course.GetLesson(ctx, q, organization, lesson)
	switch {
	case err != nil:
		return l, nil, ignore(err, fault.NotFound)
	case l.Article != "":
		return l, chunks(l.ID, l.Title, l.Article), nil
	}
	slides, _, err := course.Slides(ctx, q, organization, lesson)
	return l, narration(l.ID, l.Title, slides), ignore(err, fault.NotFound)
}

// ignore takes an error of a kind as none.
func ignore(err error, kind fault.Kind) error {
	if fault.Is(err, kind) {
		return nil
	}
	return err
}
