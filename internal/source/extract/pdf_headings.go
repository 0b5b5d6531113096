package extract

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// style is how a row looks.
type style struct {
	size int
	bold bool
}

func (r row) style() style { return style{int(math.Round(r.size)), r.bold} }

// headings tells which rows are headings, how high, and how many rows each fills.
type headings struct {
	body    float64 // size of the running text
	found   map[*row]found
	styles  map[style]int // level
	minor   map[style]int // level, of what looks like a heading but is never named by the outline
	bold    bool          // whether a bold line of its own is a heading
	listed  bool          // whether the outline names the headings
	largest float64       // size of the headings that it names
}

type found struct {
	level int
	rows  int
}

var (
	numbering  = regexp.MustCompile(`^(?:(?:chapter|part|appendix|section|kapitel|teil|anhang|chapitre|partie|annexe|capítulo|capitolo|hoofdstuk)?(?:\d+|[ivxlc]+|[a-z])?)$`)
	caption    = regexp.MustCompile(`^(?i:figure|table|example|listing|abbildung|tabelle|beispiel|tableau|exemple|figura|tabla|tabella|ejemplo|esempio)\s+\d`)
	partNumber = regexp.MustCompile(`(?i)^(?:chapter|part|appendix|kapitel|teil|anhang|chapitre|partie|annexe|capítulo|capitolo|hoofdstuk)\s+(?:\d+|[ivxlc]+|[a-z])\.?$`)
)

// findHeadings uses the outline where there is one: it says what is a heading, and
// thereby how headings look. Otherwise what is larger than the running text is one.
func (d *pdf) findHeadings() *headings {
	h := &headings{found: map[*row]found{}, styles: map[style]int{}, minor: map[style]int{}}
	h.body = d.bodySize()
	h.listed = h.outline(d) >= 3
	if h.listed {
		h.extend(d)
	} else {
		h.rank(d)
	}
	return h
}

// title gives the largest text of the first page that has any.
func (d *pdf) title() string {
	for _, p := range d.pages {
		var lines []string
		largest := 0.0
		for _, r := range p.rows {
			if math.Round(r.size) > largest {
				largest, lines = math.Round(r.size), nil
			}
			if math.Round(r.size) == largest && len(lines) < 3 {
				lines = append(lines, r.text())
			}
		}
		if len(lines) > 0 {
			return strings.Join(lines, " ")
		}
	}
	return ""
}

// bodySize is the size that most characters have, listings aside.
func (d *pdf) bodySize() float64 {
	sizes := map[float64]int{}
	for _, p := range d.pages {
		for _, r := range p.rows {
			if !r.mono {
				sizes[math.Round(r.size)] += utf8.RuneCountInString(r.text())
			}
		}
	}
	body, most := 12.0, 0
	for size, n := range sizes {
		if n > most || n == most && size < body {
			body, most = size, n
		}
	}
	return body
}

// outline finds the bookmarks' titles on their pages and learns the styles.
func (h *headings) outline(d *pdf) (matched int) {
	pages := map[int]*page{}
	for _, p := range d.pages {
		pages[p.number] = p
	}
	votes := map[style]map[int]int{}
	for _, e := range d.outline {
		title := letters(e.title)
		if title == "" {
			continue
		}
		r, rows := h.locate(pages[e.page], title)
		if r == nil {
			continue
		}
		matched++
		h.found[r] = found{e.level, rows}
		h.largest = max(h.largest, r.size)
		if votes[r.style()] == nil {
			votes[r.style()] = map[int]int{}
		}
		votes[r.style()][e.level]++
	}
	for s, levels := range votes {
		best, most := 0, 0
		for level, n := range levels {
			if n > most || n == most && level < best {
				best, most = level, n
			}
		}
		if float64(s.size) > h.body*1.05 || s.bold && most >= 3 {
			h.styles[s] = best
		}
	}
	return matched
}

