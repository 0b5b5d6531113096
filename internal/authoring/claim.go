package authoring

import (
	"fmt"
	"strings"

	"lectern.dev/lectern/internal/course"
)

// claim is anything in a lesson that must be borne out by the sources.
type claim struct {
	kind     string // "point", "narration", "question", "code", "table" or "quote"
	slide    *course.Slide
	text     *string // nil where the reviewer may not change it
	shown    string  // what the reviewer reads
	evidence *[]course.Evidence
	check    func() string // says what is wrong
	dropped  bool
}

// claims lists what a lesson claims. The pointers reach into slides and questions.
func (c *checker) claims(slides []course.Slide, questions []course.Question) []*claim {
	var all []*claim
	for i := range slides {
		s := &slides[i]
		for j := range s.Points {
			p := &s.Points[j]
			all = append(all, &claim{kind: "point", slide: s, text: &p.Text, shown: p.Text, evidence: &p.Evidence, check: func() string {
				return c.wrongWith(p.Text, p.Evidence)
			}})
		}
		for j := range s.Narration {
			n := &s.Narration[j]
			all = append(all, &claim{kind: "narration", slide: s, text: &n.Text, shown: n.Text, evidence: &n.Evidence, check: func() string {
				if wrong := wrongWithSpeech(n.Text); wrong != "" {
					return wrong
				}
				if len(n.Evidence) == 0 && !c.saysSomething(n.Text) {
					return ""
				}
				return c.wrongWith(n.Text, n.Evidence)
			}})
		}
		if special := c.special(s); special != nil {
			all = append(all, special)
		}
	}
	for i := range questions {
		q := &questions[i]
		all = append(all, &claim{kind: "question", shown: asked(*q), evidence: &q.Evidence, check: func() string {
			return c.wrongWith(q.Choices[q.Key], q.Evidence)
		}})
	}
	return all
}

// special is the claim of a slide's code, table or quotation: that it stands so in a passage.
func (c *checker) special(s *course.Slide) *claim {
	verbatim := func(text string, evidence *[]course.Evidence) func() string {
		return func() string {
			if !c.verbatim(text, *evidence) {
				return "it does not stand so in the passage that it cites"
			}
			return ""
		}
	}
	switch s.Kind {
	case course.CodeSlide:
		return &claim{kind: "code", slide: s, shown: s.Code.Text, evidence: &s.Code.Evidence, check: verbatim(s.Code.Text, &s.Code.Evidence)}
	case course.TableSlide:
		var cells strings.Builder
		cells.WriteString(strings.Join(s.Table.Header, "\n"))
		for _, r := range s.Table.Rows {
			cells.WriteString("\n" + strings.Join(r, "\n"))
		}
		return &claim{kind: "table", slide: s, shown: cells.String(), evidence: &s.Table.Evidence, check: verbatim(cells.String(), &s.Table.Evidence)}
	case course.QuoteSlide:
		return &claim{kind: "quote", slide: s, shown: s.Quote.Text, evidence: &s.Quote.Evidence, check: verbatim(s.Quote.Text, &s.Quote.Evidence)}
	}
	return nil
}

// asked is a question as the reviewer reads it.
func asked(q course.Question) string {
	return fmt.Sprintf("%s — right: %s — because: %s", q.Prompt, q.Choices[q.Key], q.Explanation)
}

// dropRepeated drops points, questions and sentences that say word for word what one
// before them said.
func dropRepeated(claims []*claim) {
	seen := map[string]bool{}
	for _, c := range claims {
		key := c.kind + ":" + squeeze(strings.ToLower(c.shown))
		c.dropped = seen[key]
		seen[key] = true
	}
}
