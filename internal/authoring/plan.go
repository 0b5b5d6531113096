package authoring

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/source"
)

const (
	longestTitle  = 200 // characters, of anything
	plannerTokens = 8_000
)

// How much of a job's work each step is.
const (
	writeUnits   = 4
	examineUnits = 2
	reviewUnits  = 1
)

// planOutput is what stays of the planner's work.
type planOutput struct {
	trace
	Lessons []string `json:"lessons"` // ids
}

// plan divides the sources into lessons. In one transaction it writes the outline
// and adds the steps of all lessons, so that they begin together.
func (t *task) plan(ctx context.Context) (job.Result, error) {
	t.run.Progress(0, 1, "Reading the sources and planning the lessons")
	sections, err := t.Library.Sections(ctx, t.organization, t.course)
	if err != nil {
		return job.Result{}, err
	}
	if len(sections) == 0 && t.brief.Title == "" {
		return job.Result{}, fault.New(fault.Invalid, "There is nothing to write about: add a source, or give the course a title.")
	}
	language := t.language(sections)
	toc := tableOfContents(sections)
	wanted := "" // as many as the sources suggest
	if t.brief.Lessons > 0 {
		wanted = strconv.Itoa(t.brief.Lessons)
	}
	answer, tr, err := ask(ctx, t.Agents, question{
		prompt: plannerPrompt, schema: "outline", maxTokens: plannerTokens,
		inputs: map[string]string{
			"title": t.brief.Title, "document": title(sections), "audience": t.brief.Audience, "language": language,
			"lessons": wanted, "contents": toc.text(), "sections": toc.json(),
		},
		passages: toc.openings(),
	}, func(o outlineAnswer) faults { return t.checkOutline(o, toc) })
	if err != nil {
		return job.Result{}, err
	}
	outline := t.outlined(answer, toc, language)
	return job.Result{
		Output: planOutput{trace: tr, Lessons: outline.ids()},
		Next:   outline.steps(),
		Apply: func(ctx context.Context, tx pgx.Tx) error {
			return t.writeOutline(ctx, tx, answer, outline, language)
		},
	}, nil
}

// language is the brief's, else that of most of the sources' words, else English.
func (t *task) language(sections []source.Section) string {
	if t.brief.Language != "" {
		return t.brief.Language
	}
	words, best := map[string]int{}, "en"
	for _, s := range sections {
		if s.Language != "" {
			words[s.Language] += s.Words
		}
	}
	for l, n := range words {
		if n > words[best] || n == words[best] && l < best {
			best = l
		}
	}
	return best
}

// title is the document's, when there is one document.
func title(sections []source.Section) string {
	if len(sections) == 0 || documents(sections) > 1 {
		return ""
	}
	return sections[0].Document
}

// checkOutline says what is wrong with an outline, for the planner to mend.
func (t *task) checkOutline(o outlineAnswer, toc contents) (wrong faults) {
	lessons, taught := 0, map[string]bool{}
	for _, m := range o.Modules {
		checkTitle(&wrong, "module", m.Title)
		for _, l := range m.Lessons {
			lessons++
			checkTitle(&wrong, "lesson", l.Title)
			if len(toc.sections) > 0 && len(l.Sections) == 0 {
				wrong.fail("The lesson “%s” names no sections.", l.Title)
			}
			for _, s := range l.Sections {
				if !toc.knows(s) {
					wrong.fail("There is no section %q.", cut(s, 40))
				}
				if taught[s] {
					wrong.mind("The section %s belongs to two lessons.", s)
				}
				taught[s] = true
			}
		}
	}
	wanted := t.brief.Lessons
	switch {
	case lessons == 0:
		wrong.fail("The outline has no lessons.")
	case lessons > MaxLessons:
		wrong.fail("The outline has %d lessons; at most %d are possible.", lessons, MaxLessons)
	case wanted > 0 && lessons > wanted:
		wrong.fail("The outline has %d lessons; %d are wanted.", lessons, wanted)
	case lessons < wanted:
		wrong.mind("The outline has %d lessons; %d are wanted.", lessons, wanted)
	}
	return wrong
}

func checkTitle(wrong *faults, what, title string) {
	if strings.TrimSpace(title) == "" {
		wrong.fail("A %s has no title.", what)
	}
	if utf8.RuneCountInString(title) > longestTitle {
		wrong.fail("The title of a %s is longer than %d characters.", what, longestTitle)
	}
}

// outlined is an outline whose lessons have ids.
type outlined []outlinedModule

type outlinedModule struct {
	title, summary string
	lessons        []lessonPlan
}

func (t *task) outlined(o outlineAnswer, toc contents, language string) outlined {
	var out outlined
	for _, m := range o.Modules {
		module := outlinedModule{title: storable(m.Title), summary: cut(storable(m.Summary), 1000)}
		for _, l := range m.Lessons {
			module.lessons = append(module.lessons, lessonPlan{
				ID: id.New(id.Lesson), Course: cmp.Or(t.brief.Title, storable(o.Title)), Title: storable(l.Title), Language: language, Parts: toc.parts(l.Sections),
			})
		}
		if len(module.lessons) > 0 {
			out = append(out, module)
		}
	}
	return out
}

func (o outlined) ids() []string {
	var ids []string
	for _, m := range o {
		for _, l := range m.lessons {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

// steps are those of all lessons: three in a row for each, the rows side by side.
func (o outlined) steps() []job.NewStep {
	var steps []job.NewStep
	for _, m := range o {
		for _, l := range m.lessons {
			needs := []string(nil)
			for _, s := range []struct {
				kind  string
				units int64
			}{{writeStep, writeUnits}, {examineStep, examineUnits}, {reviewStep, reviewUnits}} {
				name := s.kind + "/" + l.ID
				steps = append(steps, job.NewStep{Name: name, Kind: s.kind, Subject: l.ID, Needs: needs, Units: s.units, Input: l})
				needs = []string{name}
			}
		}
	}
	return steps
}

// writeOutline adds the modules and lessons behind those that the course has.
func (t *task) writeOutline(ctx context.Context, tx pgx.Tx, o outlineAnswer, out outlined, language string) error {
	_, err := course.Update(ctx, tx, t.organization, t.course, nil, func(f *course.Fields) error {
		if t.brief.TitleFromSource && t.brief.Title == "" && strings.TrimSpace(o.Title) != "" {
			f.Title = cut(storable(o.Title), longestTitle-1)
		}
		if f.Summary == "" {
			f.Summary = cut(storable(o.Summary), 1000)
		}
		f.Language = language
		return nil
	})
	if err != nil {
		return err
	}
	for _, m := range out {
		module, err := course.CreateModule(ctx, tx, t.organization, t.course, course.ModuleFields{Title: m.title, Summary: m.summary})
		if err != nil {
			return err
		}
		for _, l := range m.lessons {
			if err := course.InsertLesson(ctx, tx, t.organization, module.ID, l.ID, course.LessonFields{Title: l.Title}); err != nil {
				return err
			}
		}
	}
	return nil
}

// storable takes out what the database cannot hold; models do give it at times.
func storable(s string) string {
	return strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(s, "�"), "\x00", ""))
}
