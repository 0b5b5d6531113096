package extract

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// What is printed on a page for those who turn it over is no content: running
// titles, page numbers, the table of contents, the index.

var (
	counting   = regexp.MustCompile(`\b(?:\d+|[ivxlc]+)\b`)
	pageNumber = regexp.MustCompile(`^(?:\W*(?:page|seite)?\W*(?:\d+|[ivxlc]+)(?:\s*(?:/|of|von)\s*\d+)?\W*)$`)
	leaders    = regexp.MustCompile(`(?:\.\s?){4,}`)
	entryEnd   = regexp.MustCompile(`(?:\s|\.)(?:\d+|[ivxlc]+)$`)
	indexEntry = regexp.MustCompile(`^.{2,60},\s?\d+(?:[-–]\d+)?(?:,\s?\d+(?:[-–]\d+)?)*$`)
)

// trim takes away running titles and page numbers, then the pages that list other pages.
func (d *pdf) trim() {
	repeated := map[string]int{}
	for _, p := range d.pages {
		for _, i := range p.edges() {
			repeated[runningKey(p.rows[i])]++
		}
	}
	shift, known := d.shift()
	for _, p := range d.pages {
		var drop []int
		for _, i := range p.edges() {
			r := p.rows[i]
			outermost := i == 0 || i == len(p.rows)-1 || slices.Contains(drop, i-1) || slices.Contains(drop, i+1)
			numbered := known && slices.Contains(edgeNumbers(r), p.number-shift)
			if numbered || repeated[runningKey(r)] >= 3 || outermost && pageNumber.MatchString(strings.ToLower(r.text())) {
				drop = append(drop, i)
			}
		}
		kept := p.rows[:0]
		for i, r := range p.rows {
			if !slices.Contains(drop, i) {
				kept = append(kept, r)
			}
		}
		p.rows = kept
		p.unlist()
	}
}

// shift tells by how much the printed page numbers differ from the pages' own; ok is
// false when no numbers are printed.
func (d *pdf) shift() (shift int, ok bool) {
	votes := map[int]int{}
	for _, p := range d.pages {
		for _, i := range p.edges() {
			for _, n := range edgeNumbers(p.rows[i]) {
				votes[p.number-n]++
			}
		}
	}
	most := 0
	for s, n := range votes {
		if n > most || n == most && s < shift {
			shift, most = s, n
		}
	}
	return shift, most >= 3 && most*3 > len(d.pages)
}

// edgeNumbers gives the numbers with which a row begins or ends.
func edgeNumbers(r row) []int {
	words := strings.Fields(r.text())
	var numbers []int
	for _, w := range []string{words[0], words[len(words)-1]} {
		if n, err := strconv.Atoi(w); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// edges gives the rows in the page's margins, the outermost first: the upper and
// the lower ninth, at most three rows each.
func (p *page) edges() []int {
	var top, bottom []int
	for i, r := range p.rows {
		switch {
		case r.bottom < p.height/9:
			top = append(top, i)
		case r.top > p.height*8/9:
			bottom = append(bottom, i)
		}
	}
	byTop := func(a, b int) int { return int(p.rows[a].top - p.rows[b].top) }
	slices.SortStableFunc(top, byTop)
	slices.SortStableFunc(bottom, func(a, b int) int { return byTop(b, a) })
	return append(top[:min(len(top), 3)], bottom[:min(len(bottom), 3)]...)
}

// runningKey is the same for running titles that differ in the page's number.
func runningKey(r row) string {
	return counting.ReplaceAllString(strings.ToLower(r.text()), "#")
}

// unlist empties a page of the table of contents or of the index. On other pages
// it takes away the lines with leaders.
func (p *page) unlist() {
	listed, index := 0, 0
	for _, r := range p.rows {
		text := r.text()
		switch {
		case leaders.MatchString(text) && entryEnd.MatchString(text), len(r.cells) > 1 && pageNumber.MatchString(r.cells[len(r.cells)-1].text):
			listed++
		case indexEntry.MatchString(text):
			index++
		}
	}
	if n := len(p.rows); n >= 5 && (listed*10 > n*5 || index*10 > n*5) {
		p.rows = nil
		return
	}
	p.rows = slices.DeleteFunc(p.rows, func(r row) bool {
		return leaders.MatchString(r.text()) && entryEnd.MatchString(r.text())
	})
}

// letters keeps what two spellings of a title have in common.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}
