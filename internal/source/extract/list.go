package extract

import (
	"strconv"
	"strings"
)

// list collects the items of one list, of any depth, until it is added as a block.
type list struct {
	items []string
}

// item appends an item: depth 0 is the outermost; number 0 gives a bullet.
func (l *list) item(depth, number int, text string) {
	text = line(text)
	if text == "" {
		return
	}
	mark := "- "
	if number > 0 {
		mark = strconv.Itoa(number) + ". "
	}
	l.items = append(l.items, strings.Repeat("  ", min(depth, 8))+mark+text)
}

// flush adds what was collected and begins anew.
func (l *list) flush(b *builder) error {
	if len(l.items) == 0 {
		return nil
	}
	text := strings.Join(l.items, "\n")
	l.items = nil
	return b.add(Block{Kind: List, Text: text})
}
