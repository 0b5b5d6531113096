package offline

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

const (
	wordsPerLesson = 1500 // when the brief names no number of lessons
	maxLessons     = 10   // when the brief names no number of lessons
	leastWords     = 40   // of a lesson; two or three sentences are none
	moduleFrom     = 6    // lessons; fewer stand in one module
	perModule      = 4    // lessons in a module when the document suggests no other division
)

// section is a part of the document under one heading, without its sub-headings.
type section struct {
	ID    string   `json:"id"`
	Path  []string `json:"path"`
	Words int      `json:"words"`
}

// unit is a run of sections that stays together in one lesson.
type unit struct {
	path     []string
	sections []section
	words    int
}

func writeOutline(ctx context.Context, req llm.Request) (*outline, error) {
	var sections []section
	if err := json.Unmarshal([]byte(cmp.Or(req.Inputs["sections"], "[]")), &sections); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The list of sections cannot be read.")
	}
	var text strings.Builder
	about := map[string]string{}
	for _, p := range req.Passages {
		about[p.ID] = p.Text
		text.WriteString(p.Text + "\n")
	}
	l, err := languageOf(req.Inputs["language"], text.String())
	if err != nil {
		return nil, err
	}
	sections = l.subjectMatter(sections)
	if len(sections) == 0 {
		return nil, errNoSource()
	}
	wanted, _ := strconv.Atoi(req.Inputs["lessons"])
	if wanted <= 0 {
		wanted = min(max(int(math.Round(float64(total(sections))/wordsPerLesson)), 1), maxLessons)
	}
	units := cutUnits(sections, wanted)
	groups := balance(units, min(wanted, len(units)))

	out := &outline{Title: l.courseTitle(req.Inputs["title"], req.Inputs["document"], sections)}
	lessons := make([]plannedLesson, len(groups))
	for i, g := range groups {
		lessons[i] = plannedLesson{Title: l.lessonTitle(g, units, about)}
		for _, u := range g {
			for _, s := range u.sections {
				lessons[i].Sections = append(lessons[i].Sections, s.ID)
			}
		}
	}
	l.distinct(lessons)
	out.Modules = l.modules(out.Title, groups, lessons)
	out.Summary, err = l.summary(ctx, out.Title, about, sections)
	return out, err
}

// subjectMatter leaves out prefaces, licences, indexes and the like, unless nothing else is there.
func (l *language) subjectMatter(all []section) []section {
	kept := slices.DeleteFunc(slices.Clone(all), func(s section) bool {
		return s.Words == 0 || l.isFrontMatter(s.Path)
	})
	if total(kept)*5 < total(all) {
		return all // a document about licences is not a licence
	}
	// What stands before the first chapter has the path of the title page only.
	for len(kept) > 1 && len(kept[0].Path) == 0 {
		kept = kept[1:]
	}
	return kept
}

func total(sections []section) int {
	n := 0
	for _, s := range sections {
		n += s.Words
	}
	return n
}

// cutUnits divides the document at its topmost headings, and divides what is too
// large for a lesson again at the headings below.
func cutUnits(sections []section, lessons int) []unit {
	limit := max(total(sections)*6/5/lessons, 1)
	var cut func(sections []section, depth int) []unit
	cut = func(sections []section, depth int) []unit {
		whole := unit{path: shared(sections), sections: sections, words: total(sections)}
		if len(sections) == 1 || whole.words <= limit && depth > 0 {
			return []unit{whole}
		}
		var out []unit
		start := 0
		for i := 1; i <= len(sections); i++ {
			if i == len(sections) || at(sections[i].Path, depth) != at(sections[start].Path, depth) {
				part := sections[start:i]
				if len(part) == len(sections) && !deeper(part, depth) {
					for _, s := range part { // the same heading again and again: parts of one long section
						out = append(out, unit{path: s.Path, sections: []section{s}, words: s.Words})
					}
					return out
				}
				out = append(out, cut(part, depth+1)...)
				start = i
			}
		}
		return out
	}
	return cut(sections, 0)
}

func deeper(sections []section, depth int) bool {
	return slices.ContainsFunc(sections, func(s section) bool { return len(s.Path) > depth+1 })
}

func at(path []string, i int) string {
	if i < len(path) {
		return path[i]
	}
	return ""
}

// shared is the path of headings that all sections have in common.
func shared(sections []section) []string {
	path := sections[0].Path
	for _, s := range sections[1:] {
		path = commonPath(path, s.Path)
	}
	return path
}

// balance divides units, in order, into n groups of about the same number of words,
// and prefers to divide where a high heading begins; into fewer where one of n would
// have too little for a lesson. Dynamic programming over the least sum of squared
// deviations.
func balance(units []unit, n int) [][]unit {
	words := make([]float64, len(units)+1)
	for i, u := range units {
		words[i+1] = words[i] + float64(u.words)
	}
	target := words[len(units)] / float64(n)
	cost := func(from, to int) float64 {
		if words[to]-words[from] < leastWords && to-from < len(units) {
			return math.Inf(1)
		}
		d := (words[to] - words[from] - target) / target
		c := d * d
		if from > 0 { // dividing inside a chapter costs more, the deeper the more
			c += 0.35 * float64(len(commonPath(units[from-1].path, units[from].path)))
		}
		return c
	}
	least := make([][]float64, n+1)
	cutAt := make([][]int, n+1)
	for k := range least {
		least[k] = slices.Repeat([]float64{math.Inf(1)}, len(units)+1)
		cutAt[k] = make([]int, len(units)+1)
	}
	least[0][0] = 0
	for k := 1; k <= n; k++ {
		for to := k; to <= len(units); to++ {
			for from := k - 1; from < to; from++ {
				if c := least[k-1][from] + cost(from, to); c < least[k][to] {
					least[k][to], cutAt[k][to] = c, from
				}
			}
		}
	}
	for n > 1 && math.IsInf(least[n][len(units)], 1) {
		n--
	}
	groups := make([][]unit, n)
	for k, to := n, len(units); k > 0; k-- {
		from := cutAt[k][to]
		groups[k-1], to = units[from:to], from
	}
	return groups
}
