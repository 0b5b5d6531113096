package course

import (
	"cmp"
	"fmt"
	"slices"
)

// Fields are what an author writes about a course.
type Fields struct {
	Title    string `json:"title" minLength:"1" maxLength:"200" example:"Postgres for the curious"`
	Summary  string `json:"summary,omitempty" maxLength:"2000" doc:"What the course is about, in a few sentences"`
	Audience string `json:"audience,omitempty" maxLength:"500" example:"developers who know some SQL"`
	Language string `json:"language,omitempty" maxLength:"35" doc:"BCP 47 tag; en when absent" example:"en"`
}

func (c *Fields) check() error {
	c.Language = cmp.Or(c.Language, "en")
	var f findings
	f.text("title", c.Title, 1, maxTitle)
	f.text("summary", c.Summary, 0, maxSummary)
	f.text("audience", c.Audience, 0, maxAudience)
	f.language("language", c.Language)
	return f.err()
}

// ModuleFields are what an author writes about a module.
type ModuleFields struct {
	Title   string `json:"title" minLength:"1" maxLength:"200" example:"Indexes"`
	Summary string `json:"summary,omitempty" maxLength:"2000"`
}

func (m *ModuleFields) check() error {
	var f findings
	f.text("title", m.Title, 1, maxTitle)
	f.text("summary", m.Summary, 0, maxSummary)
	return f.err()
}

// LessonFields are what an author writes about a lesson, beside its slides and questions.
type LessonFields struct {
	Title      string     `json:"title" minLength:"1" maxLength:"200" example:"How a B-tree finds a row"`
	Objectives []string   `json:"objectives,omitempty" maxItems:"12" doc:"What one can do after the lesson"`
	Article    string     `json:"article,omitempty" maxLength:"100000" doc:"Markdown; citations are written [^p1], [^p2] …"`
	Citations  []Evidence `json:"citations,omitempty" maxItems:"500" doc:"What [^p1], [^p2] … point to, in order"`
}

func (l *LessonFields) check() error {
	l.Objectives = filled(l.Objectives)
	l.Citations = filled(l.Citations)
	var f findings
	f.text("title", l.Title, 1, maxTitle)
	f.count("objectives", len(l.Objectives), maxObjectives)
	for i, o := range l.Objectives {
		f.text(fmt.Sprintf("objectives[%d]", i), o, 1, maxObjective)
	}
	f.text("article", l.Article, 0, maxArticle)
	f.evidence("citations", l.Citations, MaxCitations)
	return f.err()
}

func (l *LessonFields) equal(o LessonFields) bool {
	return l.Title == o.Title && l.Article == o.Article &&
		slices.Equal(l.Objectives, o.Objectives) && slices.Equal(l.Citations, o.Citations)
}

func (f *findings) evidence(location string, evidence []Evidence, most int) {
	f.count(location, len(evidence), most)
	for i, e := range evidence {
		at := fmt.Sprintf("%s[%d]", location, i)
		f.text(at+".passage", e.Passage, 1, 64)
		f.text(at+".source", e.Source, 1, 64)
		f.text(at+".heading", e.Heading, 0, maxReference)
		f.text(at+".quote", e.Quote, 0, maxReference)
		if e.Start < 0 || e.End < e.Start || e.Page < 0 {
			f.add(at, "must have 0 ≤ start ≤ end and page ≥ 0")
		}
	}
}

// filled gives an empty list for none: JSON clients get [], never null.
func filled[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
