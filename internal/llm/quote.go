package llm

import (
	"slices"
	"strings"
)

// Quotable is a text that can stand between marks such as <passage> and </passage>
// without ending them, or beginning others: in all that looks like one, in whatever
// case, a zero-width space goes before the mark's name.
func Quotable(text string, marks ...string) string {
	var out strings.Builder
	done := 0
	for at := strings.IndexByte(text, '<'); at >= 0; {
		name := strings.TrimLeft(text[at+1:], "/ \t\r\n")
		if slices.ContainsFunc(marks, func(m string) bool { return len(name) >= len(m) && strings.EqualFold(name[:len(m)], m) }) {
			out.WriteString(text[done : len(text)-len(name)])
			out.WriteString("\u200b")
			done = len(text) - len(name)
		}
		next := strings.IndexByte(name, '<')
		if next < 0 {
			break
		}
		at = len(text) - len(name) + next
	}
	out.WriteString(text[done:])
	return out.String()
}
