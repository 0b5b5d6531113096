package offline

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"lectern.dev/lectern/internal/llm"
)

const summarySections = 12 // the first ones tell what the rest is about

// courseTitle is the brief's title, else the document's, else the heading above
// everything, else the first heading.
func (l *language) courseTitle(brief, document string, sections []section) string {
	if t := strings.TrimSpace(cmp.Or(brief, document)); t != "" {
		return t
	}
	if path := shared(sections); len(path) > 0 {
		return l.title(path[0])
	}
	return l.title(at(sections[0].Path, 0))
}

// lessonTitle names a lesson after the heading that covers it, or after its two
// largest parts where it covers more, or, where the document has no headings, after what it speaks of most.
func (l *language) lessonTitle(group, units []unit, about map[string]string) string {
	path := group[0].path
	for _, u := range group[1:] {
		path = commonPath(path, u.path)
	}
	inGroup, under := 0, 0
	for _, u := range units {
		if len(commonPath(path, u.path)) == len(path) {
			under += u.words
		}
	}
	for _, u := range group {
		inGroup += u.words
	}
	if len(path) > 0 && inGroup*5 >= under*4 {
		return l.title(path[len(path)-1])
	}
	depth := len(path)
	size := map[string]int{}
	var names []string
	for _, u := range group {
		name := l.title(at(u.path, depth))
		if name == "" {
			continue
		}
		if size[name] == 0 {
			names = append(names, name)
		}
		size[name] += u.words
	}
	if len(names) == 0 && len(path) > 0 {
		return l.title(path[len(path)-1])
	}
	if len(names) == 0 {
		return l.titleFromText(group, about)
	}
	bySize := slices.Clone(names)
	slices.SortStableFunc(bySize, func(a, b string) int { return size[b] - size[a] })
	if len(bySize) > 1 && size[bySize[1]]*3 > size[bySize[0]] {
		first, second := bySize[0], bySize[1]
		if slices.Index(names, second) < slices.Index(names, first) {
			first, second = second, first
		}
		if both := l.joined(beforeColon(first), beforeColon(second), about); utf8.RuneCountInString(both) <= 80 {
			return both
		}
	}
	return bySize[0]
}

// joined makes one title of two. The second goes on in lower case when the text
// writes its first word so, and a comma stands for an "and" too many.
func (l *language) joined(first, second string, about map[string]string) string {
	head, rest, _ := strings.Cut(second, " ")
	if lower := strings.ToLower(head); rest == strings.ToLower(rest) {
		for _, text := range about {
			if hasWord(text, lower) {
				second = strings.TrimSpace(lower + " " + rest)
				break
			}
		}
	}
	both := l.phrase("and", 0, first, second)
	and := strings.TrimSpace(l.phrase("and", 0, "", ""))
	if hasWord(first, and) || hasWord(second, and) {
		return first + ", " + second
	}
	return both
}

func beforeColon(s string) string {
	s, _, _ = strings.Cut(s, ":")
	return strings.TrimSpace(s)
}

func (l *language) titleFromText(group []unit, about map[string]string) string {
	var sections []llm.Passage
	for _, u := range group {
		for _, s := range u.sections {
			sections = append(sections, llm.Passage{Text: about[s.ID]})
		}
	}
	terms := l.keyTerms(l.sentences(sections))
	if len(terms) > 1 {
		return l.phrase("and", 0, capitalize(terms[0]), terms[1])
	}
	for _, p := range sections {
		for _, raw := range l.split(p.Text, false) {
			return l.title(raw)
		}
	}
	return l.phrase("part", 0, 1)
}

// distinct numbers lessons that would have the same title.
func (l *language) distinct(lessons []plannedLesson) {
	count := map[string]int{}
	for _, x := range lessons {
		count[x.Title]++
	}
	seen := map[string]int{}
	for i, x := range lessons {
		if count[x.Title] > 1 {
			seen[x.Title]++
			lessons[i].Title = x.Title + ", " + lowerFirst(l.phrase("part", 0, seen[x.Title]))
		}
	}
}

func lowerFirst(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return strings.ToLower(s[:n]) + s[n:]
}

// modules gathers lessons: all in one when they are few, by the document's chapters
// when several lessons share one, else a few at a time.
func (l *language) modules(course string, groups [][]unit, lessons []plannedLesson) []module {
	if len(lessons) < moduleFrom {
		return []module{{Title: course, Lessons: lessons}}
	}
	depth := 0
	if path := groups[0][0].path; len(path) > 1 && !slices.ContainsFunc(groups, func(g []unit) bool { return at(g[0].path, 0) != path[0] }) {
		depth = 1 // everything stands under the document's title
	}
	var out []module
	last := ""
	for i, g := range groups {
		chapter := at(g[0].path, depth)
		if i == 0 || chapter != last || chapter == "" {
			out = append(out, module{Title: l.title(chapter)})
		}
		last = chapter
		m := &out[len(out)-1]
		m.Lessons = append(m.Lessons, lessons[i])
	}
	if len(out) <= len(lessons)*2/3 {
		return out
	}
	out = nil
	parts := (len(lessons) + perModule - 1) / perModule
	for i := range parts {
		part := lessons[i*len(lessons)/parts : (i+1)*len(lessons)/parts]
		out = append(out, module{Title: l.phrase("part", 0, i+1) + ": " + part[0].Title, Lessons: part})
	}
	return out
}

// summary is the sentence of the first sections that says best what the document is about.
func (l *language) summary(ctx context.Context, title string, about map[string]string, sections []section) (string, error) {
	var passages []llm.Passage
	for _, s := range sections {
		if text := about[s.ID]; text != "" && len(passages) < summarySections {
			passages = append(passages, llm.Passage{Text: text, Heading: strings.Join(s.Path, " > ")})
		}
	}
	all := l.sentences(passages)
	if err := l.rank(ctx, all, passages, title); err != nil {
		return "", err
	}
	subject := l.terms(title)
	on := slices.DeleteFunc(slices.Clone(all), func(s *sentence) bool {
		return l.subjectIs(s, asSet(subject)) == 0
	})
	if len(on) == 0 && len(sections) > 4*summarySections {
		return "", nil // the first pages of a book are about the first chapter
	}
	for _, s := range append(best(on, 1), best(all, 1)...) {
		return s.spoken, nil
	}
	return "", nil
}
