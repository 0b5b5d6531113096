package extract

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// row is what stands on one base line of a column of text. Where the row has wide
// gaps, as in a table, it has several cells.
type row struct {
	top, left, right, bottom float64
	cells                    []rowCell
	size                     float64 // of the font that most characters are in
	bold                     bool    // all of it
	mono                     bool    // all of it
	column                   extent  // of text in which the row stands
}

// rowCell is a stretch of a row without a wide gap.
type rowCell struct {
	left, right float64
	text        string
}

// extent is a range from left to right.
type extent struct{ left, right float64 }

func (e extent) width() float64 { return e.right - e.left }

func (r row) height() float64 { return r.bottom - r.top }

func (r row) text() string {
	texts := make([]string, len(r.cells))
	for i, c := range r.cells {
		texts[i] = c.text
	}
	return strings.Join(texts, " ")
}

// lay orders the spans of a page into rows, in reading order.
func (p *page) lay(spans []span) {
	lines := baselines(spans)
	if gutter, ok := p.gutter(lines); ok {
		p.columns(spans, gutter)
		return
	}
	for _, l := range lines {
		p.rows = append(p.rows, newRow(l))
	}
	p.frame(p.rows)
}

// frame notes for rows that stand below one another how wide their column is.
func (p *page) frame(rows []row) {
	if len(rows) == 0 {
		return
	}
	column := extent{math.Inf(1), math.Inf(-1)}
	for _, r := range rows {
		column.left, column.right = min(column.left, r.left), max(column.right, r.right)
	}
	for i := range rows {
		rows[i].column = column
	}
}

// baselines groups spans that stand beside one another: those that share more
// than half of the lower one's height.
func baselines(spans []span) [][]span {
	slices.SortStableFunc(spans, func(a, b span) int { return cmp.Compare(a.top+a.bottom, b.top+b.bottom) })
	var lines [][]span
	var top, bottom float64
	for _, s := range spans {
		shared := min(bottom, s.bottom) - max(top, s.top)
		if n := len(lines); n > 0 && shared > 0.5*min(bottom-top, s.bottom-s.top) {
			lines[n-1] = append(lines[n-1], s)
			if s.bottom-s.top > bottom-top { // a superscript does not stretch the line
				top, bottom = s.top, s.bottom
			}
			continue
		}
		lines = append(lines, []span{s})
		top, bottom = s.top, s.bottom
	}
	for _, l := range lines {
		slices.SortStableFunc(l, func(a, b span) int { return cmp.Compare(a.left, b.left) })
	}
	return lines
}

// newRow joins the spans of a line to cells.
func newRow(spans []span) row {
	r := row{top: math.Inf(1), left: spans[0].left, bold: true, mono: true}
	sizes := map[float64]int{}
	for i, s := range spans {
		n := utf8.RuneCountInString(strings.TrimSpace(s.text))
		sizes[s.font.size] += n
		r.bold = r.bold && s.font.bold
		r.mono = r.mono && s.font.mono
		r.top, r.bottom = min(r.top, s.top), max(r.bottom, s.bottom)
		gap := s.left - r.right
		text := s.text
		switch last := len(r.cells) - 1; {
		case i == 0:
			r.cells = append(r.cells, rowCell{s.left, s.right, text})
		case gap > 1.4*s.font.size && (gap > 3*s.font.size || !mark(r.cells[last].text)) && !(r.mono && s.font.mono):
			r.cells = append(r.cells, rowCell{s.left, s.right, text})
		default:
			c := &r.cells[last]
			if r.mono && s.font.mono {
				c.text += strings.Repeat(" ", min(max(int(math.Round(gap/charWidth(s))), 0), 200))
			} else if gap > 0.12*s.font.size && !strings.HasSuffix(c.text, " ") {
				c.text += " "
			}
			c.text += text
			c.right = max(c.right, s.right)
		}
		r.right = max(r.right, s.right)
	}
	for i := range r.cells {
		r.cells[i].text = strings.TrimSpace(r.cells[i].text)
	}
	most := 0
	for size, n := range sizes {
		if n > most || n == most && size > r.size {
			most, r.size = n, size
		}
	}
	return r
}

// charWidth is the width of a character in a typewriter face.
func charWidth(s span) float64 {
	n := utf8.RuneCountInString(strings.TrimRight(s.text, " "))
	if w := (s.right - s.left) / float64(max(n, 1)); w > 0.2*s.font.size {
		return w
	}
	return max(0.6*s.font.size, 1)
}

// gutter finds the empty strip between two columns of text. A table has such
// strips too, but the lines of text beside a gutter fill their columns.
func (p *page) gutter(lines [][]span) (x float64, ok bool) {
	const steps = 40
	best, fewest := 0.0, math.MaxInt
	for i := steps * 35 / 100; i <= steps*65/100; i++ {
		x := p.width * float64(i) / steps
		crossing := 0
		for _, l := range lines {
			if crosses(l, x) {
				crossing++
			}
		}
		if crossing < fewest {
			best, fewest = x, crossing
		}
	}
	if len(lines) < 12 || fewest*10 > len(lines)*4 {
		return 0, false
	}
	left, right := extent{best, 0}, extent{p.width, best}
	var lefts, rights []float64
	for _, l := range lines {
		if crosses(l, best) {
			continue
		}
		if e, ok := side(l, func(s span) bool { return s.right <= best }); ok {
			lefts = append(lefts, e.width())
			left.left, left.right = min(left.left, e.left), max(left.right, e.right)
		}
		if e, ok := side(l, func(s span) bool { return s.left >= best }); ok {
			rights = append(rights, e.width())
			right.left, right.right = min(right.left, e.left), max(right.right, e.right)
		}
	}
	return best, filled(lefts, left) && filled(rights, right)
}

// filled tells whether most lines are nearly as wide as their column.
func filled(widths []float64, column extent) bool {
	if len(widths) < 8 {
		return false
	}
	slices.Sort(widths)
	return widths[len(widths)/2] > 0.8*column.width()
}

func crosses(l []span, x float64) bool {
	return slices.ContainsFunc(l, func(s span) bool { return s.left < x && s.right > x })
}

func side(l []span, in func(span) bool) (e extent, ok bool) {
	for _, s := range l {
		if !in(s) {
			continue
		}
		if !ok {
			e, ok = extent{s.left, s.right}, true
		}
		e.right = max(e.right, s.right)
	}
	return e, ok
}

// columns orders a page of two columns: between lines that cross the gutter
// first the left column, then the right one.
func (p *page) columns(spans []span, gutter float64) {
	var left, right []span
	flush := func() {
		for _, half := range [][]span{left, right} {
			var rows []row
			for _, l := range baselines(half) {
				rows = append(rows, newRow(l))
			}
			p.frame(rows)
			p.rows = append(p.rows, rows...)
		}
		left, right = nil, nil
	}
	for _, l := range baselines(spans) {
		if crosses(l, gutter) {
			flush()
			r := newRow(l)
			r.column = extent{r.left, r.right}
			p.rows = append(p.rows, r)
			continue
		}
		for _, s := range l {
			if s.right <= gutter {
				left = append(left, s)
			} else {
				right = append(right, s)
			}
		}
	}
	flush()
}
