package extract

import "strings"

// grid is a table while it is read.
type grid [][]string

// table adds g as a Markdown pipe table. What has one column or one row is no
// table but text that was laid out as one, and is added as such.
func (b *builder) table(g grid) error {
	g = g.tidy()
	if len(g) == 0 {
		return nil
	}
	if len(g) < 2 || len(g[0]) < 2 {
		for _, row := range g {
			if err := b.prose(strings.Join(row, " ")); err != nil {
				return err
			}
		}
		return nil
	}
	var text strings.Builder
	for i, row := range g {
		writeRow(&text, row)
		if i == 0 {
			text.WriteString("|" + strings.Repeat(" --- |", len(row)) + "\n")
		}
	}
	return b.add(Block{Kind: Table, Text: text.String()})
}

// tidy makes cells single lines, rows equally long, and drops empty rows and columns.
func (g grid) tidy() grid {
	width := 0
	for _, row := range g {
		width = max(width, len(row))
	}
	filled := make([]bool, width)
	var rows grid
	for _, row := range g {
		tidied := make([]string, width)
		empty := true
		for i, cell := range row {
			tidied[i] = line(cell)
			if tidied[i] != "" {
				filled[i], empty = true, false
			}
		}
		if !empty {
			rows = append(rows, tidied)
		}
	}
	for r, row := range rows {
		kept := row[:0]
		for i, cell := range row {
			if filled[i] {
				kept = append(kept, cell)
			}
		}
		rows[r] = kept
	}
	return rows
}

func writeRow(w *strings.Builder, row []string) {
	w.WriteByte('|')
	for _, cell := range row {
		w.WriteString(" " + strings.ReplaceAll(cell, "|", `\|`) + " |")
	}
	w.WriteByte('\n')
}
