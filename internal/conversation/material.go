package conversation

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/source"
)

// How much a model is shown of a course. It bounds what a turn can cost.
const (
	mostPassages   = 12
	passageBytes   = 4_000  // of one
	materialBytes  = 24_000 // of all together
	outlineBytes   = 3_000
	chunkBytes     = 1_500 // of a lesson's article in one piece, about
	headingDivider = " > "
)

// quoted is a piece of the course under the short id by which a model cites it.
type quoted struct {
	source.Passage        // of a lesson, the offsets count in its article, or in its narration when it has none
	name           string // of the source, or the lesson's title
	lesson         string // id of the lesson that says it; "": a source does
	shown          string // Text, with blanks for an article's own footnotes
}

// material is what an answer may rest on.
type material struct {
	course  course.Course
	lesson  course.Lesson
	quoted  []quoted
	outline string
}

func shortID(i int) string { return "p" + strconv.Itoa(i+1) }

// add takes pieces up as long as there is room.
func (m *material) add(pieces ...quoted) {
	for _, q := range pieces {
		if q.shown == "" {
			q.shown = q.Text
		}
		q.shown = firstBytes(q.shown, passageBytes)
		if len(m.quoted) == mostPassages || m.size()+len(q.shown) > materialBytes || m.index(q) >= 0 {
			continue
		}
		m.quoted = append(m.quoted, q)
	}
}

func (m *material) size() (n int) {
	for _, q := range m.quoted {
		n += len(q.shown)
	}
	return n
}

// index tells where a piece is already.
func (m *material) index(q quoted) int {
	return slices.IndexFunc(m.quoted, func(k quoted) bool {
		return k.ID == q.ID && k.lesson == q.lesson && k.Start == q.Start
	})
}

// forModel gives the pieces as the port wants them, the outline before them.
func (m *material) forModel() []llm.Passage {
	var out []llm.Passage
	if m.outline != "" {
		out = append(out, llm.Passage{ID: outlineID, Source: m.course.Title, Kind: outlineKind, Text: m.outline})
	}
	for i, q := range m.quoted {
		out = append(out, llm.Passage{
			ID: shortID(i), Source: q.name, Heading: strings.Join(q.Heading, headingDivider),
			Page: q.Page, Kind: string(q.Kind), CodeLanguage: q.CodeLanguage, Text: q.shown,
		})
	}
	return out
}

// The outline is no evidence of anything, so its id is none that can be cited.
const outlineID, outlineKind = "outline", "outline"

// resolve says where a claim with a marker can be checked. It is not ok when the
// marker names nothing that the model was given.
func (m *material) resolve(id, claim string) (Citation, bool) {
	i, err := strconv.Atoi(strings.TrimPrefix(id, "p"))
	if err != nil || isNumber(id) || i < 1 || i > len(m.quoted) {
		return Citation{}, false
	}
	q := m.quoted[i-1]
	lines := q.Kind == "list" || q.Kind == "code" || q.Kind == "table"
	at := quoteFor(q.shown, claim, lines)
	quote := q.Text[at.from:at.to]
	start := q.Start + utf8.RuneCountInString(q.Text[:at.from])
	c := Citation{Name: q.name, Lesson: q.lesson}
	c.Evidence = course.Evidence{
		Passage: q.ID, Source: q.Source, Page: q.Page, Heading: firstBytes(strings.Join(q.Heading, headingDivider), 1000),
		Start: start, End: start + utf8.RuneCountInString(quote), Quote: quote,
	}
	return c, true
}

// cited gives an answer as its model wrote it: with the ids of passages for the
// numbers of its citations. A number whose passage is not there any more goes.
func (m *material) cited(content string, citations []Citation) string {
	return numbers().ReplaceAllStringFunc(content, func(mark string) string {
		lead := ""
		if mark[0] == ' ' {
			lead = " "
		}
		n, _ := strconv.Atoi(strings.Trim(mark, " []"))
		if n < 1 || n > len(citations) {
			return mark
		}
		c := citations[n-1]
		for i, q := range m.quoted {
			if q.ID == c.Passage && q.lesson == c.Lesson && q.Start <= c.Start && c.End <= q.Start+utf8.RuneCountInString(q.Text) {
				return lead + "[" + shortID(i) + "]"
			}
		}
		return ""
	})
}

