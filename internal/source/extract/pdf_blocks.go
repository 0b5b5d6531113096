package extract

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// blocks finds the document's structure and adds it.
func (d *pdf) blocks(b *builder) error {
	d.trim()
	f := &reflow{b: b, headings: d.findHeadings(), vocabulary: d.vocabulary(), leading: d.leading()}
	if b.title == "" {
		b.title = d.title()
	}
	for _, p := range d.pages {
		if err := f.page(p); err != nil {
			return err
		}
	}
	return f.flush()
}

// vocabulary collects the words that stand within lines. It tells later which
// hyphen at a line's end belongs to the word.
func (d *pdf) vocabulary() map[string]bool {
	words := map[string]bool{}
	for _, p := range d.pages {
		for _, r := range p.rows {
			fields := strings.Fields(strings.ToLower(r.text()))
			for _, w := range fields[:max(len(fields)-1, 0)] {
				words[strings.TrimFunc(w, func(r rune) bool { return !unicode.IsLetter(r) })] = true
			}
		}
	}
	return words
}

// leading is the usual distance of base lines, in font sizes.
func (d *pdf) leading() float64 {
	var steps []float64
	for _, p := range d.pages {
		for i := 1; i < len(p.rows); i++ {
			a, b := p.rows[i-1], p.rows[i]
			if step := (b.bottom - a.bottom) / b.size; a.size == b.size && step > 0.5 && step < 2.5 {
				steps = append(steps, step)
			}
		}
	}
	if len(steps) == 0 {
		return 1.2
	}
	slices.Sort(steps)
	return steps[len(steps)*2/5]
}

// reflow joins rows to blocks. One block is open at a time.
type reflow struct {
	b          *builder
	headings   *headings
	vocabulary map[string]bool
	leading    float64

	kind  Kind // of the open block; "" when none is
	from  int  // the page it began on
	text  strings.Builder
	list  list
	marks []float64 // left edges of the open list's marks, by depth
	code  []row
	last  row // the last row of the open block
	turns bool
	notes []string // footnotes of the pages before, held back while a paragraph goes on
}

// page reads a page's rows.
func (f *reflow) page(p *page) error {
	f.b.page = p.number
	rows := p.rows[:len(p.rows)-f.footnotes(p)]
	f.turns = true
	for i := 0; i < len(rows); {
		n, err := f.row(rows, i)
		if err != nil {
			return err
		}
		f.last = rows[i+n-1]
		f.turns = false
		i += n
	}
	for _, r := range p.rows[len(rows):] {
		f.notes = append(f.notes, r.text())
	}
	return nil
}

// footnotes counts the small rows at the foot of a page.
func (f *reflow) footnotes(p *page) int {
	n := 0
	for i := len(p.rows) - 1; i > 0; i-- {
		r := p.rows[i]
		if r.size > f.headings.body*0.9 || r.top < p.height*0.55 || r.mono {
			break
		}
		if first, _ := utf8.DecodeRuneInString(r.text()); unicode.IsDigit(first) || strings.ContainsRune("*†‡", first) {
			n = len(p.rows) - i
		}
	}
	return n
}

// row takes one row, or several that are one thing, and tells how many.
func (f *reflow) row(rows []row, i int) (int, error) {
	r := &rows[i]
	var before, after *row
	if i > 0 {
		before = &rows[i-1]
	}
	if i+1 < len(rows) {
		after = &rows[i+1]
	}
	if h, ok := f.headings.at(r, before, after); ok {
		return f.heading(rows[i:], h)
	}
	if n, g := f.table(rows[i:]); n > 0 {
		if err := f.flush(); err != nil {
			return 0, err
		}
		return n, f.b.table(g)
	}
	switch text := r.text(); {
	case r.mono && !f.within(*r):
		return 1, f.listing(*r)
	case f.item(*r, text):
		return 1, f.addItem(*r, text)
	case f.continues(*r):
		f.join(text)
		return 1, nil
	default:
		if err := f.flush(); err != nil {
			return 0, err
		}
		f.open(Prose)
		if admonition.MatchString(text) {
			text += ":"
		}
		f.text.WriteString(text)
		return 1, nil
	}
}

func (f *reflow) open(k Kind) {
	f.kind, f.from = k, f.b.page
}

// flush adds the open block, under the page it began on.
func (f *reflow) flush() error {
	kind, now := f.kind, f.b.page
	f.kind = ""
	f.b.page = f.from
	defer func() { f.b.page = now }()
	var err error
	switch kind {
	case Prose:
		err = f.b.prose(f.text.String())
		f.text.Reset()
	case List:
		f.marks = nil
		err = f.list.flush(f.b)
	case Code:
		err = f.b.code("", layCode(f.code, f.leading))
		f.code = nil
	}
	if len(f.notes) == 0 || err != nil {
		return err
	}
	notes := strings.Join(f.notes, " ")
	f.notes = nil
	return f.b.prose(notes)
}