// extend learns the headings below those that the outline names: larger than the
// running text, smaller than a heading that is known. Pages before the first known
// one do not count, since titles and authors are set large.
func (h *headings) extend(d *pdf) {
	characters := map[style]int{}
	total, begun := 0, false
	for _, p := range d.pages {
		for i := range p.rows {
			r := &p.rows[i]
			_, known := h.found[r]
			begun = begun || known
			n := utf8.RuneCountInString(r.text())
			total += n
			if begun && h.large(*r) && len(r.cells) == 1 && r.size < h.largest {
				characters[r.style()] += n
			}
		}
	}
	for s, n := range characters {
		if _, known := h.styles[s]; known || n*10 > total {
			continue
		}
		h.minor[s] = 1
		for above, level := range h.styles {
			if above.size > s.size {
				h.minor[s] = max(h.minor[s], level+1)
			}
		}
	}
}

// locate finds the row where a title begins; it may fill up to three rows and
// have its number before it.
func (h *headings) locate(p *page, title string) (*row, int) {
	if p == nil {
		return nil, 0
	}
	for i := range p.rows {
		if _, taken := h.found[&p.rows[i]]; taken || p.rows[i].size < h.body*0.9 {
			continue
		}
		text := ""
		for n := 1; n <= 3 && i+n <= len(p.rows); n++ {
			text += letters(p.rows[i+n-1].text())
			if same(text, title) {
				return &p.rows[i], n
			}
		}
	}
	return nil, 0
}

// same compares two titles of which one may be numbered.
func same(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	prefix, ok := strings.CutSuffix(a, b)
	return ok && numbering.MatchString(prefix)
}

// rank orders the sizes above the running text: the largest is level 1.
func (h *headings) rank(d *pdf) {
	count := map[style]int{}
	total, bold := 0, 0
	for _, p := range d.pages {
		for _, r := range p.rows {
			n := utf8.RuneCountInString(r.text())
			total += n
			if r.bold {
				bold += n
			}
			if h.large(r) {
				count[style{int(math.Round(r.size)), false}] += n
			}
		}
	}
	var sizes []int
	for s, n := range count {
		if n*5 < total {
			sizes = append(sizes, s.size)
		}
	}
	slices.SortFunc(sizes, func(a, b int) int { return cmp.Compare(b, a) })
	for i, size := range sizes {
		level := min(i+1, 5)
		h.styles[style{size, false}], h.styles[style{size, true}] = level, level
	}
	h.bold = bold*5 < total
}

func (h *headings) large(r row) bool {
	text := r.text()
	return !r.mono && r.size >= h.body*1.1 && len(text) <= 160 && strings.ContainsFunc(text, unicode.IsLetter)
}

// at tells whether a row begins a heading. The row before it is nil at the top of a
// page, the one after it at its end.
func (h *headings) at(r, before, after *row) (f found, ok bool) {
	if f, ok = h.found[r]; ok {
		return f, true
	}
	text := r.text()
	if len(r.cells) > 1 && !mark(r.cells[0].text) && !dotted.MatchString(r.cells[0].text) || admonition.MatchString(text) || caption.MatchString(text) {
		return found{}, false
	}
	level, known := h.styles[r.style()]
	switch {
	case known && h.large(*r), known && h.listed && r.bold && h.standsOut(r, before, after):
		return found{level, 1}, true
	case h.listed && h.large(*r) && r.size > h.largest+1:
		return found{1, 1}, true // a preface that the outline leaves out
	}
	if level, known := h.minor[r.style()]; known && h.large(*r) && startsTitle(text) {
		return found{level, 1}, true
	}
	if h.bold && r.bold && len(r.cells) == 1 && len(text) <= 80 && h.standsOut(r, before, after) &&
		!strings.ContainsAny(text[len(text)-1:], ".,;:") && startsTitle(text) {
		return found{min(len(h.styles)/2+1, 6), 1}, true
	}
	return found{}, false
}

// standsOut tells whether a row that is no larger than the running text looks like
// a heading by its place: at the left, space above, no more of its kind below.
func (h *headings) standsOut(r, before, after *row) bool {
	above := before == nil || r.top < before.top || r.top-before.bottom > 0.6*r.height()
	return above && (after == nil || !after.bold) && r.left < r.column.left+2*r.size
}

func startsTitle(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsUpper(r) || unicode.IsDigit(r) || unicode.Is(unicode.Lo, r)
}
