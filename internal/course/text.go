package course

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"lectern.dev/lectern/internal/fault"
)

// How much of everything there may be. Lengths of text are in characters (Unicode
// code points). They bound a request, a page and a film, not imagination.
const (
	MaxModules   = 50  // in a course
	MaxLessons   = 50  // in a module
	MaxSlides    = 40  // in a lesson
	MaxPoints    = 8   // on a slide
	MaxSentences = 60  // of narration per slide
	MaxQuestions = 30  // in a lesson
	MaxCitations = 500 // of an article
	MaxEvidence  = 20  // per claim
	MaxColumns   = 8   // of a table
	MaxRows      = 20  // of a table

	maxTitle       = 200
	maxSummary     = 2000
	maxAudience    = 500
	maxLanguage    = 35
	maxObjectives  = 12
	maxObjective   = 300
	maxArticle     = 100_000
	maxPoint       = 300
	maxSentence    = 1000
	maxCode        = 4000
	maxCell        = 300
	maxQuote       = 1000
	maxAttribution = 200
	maxPrompt      = 600
	maxChoice      = 300
	maxExplanation = 1200
	maxReference   = 2000 // the words quoted in a piece of evidence
)

// findings collects what is wrong with an input, each under its path.
type findings []fault.Field

func (f *findings) add(location, format string, args ...any) {
	*f = append(*f, fault.Field{Location: "body." + location, Message: fmt.Sprintf(format, args...)})
}

// text checks one text. Everything that can be stored is taken as it is: no
// trimming, no normalization, so that what was written is what is shown.
func (f *findings) text(location, s string, least, most int) {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s):
		f.add(location, "is not valid UTF-8 text")
	case strings.ContainsRune(s, 0):
		f.add(location, "holds the character U+0000, which cannot be stored")
	case n > most:
		f.add(location, "has %d characters; at most %d are taken", n, most)
	case n < least || least > 0 && strings.TrimSpace(s) == "":
		f.add(location, "must not be empty")
	}
}

// count checks how many of something there are.
func (f *findings) count(location string, n, most int) {
	if n > most {
		f.add(location, "has %d entries; at most %d are taken", n, most)
	}
}

// err gives the findings as one error, or nil.
func (f findings) err() error {
	if len(f) == 0 {
		return nil
	}
	e := fault.New(fault.Invalid, "The %s %s.", strings.TrimPrefix(f[0].Location, "body."), f[0].Message)
	if len(f) > 1 {
		e.Message = fmt.Sprintf("%d fields are wrong; see errors.", len(f))
	}
	e.Fields = f
	return e
}

// languageTag is the shape of a BCP 47 tag such as "en", "pt-BR" or "zh-Hans-CN".
var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

func (f *findings) language(location, s string) {
	if len(s) > maxLanguage || !languageTag.MatchString(s) {
		f.add(location, "is not a language tag such as en or pt-BR")
	}
}
