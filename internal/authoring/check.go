package authoring

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/source"
)

// checker holds claims against the words that they rest on. It cannot tell whether a
// claim follows from a passage; it can tell when it does not: when the passage is
// not there, the quote does not stand in it, or numbers, names and most of the words
// of the claim are nowhere in it.
type checker struct {
	passages map[string]source.Passage
	titles   string // what may be spoken of without evidence: lesson, slide, headings
	language string
	sourced  bool // whether the lesson has passages at all
}

// wrongWith says what is wrong with a claim; empty when nothing is.
func (c *checker) wrongWith(text string, evidence []course.Evidence) string {
	if !c.sourced {
		return ""
	}
	var said strings.Builder
	said.WriteString(c.titles + "\n")
	found := 0
	for _, e := range evidence {
		p, ok := c.passages[e.Passage]
		if !ok || !stands(e, p) {
			continue
		}
		found++
		said.WriteString(p.Text + "\n" + strings.Join(p.Heading, "\n") + "\n")
	}
	if found == 0 {
		return "it cites nothing that is there"
	}
	words := asWords(said.String())
	for _, n := range numbers(text) {
		if !words[n] {
			return "the number " + n + " does not stand in what it cites"
		}
	}
	for _, n := range c.names(text) {
		if !words[stemmed(n)] {
			return "the name " + n + " does not stand in what it cites"
		}
	}
	if total, missing := missingWords(text, words); total >= 3 && missing*3 > total*2 {
		return "what it cites speaks of something else"
	}
	return ""
}

// stands tells whether the quote of an evidence stands at its offsets in the passage.
func stands(e course.Evidence, p source.Passage) bool {
	from, to := e.Start-p.Start, e.End-p.Start
	runes := []rune(p.Text)
	if from < 0 || to < from || to > len(runes) {
		return false
	}
	return e.Quote == "" || string(runes[from:to]) == e.Quote
}

// saysSomething tells whether a sentence without evidence makes a claim: more than a
// few words that lead on to what the titles name.
func (c *checker) saysSomething(text string) bool {
	known := asWords(c.titles)
	for _, n := range append(numbers(text), c.names(text)...) {
		if !known[stemmed(n)] {
			return true
		}
	}
	total, missing := missingWords(text, known)
	return total > 0 && missing > 4 || utf8.RuneCountInString(text) > 120
}

var number = regexp.MustCompile(`\d+(?:[.,]\d+)*`)

// numbers gives the numbers of a text without their separators.
func numbers(text string) []string {
	var out []string
	for _, n := range number.FindAllString(text, -1) {
		out = append(out, plain(n))
	}
	return out
}

func plain(n string) string { return strings.NewReplacer(".", "", ",", "").Replace(n) }

// names gives the words that a text writes with a capital inside a sentence. In German
// every noun has one, so only those in capitals throughout count there.
func (c *checker) names(text string) []string {
	var out []string
	opens := true
	for _, w := range wordsOf(text) {
		as := text[w.from:w.to]
		first, _ := utf8.DecodeRuneInString(as)
		capitals := strings.ToUpper(as) == as && utf8.RuneCountInString(as) > 1
		if unicode.IsUpper(first) && (capitals || !opens && !strings.HasPrefix(c.language, "de")) {
			out = append(out, as)
		}
		rest := strings.TrimLeft(text[w.to:], "\"”’»)")
		opens = strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, ":") || strings.HasPrefix(rest, "?") || strings.HasPrefix(rest, "!")
	}
	return out
}

// missingWords counts the words of a text that carry meaning, and those of them that
// are not among the given ones.
func missingWords(text string, words map[string]bool) (total, missing int) {
	for _, w := range wordsOf(text) {
		if utf8.RuneCountInString(w.text) < 5 {
			continue
		}
		total++
		if !words[stemmed(w.text)] {
			missing++
		}
	}
	return total, missing
}

// asWords gives the words of a text as they are compared: the stems of words, and
// numbers without separators.
func asWords(text string) map[string]bool {
	out := map[string]bool{}
	for _, w := range wordsOf(text) {
		out[stemmed(w.text)] = true
	}
	for _, n := range numbers(text) {
		out[n] = true
	}
	return out
}

// stemmed cuts a word to its beginning, so that its forms compare equal.
func stemmed(w string) string {
	r := []rune(strings.ToLower(w))
	return string(r[:min(len(r), 5)])
}

var unspeakable = regexp.MustCompile(`https?://|\bwww\.|[{}<>|\\^~` + "`" + `]|(^|[\s"'“‘”„«])/\w+/|\w\(\)|(?i)\b(see|siehe|voir|véase|ver|vedi) (above|below|oben|unten|ci-dessous|abajo|sopra|sotto)\b|(?i)\b(figure|fig\.|abbildung|tabelle|table) \d`)

// wrongWithSpeech says what keeps a sentence from being read aloud.
func wrongWithSpeech(text string) string {
	if m := unspeakable.FindString(text); m != "" {
		return "“" + strings.TrimSpace(m) + "” cannot be read aloud"
	}
	return ""
}

// verbatim tells whether all lines of a text stand in one of the passages cited.
func (c *checker) verbatim(text string, evidence []course.Evidence) bool {
	if !c.sourced {
		return true
	}
	return slices.ContainsFunc(evidence, func(e course.Evidence) bool {
		p, ok := c.passages[e.Passage]
		if !ok {
			return false
		}
		there := squeeze(p.Text)
		for line := range strings.Lines(text) {
			if !strings.Contains(there, squeeze(line)) {
				return false
			}
		}
		return true
	})
}

// squeeze takes out all white space: the layout of code and tables varies.
func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }
