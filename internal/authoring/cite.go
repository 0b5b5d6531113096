package authoring

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/source"
)

const (
	headingDivider = " > "
	longestQuote   = 1500 // characters of the words kept in an evidence
	enoughOfQuote  = 0.8  // share of a quote's words that must stand in a row, nearly, in the passage
)

// shown is what a model gets to see: passages under short ids.
type shown struct {
	passages []source.Passage
	names    map[string]string // source id → name
}

func shortID(i int) string { return "p" + strconv.Itoa(i+1) }

// forModel gives the passages as the port wants them.
func (s shown) forModel() []llm.Passage {
	out := make([]llm.Passage, len(s.passages))
	for i, p := range s.passages {
		out[i] = llm.Passage{
			ID: shortID(i), Source: s.names[p.Source], Heading: strings.Join(p.Heading, headingDivider),
			Page: p.Page, Kind: string(p.Kind), CodeLanguage: p.CodeLanguage, Text: p.Text,
		}
	}
	return out
}

func (s shown) find(id string) (source.Passage, bool) {
	for i, p := range s.passages {
		if shortID(i) == id {
			return p, true
		}
	}
	return source.Passage{}, false
}

// resolve turns citations into evidence. What cannot be found is left out: a claim
// that loses all of its citations so is for the reviewer.
func (s shown) resolve(cites []cite) []course.Evidence {
	out := []course.Evidence{}
	for _, c := range cites {
		p, ok := s.find(strings.Trim(c.Passage, "[^] "))
		if !ok {
			continue
		}
		e, ok := evidence(p, c.Quote)
		if ok && !slices.Contains(out, e) && len(out) < course.MaxEvidence {
			out = append(out, e)
		}
	}
	return out
}

// evidence points to the words of a passage that a quote means; without a quote, to
// the whole passage.
func evidence(p source.Passage, quote string) (course.Evidence, bool) {
	e := course.Evidence{
		Passage: p.ID, Source: p.Source, Page: p.Page, Heading: cut(strings.Join(p.Heading, headingDivider), 1000),
		Start: p.Start, End: p.End,
	}
	if strings.TrimSpace(quote) == "" {
		return e, true
	}
	from, to, ok := locate(p.Text, quote)
	if !ok {
		return course.Evidence{}, false
	}
	if utf8.RuneCountInString(p.Text[from:to]) > longestQuote {
		to = from + len(string([]rune(p.Text[from:to])[:longestQuote]))
	}
	e.Quote = p.Text[from:to]
	e.Start = p.Start + utf8.RuneCountInString(p.Text[:from])
	e.End = e.Start + utf8.RuneCountInString(e.Quote)
	return e, true
}

// locate finds the stretch of text that a quote means, as byte offsets. Models
// change white space, marks and now and then a word when they copy; the stretch is
// found by its words, and is always the text's own.
func locate(text, quote string) (from, to int, ok bool) {
	if i := strings.Index(text, quote); i >= 0 {
		return i, i + len(quote), true
	}
	where, what := wordsOf(text), wordsOf(quote)
	if len(what) == 0 || len(where) == 0 {
		return 0, 0, false
	}
	wanted := map[string]int{}
	for _, w := range what {
		wanted[w.text]++
	}
	// Slide a window of the quote's length over the text and count the words in common.
	size := min(len(what), len(where))
	have, common, best, at := map[string]int{}, 0, 0, 0
	for i, w := range where {
		have[w.text]++
		if have[w.text] <= wanted[w.text] {
			common++
		}
		if i >= size {
			old := where[i-size].text
			if have[old] <= wanted[old] {
				common--
			}
			have[old]--
		}
		if common > best {
			best, at = common, max(0, i-size+1)
		}
	}
	if float64(best) < enoughOfQuote*float64(len(what)) {
		return 0, 0, false
	}
	last := min(at+size, len(where)) - 1
	for at < last && wanted[where[at].text] == 0 {
		at++
	}
	for last > at && wanted[where[last].text] == 0 {
		last--
	}
	return where[at].from, where[last].to, true
}

// word is a word of a text with its place, in bytes.
type word struct {
	text     string // in lower case
	from, to int
}

func wordsOf(s string) []word {
	var out []word
	start := -1
	end := func(i int) {
		if start >= 0 {
			out = append(out, word{strings.ToLower(s[start:i]), start, i})
			start = -1
		}
	}
	for i, r := range s {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai): // no spaces between words
			end(i)
			start = i
			end(i + utf8.RuneLen(r))
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			if start < 0 {
				start = i
			}
		default:
			end(i)
		}
	}
	end(len(s))
	return out
}
