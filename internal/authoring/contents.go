package authoring

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/source"
)

// What the planner is shown of the sources, in tokens as llm estimates them. A book
// of 2,000 pages fits: headings that would not are folded into those above them.
const (
	contentsBudget  = 12_000 // for the list of headings
	openingsBudget  = 8_000  // for the beginnings of sections
	longestOpening  = 120    // words
	shortestOpening = 30     // words; less is no sentence
	longestSection  = 1500   // words, beyond which a section without sub-headings is divided
)

// contents is a table of contents whose entries have short ids.
type contents struct {
	sections []source.Section // the i-th has the id s<i+1>
}

// tableOfContents makes the table that the planner works with.
func tableOfContents(all []source.Section) contents {
	if n := documents(all); n > 1 {
		all = slices.Clone(all)
		for i, s := range all { // several sources: each is a part of its own
			all[i].Path = slices.Concat([]string{s.Document}, s.Path)
		}
	}
	all = divided(all)
	for depth := deepest(all); depth > 0 && costOf(all) > contentsBudget; depth-- {
		all = folded(all, depth)
	}
	return contents{all}
}

func documents(all []source.Section) int {
	seen := map[string]bool{}
	for _, s := range all {
		seen[s.Source] = true
	}
	return len(seen)
}

// divided cuts long sections without sub-headings into stretches, so that a document
// without headings can make several lessons.
func divided(all []source.Section) []source.Section {
	var out []source.Section
	for _, s := range all {
		parts := min(max(1, (s.Words+longestSection-1)/longestSection), s.To-s.From)
		if parts <= 1 {
			out = append(out, s)
			continue
		}
		for i := range parts {
			p := s
			p.From = s.From + i*(s.To-s.From)/parts
			p.To = s.From + (i+1)*(s.To-s.From)/parts
			p.Words = s.Words / parts
			if i > 0 {
				p.Text = ""
			}
			out = append(out, p)
		}
	}
	return out
}

func deepest(all []source.Section) int {
	n := 0
	for _, s := range all {
		n = max(n, len(s.Path))
	}
	return n
}

func costOf(all []source.Section) int {
	n := 0
	for _, s := range all {
		n += 8 + llm.EstimateText(strings.Join(s.Path, " > "))
	}
	return n
}

// folded joins neighbors below the given depth into one section.
func folded(all []source.Section, depth int) []source.Section {
	var out []source.Section
	for _, s := range all {
		s.Path = s.Path[:min(len(s.Path), depth)]
		if n := len(out); n > 0 && out[n-1].Source == s.Source && out[n-1].To == s.From && slices.Equal(out[n-1].Path, s.Path) {
			out[n-1].To = s.To
			out[n-1].Words += s.Words
			continue
		}
		out = append(out, s)
	}
	return out
}

func sectionID(i int) string { return fmt.Sprintf("s%d", i+1) }

// text is the table as a model reads it: a line a section.
func (c contents) text() string {
	var out strings.Builder
	for i, s := range c.sections {
		fmt.Fprintf(&out, "%s | %s | %d\n", sectionID(i), strings.Join(s.Path, " > "), s.Words)
	}
	return out.String()
}

// json is the table for a model that does not read prose.
func (c contents) json() string {
	type entry struct {
		ID    string   `json:"id"`
		Path  []string `json:"path"`
		Words int      `json:"words"`
	}
	list := make([]entry, len(c.sections))
	for i, s := range c.sections {
		list[i] = entry{sectionID(i), append([]string{}, s.Path...), s.Words}
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic(err) // strings and numbers
	}
	return string(text)
}

// openings gives the beginnings of sections, each under its section's id. When not
// all fit, each gets fewer words, and when that would be less than a sentence, some
// get none, spread over the whole.
func (c contents) openings() []llm.Passage {
	words, every := longestOpening, 1
	for c.costOfOpenings(words, every) > openingsBudget {
		if words > shortestOpening {
			words /= 2
		} else {
			every++
		}
	}
	var out []llm.Passage
	for i, s := range c.sections {
		if text := firstWords(s.Text, words); text != "" && i%every == 0 {
			out = append(out, llm.Passage{
				ID: sectionID(i), Source: s.Document, Heading: strings.Join(s.Path, " > "),
				Page: s.Page, Kind: "prose", Text: text,
			})
		}
	}
	return out
}

func (c contents) costOfOpenings(words, every int) int {
	cost := 0
	for i, s := range c.sections {
		if n := len(strings.Fields(s.Text)); n > 0 && i%every == 0 {
			cost += 16 + 2*min(words, n)
		}
	}
	return cost
}

func firstWords(s string, n int) string {
	fields := strings.Fields(s)
	if len(fields) <= n {
		return s
	}
	return strings.Join(fields[:n], " ") + " …"
}

// parts gives the stretches of the sources that section ids name, joined where they
// touch; unknown ids are left out.
func (c contents) parts(ids []string) []source.Part {
	var out []source.Part
	for i, s := range c.sections {
		if !slices.Contains(ids, sectionID(i)) {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Source == s.Source && out[n-1].To == s.From {
			out[n-1].To = s.To
			continue
		}
		out = append(out, s.Part)
	}
	return out
}

// knows tells whether there is a section of that id.
func (c contents) knows(id string) bool {
	for i := range c.sections {
		if sectionID(i) == id {
			return true
		}
	}
	return false
}
