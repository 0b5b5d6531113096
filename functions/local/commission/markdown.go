package commission

import (
	"fmt"
	"regexp"
	"strings"

	"lectern.dev/lectern/internal/course"
)

// markdown is course.md: the whole course to read, with the sources as footnotes.
func markdown(whole *Exported) string {
	var out strings.Builder
	fmt.Fprintf(&out, "# %s\n", line(whole.Title))
	if whole.Summary != "" {
		fmt.Fprintf(&out, "\n%s\n", whole.Summary)
	}
	names := make(map[string]string)
	for _, s := range whole.Sources {
		names[s.ID] = s.Name
		if s.Title != "" {
			names[s.ID] = s.Title
		}
	}
	for _, m := range whole.Modules {
		fmt.Fprintf(&out, "\n## %s\n", line(m.Title))
		if m.Summary != "" {
			fmt.Fprintf(&out, "\n%s\n", m.Summary)
		}
		for _, l := range m.Lessons {
			writeLesson(&out, l, names)
		}
	}
	return out.String()
}

func writeLesson(out *strings.Builder, l ExportedLesson, names map[string]string) {
	fmt.Fprintf(out, "\n### %d. %s\n", l.Number, line(l.Title))
	if l.Video != nil {
		fmt.Fprintf(out, "\n[Video](%s)\n", l.Video.URL)
	}
	if len(l.Objectives) > 0 {
		out.WriteString("\n")
		for _, o := range l.Objectives {
			fmt.Fprintf(out, "- %s\n", line(o))
		}
	}
	if article := demoted(strings.TrimSpace(l.Article)); article != "" {
		fmt.Fprintf(out, "\n%s\n", footnote.ReplaceAllString(article, fmt.Sprintf("[^%d-$1]", l.Number)))
	}
	if len(l.Questions) > 0 {
		out.WriteString("\n#### Questions\n")
		for i, q := range l.Questions {
			writeQuestion(out, i+1, q)
		}
	}
	if len(l.Citations) > 0 {
		out.WriteString("\n")
		for i, c := range l.Citations {
			fmt.Fprintf(out, "[^%d-p%d]: %s\n", l.Number, i+1, line(citation(c, names)))
		}
	}
}

// demoted puts an article's headings, which begin with ##, below the lesson's ###.
// What looks like a heading in a listing stays as it is.
func demoted(article string) string {
	lines := strings.Split(article, "\n")
	fence := ""
	for i, l := range lines {
		switch mark := fenceMark.FindString(l); {
		case fence != "": // only as long a fence of the same kind ends it
			if m := strings.TrimSpace(mark); strings.HasPrefix(m, fence) && strings.TrimSpace(l) == m {
				fence = ""
			}
		case mark != "":
			fence = strings.TrimSpace(mark)
		default:
			if level := strings.IndexFunc(l, func(r rune) bool { return r != '#' }); level > 0 && l[level] == ' ' && level <= 6 {
				lines[i] = strings.Repeat("#", min(level+2, 6)) + l[level:]
			}
		}
	}
	return strings.Join(lines, "\n")
}

var fenceMark = regexp.MustCompile("^ {0,3}(`{3,}|~{3,})")

// footnote is a citation in an article; its number begins again in every lesson.
var footnote = regexp.MustCompile(`\[\^(p\d+)\]`)

func writeQuestion(out *strings.Builder, number int, q course.Question) {
	fmt.Fprintf(out, "\n%d. %s\n\n", number, line(q.Prompt))
	for i, choice := range q.Choices {
		mark := " "
		if i == q.Key {
			mark = "x"
		}
		fmt.Fprintf(out, "   - [%s] %s\n", mark, line(choice))
	}
	if q.Explanation != "" {
		fmt.Fprintf(out, "\n   %s\n", line(q.Explanation))
	}
}

func citation(e course.Evidence, names map[string]string) string {
	parts := []string{names[e.Source]}
	if e.Page > 0 {
		parts = append(parts, fmt.Sprintf("p. %d", e.Page))
	}
	if e.Heading != "" {
		parts = append(parts, e.Heading)
	}
	text := strings.Join(parts, ", ")
	if e.Quote != "" {
		text += fmt.Sprintf(": “%s”", e.Quote)
	}
	return text
}

// line keeps a text on one line.
func line(s string) string { return strings.Join(strings.Fields(s), " ") }