// heading joins the rows of a heading, with further rows that look the same.
func (f *reflow) heading(rows []row, h found) (int, error) {
	n := min(h.rows, len(rows))
	for _, listed := f.headings.found[&rows[0]]; !listed && n < len(rows) && n < 3; n++ {
		next := rows[n]
		if _, own := f.headings.found[&rows[n]]; own || next.style() != rows[0].style() || next.bottom-rows[n-1].bottom > 1.6*next.size || next.bottom < rows[n-1].bottom {
			break
		}
	}
	var texts []string
	for _, r := range rows[:n] {
		texts = append(texts, r.text())
	}
	if err := f.flush(); err != nil {
		return 0, err
	}
	text := strings.Join(texts, " ")
	if partNumber.MatchString(text) && n < len(rows) {
		if _, follows := f.headings.at(&rows[n], &rows[n-1], nil); follows {
			return n, nil // "Chapter 3", above the chapter's title
		}
	}
	return n, f.b.heading(h.level, text)
}

// step tells how far a row stands below the last one, in usual distances; a new
// page or column counts as one.
func (f *reflow) step(r row) float64 {
	if f.turns || r.bottom < f.last.bottom {
		return 1
	}
	return (r.bottom - f.last.bottom) / (f.leading * max(r.size, f.last.size))
}

var sentenceEnd = regexp.MustCompile(`[.!?:。！？]["'”’)\]]*$`)

// continues tells whether a row goes on with the open paragraph or item.
func (f *reflow) continues(r row) bool {
	if f.kind != Prose && f.kind != List || math.Abs(r.size-f.last.size) > 0.12*r.size {
		return false
	}
	text := r.text()
	first, _ := utf8.DecodeRuneInString(text)
	ended := sentenceEnd.MatchString(f.last.text())
	if f.turns || r.bottom < f.last.bottom {
		full := f.last.right > f.last.column.right-0.06*f.last.column.width()
		return !ended && (unicode.IsLower(first) || full) || strings.HasSuffix(f.last.text(), "-")
	}
	if f.step(r) > 1.3 {
		return f.kind == List && f.step(r) < 2.5 && r.left > f.marks[len(f.marks)-1]+0.5*r.size
	}
	if f.kind == List {
		return r.left > f.marks[len(f.marks)-1]+0.3*r.size || !ended && unicode.IsLower(first)
	}
	if r.left > f.last.left+0.9*r.size && ended && !unicode.IsLower(first) {
		return false // the first line of a paragraph is indented
	}
	short := f.last.right < f.last.column.right-0.3*f.last.column.width()
	return !short || !ended
}

// within tells whether a row in a typewriter face is a line of the open paragraph.
func (f *reflow) within(r row) bool {
	if f.kind != Prose && f.kind != List || f.last.mono || f.turns {
		return false
	}
	return f.step(r) <= 1.15 && f.last.right > f.last.column.right-0.2*f.last.column.width() && !strings.HasSuffix(f.last.text(), ":") && f.continues(r)
}

// join adds a row's text to the open block. A hyphen at the line's end goes unless
// the document writes the word with one.
func (f *reflow) join(text string) {
	if f.kind == List {
		last := &f.list.items[len(f.list.items)-1]
		*last = f.hyphenate(*last, text)
		return
	}
	joined := f.hyphenate(f.text.String(), text)
	f.text.Reset()
	f.text.WriteString(joined)
}

func (f *reflow) hyphenate(before, after string) string {
	head, ok := strings.CutSuffix(before, "-")
	if soft, isSoft := strings.CutSuffix(before, "\u00ad"); isSoft {
		return soft + after
	}
	first, _ := utf8.DecodeRuneInString(after)
	last, _ := utf8.DecodeLastRuneInString(head)
	if !ok || !unicode.IsLetter(last) {
		return before + " " + after
	}
	if !unicode.IsLower(first) {
		return before + after
	}
	left := strings.ToLower(head[strings.LastIndexFunc(head, unicode.IsSpace)+1:])
	right := strings.ToLower(strings.TrimRightFunc(strings.Fields(after)[0], func(r rune) bool { return !unicode.IsLetter(r) }))
	left = strings.TrimLeftFunc(left, func(r rune) bool { return !unicode.IsLetter(r) })
	if f.vocabulary[left+"-"+right] && !f.vocabulary[left+right] || slices.Contains([]string{"non", "self", "well", "cross"}, left) {
		return before + after
	}
	return head + after
}