// footnote is how an article cites.
var footnote = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\[\^p\d{1,4}\]`) })

// chunks divides a lesson's article into pieces of some paragraphs under one heading.
// Its footnotes become blanks, so that every character keeps its place.
func chunks(lesson, title, article string) []quoted {
	var out []quoted
	var heading []string
	open, start, point := -1, 0, 0 // of the piece that is open: byte and code point offset; point: of the place
	end := 0
	closePiece := func() {
		if open >= 0 {
			text := article[open:end]
			shown := footnote().ReplaceAllStringFunc(text, func(mark string) string { return strings.Repeat(" ", len(mark)) })
			out = append(out, quoted{
				Passage: source.Passage{Kind: "prose", Heading: heading, Start: start, End: start + utf8.RuneCountInString(text), Text: text},
				name:    title, lesson: lesson, shown: shown,
			})
		}
		open = -1
	}
	at := 0
	for line := range strings.Lines(article) {
		trimmed := strings.TrimSpace(line)
		switch marks := len(trimmed) - len(strings.TrimLeft(trimmed, "#")); {
		case marks > 0 && marks <= 6 && strings.HasPrefix(trimmed[marks:], " "):
			closePiece()
			heading = []string{strings.TrimSpace(trimmed[marks:])}
		case trimmed == "" && open >= 0 && end-open > chunkBytes:
			closePiece()
		case trimmed != "":
			if open < 0 {
				open, start = at, point
			}
			end = at + len(strings.TrimRight(line, "\r\n"))
		}
		at += len(line)
		point += utf8.RuneCountInString(line)
	}
	closePiece()
	return out
}

// narration gives what a lesson without an article says.
func narration(lesson, title string, slides []course.Slide) []quoted {
	var out []quoted
	point := 0
	for _, s := range slides {
		var said []string
		for _, n := range s.Narration {
			said = append(said, n.Text)
		}
		text := strings.Join(said, " ")
		if text == "" {
			continue
		}
		n := utf8.RuneCountInString(text)
		out = append(out, quoted{
			Passage: source.Passage{Kind: "prose", Heading: []string{s.Title}, Start: point, End: point + n, Text: text},
			name:    title, lesson: lesson,
		})
		point += n + 1
	}
	return out
}

// about gives the pieces that have the most of a question's words, rare words before
// common ones: at most n, in their order. Nothing when none has any.
func about(pieces []quoted, question string, n int) []quoted {
	wanted := words(question)
	has := make([][]string, len(pieces))
	within := map[string]int{}
	for i, p := range pieces {
		there := words(p.name + " " + strings.Join(p.Heading, " ") + " " + p.shown + " " + p.Text)
		for _, w := range wanted {
			if _, found := slices.BinarySearch(there, w); found {
				has[i] = append(has[i], w)
				within[w]++
			}
		}
	}
	type ranked struct {
		index int
		score float64
	}
	var order []ranked
	for i := range pieces {
		score := 0.0
		for _, w := range has[i] {
			score += math.Log(float64(len(pieces)+1) / float64(within[w]))
		}
		if score > 0 {
			order = append(order, ranked{i, score})
		}
	}
	slices.SortStableFunc(order, func(a, b ranked) int { return cmp.Compare(b.score, a.score) })
	order = order[:min(n, len(order))]
	slices.SortFunc(order, func(a, b ranked) int { return a.index - b.index })
	out := make([]quoted, len(order))
	for i, o := range order {
		out[i] = pieces[o.index]
	}
	return out
}

// outlineOf lists what a course is made of.
func outlineOf(c course.Course, here string) string {
	var out strings.Builder
	out.WriteString("Course: " + c.Title + "\n")
	if c.Summary != "" {
		out.WriteString(c.Summary + "\n")
	}
	for _, m := range c.Modules {
		out.WriteString("Module: " + m.Title + "\n")
		for _, l := range m.Lessons {
			out.WriteString("- " + l.Title)
			if l.ID == here {
				out.WriteString(" (the learner is here)")
			}
			out.WriteString("\n")
		}
	}
	return firstBytes(strings.TrimSpace(out.String()), outlineBytes)
}

// firstBytes cuts a text at a character's end.
func firstBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
