package offline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	articleShare = 0.45 // of the sentences that can stand alone
	articleMost  = 70   // sentences
)

// article writes the lesson as a text to read: the better half of the sentences in
// their order, under the source's headings, with listings and tables where they stood.
// Every paragraph ends with the passage it comes from.
func (w *writer) article(all []*sentence) string {
	n := min(max(int(float64(len(all))*articleShare), 12), articleMost)
	chosen := map[int][]string{}
	for _, s := range best(all, n) {
		chosen[s.passage] = append(chosen[s.passage], s.spoken)
	}
	var out strings.Builder
	var written []string // headings
	open := func(path []string) {
		same := len(commonPath(written, path))
		for d := max(same, len(path)-1); d < len(path); d++ {
			if t := w.language.title(path[d]); t != "" && t != w.title {
				fmt.Fprintf(&out, "## %s\n\n", t)
			}
		}
		written = slices.Clone(path)
	}
	for i, p := range w.passages {
		block := ""
		switch {
		case len(chosen[i]) > 0:
			block = strings.Join(chosen[i], " ")
		case p.Kind == "code" && i > 0 && len(chosen[i-1]) > 0:
			if text, ok := excerpt(p.Text); ok && !strings.Contains(text, "```") {
				block = fmt.Sprintf("```%s\n%s\n```\n\n", cmp.Or(p.CodeLanguage, guessLanguage(text)), text)
			}
		case p.Kind == "table":
			if header, rows, ok := parseTable(p.Text); ok {
				block = markdownTable(header, rows)
			}
		}
		if block == "" {
			continue
		}
		if path := headingPath(p); !slices.Equal(path, written) {
			open(path)
		}
		fmt.Fprintf(&out, "%s[^%s]\n\n", block, p.ID)
	}
	return strings.TrimSpace(out.String())
}

func markdownTable(header []string, rows [][]string) string {
	var out strings.Builder
	line := func(cells []string) {
		out.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	line(header)
	line(slices.Repeat([]string{"---"}, len(header)))
	for _, r := range rows {
		line(r)
	}
	return out.String() + "\n"
}
