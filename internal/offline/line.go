package offline

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"lectern.dev/lectern/internal/llm"
)

// line is a sentence, or an item of a list, that an answer may be made of.
type line struct {
	passage int
	order   int // place in the whole text
	first   bool
	item    bool   // of a list
	text    string // on one line, without marks
	terms   []string
	alone   bool // needs no sentence before it
	aside   bool // speaks of the document
	covers  float64
	score   float64
}

// inHeading is how much a word of the question counts that stands in a heading only.
const inHeading = 0.4

// The length of a sentence in an answer, in words.
const (
	shortestLine = 4
	longestLine  = 60
)

// read cuts the passages into lines and weighs the words of the question.
func (t *tutor) read() {
	order := 0
	for i, p := range t.passages {
		if p.Kind == "code" || p.Kind == "table" {
			continue
		}
		first := true
		for _, part := range t.parts(p) {
			order++
			l := &line{passage: i, order: order, first: first, item: part.item, text: part.text, terms: t.terms(part.text)}
			first = false
			n := countWords(l.text)
			switch {
			case n < shortestLine && !l.item, n < 2, n > longestLine, !balanced(l.text), strings.HasPrefix(l.text, "#"), strings.HasPrefix(l.text, "|"):
				continue
			case !l.item && (!opensLikeSentence(l.text) || !strings.ContainsAny(lastMark(l.text), ".!:。！…")):
				continue
			}
			l.alone = !t.pointsElsewhere(l.text)
			l.aside = t.isAside(l.text)
			t.lines = append(t.lines, l)
		}
	}
	t.wanted = t.askedFor()
	t.weight = map[string]float64{}
	for _, w := range t.wanted {
		in := 0.5
		for _, l := range t.lines {
			if has(l.terms, w) {
				in++
			}
		}
		t.weight[w] = math.Log(1 + float64(len(t.lines)+1)/in)
	}
	for _, l := range t.lines {
		t.judge(l)
	}
}

// part is a sentence of a passage, or an item of a list.
type part struct {
	text string
	item bool
}

var bullet = regexp.MustCompile(`^\s*([-*+•▪◦‣·]|\d{1,2}[.)])\s+`)

// parts cuts a passage into its sentences; items of lists stay whole.
func (t *tutor) parts(p llm.Passage) []part {
	var out []part
	add := func(prose string) {
		for _, raw := range t.split(prose, p.Kind == "list") {
			if text := strings.TrimSpace(collapse(raw)); text != "" {
				out = append(out, part{text, false})
			}
		}
	}
	prose := ""
	for text := range strings.Lines(p.Text) {
		if mark := bullet.FindString(text); mark != "" && p.Kind == "list" {
			add(prose)
			prose = ""
			out = append(out, part{flat(text[len(mark):]), true})
			continue
		}
		prose += text
	}
	add(prose)
	return out
}

// sends are first words of sentences that send a reader elsewhere.
var sends = words("see refer siehe vgl voir cf véase vea vedi ver veja")

// isAside tells whether a sentence speaks of the document, and not of its subject.
func (t *tutor) isAside(text string) bool {
	said := strings.ToLower(text)
	if first, _, _ := strings.Cut(said, " "); sends[first] {
		return true
	}
	return slices.ContainsFunc(t.referrals, func(r string) bool { return strings.Contains(said, r) }) ||
		slices.ContainsFunc(tokenize(text), func(w string) bool { return t.chatter[w] })
}

func lastMark(text string) string {
	_, n := utf8.DecodeLastRuneInString(strings.TrimRight(text, "\"”»’)"))
	trimmed := strings.TrimRight(text, "\"”»’)")
	return trimmed[len(trimmed)-n:]
}

// askedFor gives the terms of the question that say what it is about.
func (t *tutor) askedFor() []string {
	var out []string
	for _, w := range tokenize(t.question) {
		if t.stop[w] || t.asking[w] || t.say.stop[w] || t.say.asking[w] || t.stop[unelided(w)] || utf8.RuneCountInString(w) < 2 {
			continue
		}
		if w = stem(w); !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// has tells whether a term, or another form of it, is among others, also as a part of
// a compound such as "apt-pinning".
func has(terms []string, w string) bool {
	return slices.ContainsFunc(terms, func(x string) bool {
		if sameWord(x, w) {
			return true
		}
		for part := range strings.SplitSeq(x, "-") {
			if part != x && sameWord(part, w) {
				return true
			}
		}
		return false
	})
}

// sameWord tells whether two words are forms of one, roughly: they begin alike.
func sameWord(a, b string) bool {
	if a == b {
		return true
	}
	a, b = strings.ReplaceAll(a, "-", ""), strings.ReplaceAll(b, "-", "")
	if a == b {
		return true
	}
	same := 0
	for same < len(a) && same < len(b) && a[same] == b[same] {
		same++
	}
	return same >= 5 && len(a)-same <= 4 && len(b)-same <= 4
}

// judge gives a line its score: how much of the question it covers, with what stands
// in its headings counting less, and a premium for saying what the thing is.
func (t *tutor) judge(l *line) {
	p := t.passages[l.passage]
	heading := t.terms(strings.Join(headingPath(p), " "))
	total, found := 0.0, 0.0
	for _, w := range t.wanted {
		total += t.weight[w]
		switch {
		case has(l.terms, w):
			found += t.weight[w]
		case has(heading, w):
			found += inHeading * t.weight[w]
		}
	}
	if total == 0 {
		return
	}
	l.covers = found / total
	l.score = l.covers
	if l.covers == 0 {
		return
	}
	if d, ok := t.definition(l.text); ok && len(t.wanted) <= 3 && slices.ContainsFunc(t.wanted, func(w string) bool { return has(t.terms(d.term), w) }) {
		l.score += 0.45
	}
	if ws := t.terms(l.text); len(ws) > 0 && slices.ContainsFunc(t.wanted, func(w string) bool { return has(ws[:min(2, len(ws))], w) }) {
		l.score += 0.15
	}
	if l.first && len(t.wanted) <= 3 && slices.ContainsFunc(t.wanted, func(w string) bool { return has(t.terms(lastHeading(p)), w) }) {
		l.score += 0.4 // a section begins with what the thing is
	}
	if n := countWords(l.text); n > 36 {
		l.score -= 0.15
	}
	switch {
	case l.aside:
		l.score -= 0.5
	case !l.alone:
		l.score -= 0.2
	}
	if strings.HasSuffix(l.text, "?") {
		l.score -= 0.5
	}
	if l.item {
		l.score -= 0.1
	}
	if l.first {
		l.score += 0.05
	}
	l.score += 0.1 * (1 - float64(l.passage)/float64(len(t.passages)))
}
