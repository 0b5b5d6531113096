package extract

import (
	"math"
	"regexp"
	"strings"
	"unicode/utf8"
)

// mark tells whether a text is the mark of a list's item, alone.
func mark(s string) bool { return itemMark.MatchString(strings.TrimSpace(s)) }

var (
	itemMark  = regexp.MustCompile(`^(?:[•▪◦‣●○■□∗✓➢➤\x{f0b7}\x{f0a7}·–*-]|\(?(?:\d{1,2}|[a-z])[.)])$`)
	itemStart = regexp.MustCompile(`^([•▪◦‣●○■□∗✓➢➤\x{f0b7}\x{f0a7}·–*-]|\(?(?:\d{1,2}|[a-z])[.)])\s+(\S.*)$`)
)

// item tells whether a row begins an item of a list.
func (f *reflow) item(r row, text string) bool {
	m := itemStart.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	if f.kind == Prose && f.step(r) <= 1.15 && !sentenceEnd.MatchString(f.last.text()) && strings.ContainsAny(m[1], "–-*·") {
		return false // a dash within a sentence
	}
	return true
}

func (f *reflow) addItem(r row, text string) error {
	if f.kind != List {
		if err := f.flush(); err != nil {
			return err
		}
		f.open(List)
	}
	for len(f.marks) > 0 && r.left < f.marks[len(f.marks)-1]-0.5*r.size {
		f.marks = f.marks[:len(f.marks)-1]
	}
	if len(f.marks) == 0 || r.left > f.marks[len(f.marks)-1]+0.5*r.size {
		f.marks = append(f.marks, r.left)
	}
	m := itemStart.FindStringSubmatch(text)
	number := 0
	for _, c := range m[1] {
		if c >= '0' && c <= '9' {
			number = number*10 + int(c-'0')
		}
	}
	f.list.item(len(f.marks)-1, number, m[2])
	return nil
}

// listing adds a row to the open listing.
func (f *reflow) listing(r row) error {
	if f.kind != Code || f.step(r) > 3 {
		if err := f.flush(); err != nil {
			return err
		}
		f.open(Code)
	}
	f.code = append(f.code, r)
	return nil
}

// layCode writes rows below one another with the indentation and the empty lines
// that they have on the page.
func layCode(rows []row, leading float64) string {
	margin, width := math.Inf(1), 0.0
	for _, r := range rows {
		margin = min(margin, r.left)
		width = max(width, (r.right-r.left)/float64(max(utf8.RuneCountInString(r.text()), 1)))
	}
	var out strings.Builder
	for i, r := range rows {
		if i > 0 {
			out.WriteByte('\n')
			if gap := (r.bottom - rows[i-1].bottom) / (leading * r.size); gap > 1.7 && gap < 4 {
				out.WriteByte('\n')
			}
		}
		if width > 0 {
			out.WriteString(strings.Repeat(" ", min(int(math.Round((r.left-margin)/width)), 200)))
		}
		out.WriteString(r.text())
	}
	return out.String()
}
