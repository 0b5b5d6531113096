package deck

import (
	"strings"
	"unicode/utf8"

	"lectern.dev/lectern/internal/course"
)

// table sets a table as large as it fits; a column is as wide as its longest cell asks for.
func (c *composer) table(room area, t course.Table, points []course.Point) *sheet {
	columns := len(t.Header)
	for _, row := range t.Rows {
		columns = max(columns, len(row))
	}
	if columns == 0 {
		return c.points(room, points, pointSize)
	}
	tableRoom := room
	if len(points) > 0 {
		tableRoom.height *= 0.64
	}
	s := shrink(tableRoom.height, func(scale float64) *sheet { return c.grid(tableRoom, t, columns, scale) })
	return c.below(room, s, points)
}

func (c *composer) grid(room area, t course.Table, columns int, scale float64) *sheet {
	size := 38 * scale
	head, cell := c.style(strong, size*0.92, 1.3, accent), c.style(body, size, 1.3, ink)
	padX, padY := 30*scale, 20*scale
	widths := c.columnWidths(room.width, t, columns, head, cell, padX)

	s := &sheet{}
	rows := t.Rows
	st, hasHead := head, len(t.Header) > 0
	if hasHead {
		rows = append([][]string{t.Header}, rows...)
	} else {
		st = cell
	}
	var rules []op
	for i, row := range rows {
		height := 0.0
		var cells []op
		x := room.x
		for k := range columns {
			if k < len(row) {
				b := c.set(row[k], st, widths[k]-2*padX)
				cells = append(cells, c.text(b, x+padX, room.y+s.height+padY, widths[k]-2*padX))
				height = max(height, b.Height)
			}
			x += widths[k]
		}
		height = max(height, st.size*st.leading) + 2*padY
		if i == 0 && hasHead {
			rules = append(rules, // round above, square below
				c.rect(area{room.x + 2, room.y + 2, room.width - 4, height - 2}, 16, tint),
				c.rect(area{room.x + 2, room.y + height/2, room.width - 4, height / 2}, 0, tint))
		} else if i > 0 {
			rules = append(rules, c.rect(area{room.x + 2, room.y + s.height, room.width - 4, 2}, 0, hairline))
		}
		s.base = append(s.base, cells...)
		s.height += height
		st = cell
	}
	frame := []op{
		c.rect(area{room.x, room.y, room.width, s.height}, 18, hairline),
		c.rect(area{room.x + 2, room.y + 2, room.width - 4, s.height - 4}, 16, white),
	}
	s.base = append(append(frame, rules...), s.base...)
	return s
}

// columnWidths shares the width out: to each column the width of its longest word,
// and the rest as the longest cells ask for it.
func (c *composer) columnWidths(width float64, t course.Table, columns int, head, cell style, padX float64) []float64 {
	least, asks := make([]float64, columns), make([]float64, columns)
	measure := func(row []string, st style) {
		for k, text := range row {
			asks[k] = max(asks[k], c.set(text, st, unbroken).Width)
			least[k] = max(least[k], c.set(longestWord(text), st, unbroken).Width+2*padX+2)
		}
	}
	measure(t.Header, head)
	for _, row := range t.Rows {
		measure(row, cell)
	}
	left, wanted := width, 0.0
	for k := range asks {
		asks[k] = min(asks[k], width/2) // one endless cell shall not starve the others
		left -= least[k]
		wanted += asks[k]
	}
	widths := make([]float64, columns)
	for k := range widths {
		if left < 0 { // not even the words fit: smaller letters, or broken words, come next
			widths[k] = width / float64(columns)
		} else {
			widths[k] = least[k] + left*asks[k]/max(1, wanted)
		}
	}
	return widths
}

// unbroken is wider than any line.
const unbroken = 1 << 20

func longestWord(text string) string {
	longest := ""
	for word := range strings.FieldsSeq(text) {
		if utf8.RuneCountInString(word) > utf8.RuneCountInString(longest) {
			longest = word
		}
	}
	return longest
}
