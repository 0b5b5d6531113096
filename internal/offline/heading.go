package offline

import (
	"strings"
	"unicode/utf8"
)

const longestTitle = 60 // characters

// title makes a title of a heading: without its number, and short enough for a slide.
func (l *language) title(heading string) string {
	t := collapse(heading)
	for {
		shorter := l.counters.ReplaceAllString(t, "")
		if shorter == t || strings.TrimSpace(shorter) == "" {
			break
		}
		t = shorter
	}
	t = strings.TrimSpace(strings.TrimRight(t, ":.¶- "))
	if utf8.RuneCountInString(t) <= longestTitle {
		return t
	}
	for _, mark := range []string{": ", " – ", " — ", " - ", " ("} {
		if head, _, found := strings.Cut(t, mark); found && utf8.RuneCountInString(head) <= longestTitle && countWords(head) > 1 {
			return head
		}
	}
	fields := strings.Fields(t)
	for n := len(fields) - 1; n > 0; n-- {
		t = strings.TrimRight(strings.Join(fields[:n], " "), ",;:")
		if utf8.RuneCountInString(t) <= longestTitle && !l.stop[strings.ToLower(fields[n-1])] {
			return t
		}
	}
	return string([]rune(t)[:min(longestTitle, utf8.RuneCountInString(t))])
}

// isFrontMatter tells whether a path of headings leads to what is about the document
// and not in it: a preface, a licence, an index.
func (l *language) isFrontMatter(path []string) bool {
	for _, h := range path {
		if l.frontMatter.MatchString(l.title(h)) {
			return true
		}
	}
	return false
}

// commonPath is the longest beginning that two paths share.
func commonPath(a, b []string) []string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}
