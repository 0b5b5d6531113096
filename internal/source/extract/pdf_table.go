package extract

import (
	"math"
	"slices"
)

// table reads the table that begins with the first of the rows, if one does: rows
// of several cells whose left edges stand below one another. It tells how many
// rows it fills.
func (f *reflow) table(rows []row) (int, grid) {
	if len(rows[0].cells) < 2 || rows[0].mono {
		return 0, nil
	}
	end, wide := f.tableEnd(rows)
	if wide < 2 {
		return 0, nil
	}
	columns := columnsOf(rows[:end])
	if len(columns) < 2 || len(columns) > 12 {
		return 0, nil
	}
	var g grid
	for i, r := range rows[:end] {
		if i == 0 || f.fresh(columns, rows[:end], i) {
			g = append(g, make([]string, len(columns)))
		}
		for _, c := range r.cells {
			cell := &g[len(g)-1][columnAt(columns, c.left)]
			if *cell == "" {
				*cell = c.text
			} else {
				*cell = f.hyphenate(*cell, c.text)
			}
		}
	}
	return end, g
}

// fresh tells whether a row begins a row of the table: it does when its first
// column is filled or when space is above it. Cells of two lines whose neighbors
// stand beside the middle come as rows half a line apart.
func (f *reflow) fresh(columns []float64, rows []row, i int) bool {
	gap := f.gap(rows, i)
	switch {
	case gap < 0.8:
		return false
	case gap > 1.3, i+1 < len(rows) && f.gap(rows, i+1) < 0.8:
		return true
	}
	return columnAt(columns, rows[i].cells[0].left) == 0
}

// gap gives the distance of a row from the one above, in usual distances.
func (f *reflow) gap(rows []row, i int) float64 {
	return (rows[i].bottom - rows[i-1].bottom) / (f.leading * rows[i].size)
}

// tableEnd gives the row after the last one of the table and how many rows have
// several cells. A row of one cell belongs to it when it goes on with a cell above.
func (f *reflow) tableEnd(rows []row) (end, wide int) {
	for i := range rows {
		r := &rows[i]
		if i > 0 {
			step := f.gap(rows, i)
			if step < 0 || step > 2.6 || math.Abs(r.size-rows[i-1].size) > 0.2*r.size {
				return end, wide
			}
			if _, heading := f.headings.found[r]; heading {
				return end, wide
			}
		}
		if len(r.cells) > 1 {
			wide++
			end = i + 1
			continue
		}
		columns := columnsOf(rows[:i])
		at := columnAt(columns, r.left)
		if math.Abs(columns[at]-r.left) > 0.6*r.size || at+1 < len(columns) && r.right > columns[at+1] || at == 0 && len(columns) > 1 && r.right > columns[1]-r.size {
			return end, wide
		}
		if at > 0 || f.gap(rows, i) < 0.8 {
			end = i + 1
		}
	}
	return end, wide
}

// columnsOf gives the left edges that at least two cells share, or one of the first row.
func columnsOf(rows []row) []float64 {
	type edge struct {
		left float64
		n    int
	}
	var edges []edge
	for i, r := range rows {
		for _, c := range r.cells {
			at := slices.IndexFunc(edges, func(e edge) bool { return math.Abs(e.left-c.left) < 0.7*r.size })
			switch {
			case at >= 0:
				edges[at].n++
			case i == 0 || len(r.cells) > 1:
				edges = append(edges, edge{c.left, 1})
			}
		}
	}
	var columns []float64
	for _, e := range edges {
		if e.n > 1 || len(rows) == 1 {
			columns = append(columns, e.left)
		}
	}
	if len(columns) == 0 {
		columns = []float64{rows[0].left}
	}
	slices.Sort(columns)
	return columns
}

// columnAt gives the column in which a cell with that left edge stands.
func columnAt(columns []float64, left float64) int {
	best := 0
	for i, c := range columns {
		if math.Abs(c-left) < math.Abs(columns[best]-left) {
			best = i
		}
	}
	return best
}
