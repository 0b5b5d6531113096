package authoring

import (
	"fmt"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/source"
)

// book is a source of 2,000 sections in 40 chapters.
func book() []source.Section {
	var all []source.Section
	for c := range 40 {
		for s := range 50 {
			at := len(all) * 3
			all = append(all, source.Section{
				Part: source.Part{Source: "src_1", From: at, To: at + 3}, Document: "A book", Words: 400,
				Path: []string{fmt.Sprintf("Chapter %d on a subject with a long name", c), fmt.Sprintf("Section %d on something rather particular", s)},
				Text: strings.Repeat("The moon pulls the water of the sea along. ", 20),
			})
		}
	}
	return all
}

func TestABookFits(t *testing.T) {
	t.Parallel()
	toc := tableOfContents(book())
	if n := llm.EstimateText(toc.text()); n > contentsBudget || n < 100 {
		t.Errorf("the contents have %d tokens", n)
	}
	cost := 0
	for _, p := range toc.openings() {
		cost += llm.EstimateText(p.Text)
		if !strings.Contains(p.Text, ".") {
			t.Fatalf("an opening of no sentence: %q", p.Text)
		}
	}
	if cost > openingsBudget || cost == 0 {
		t.Errorf("the openings have %d tokens", cost)
	}
	var ids []string
	for i := range toc.sections {
		ids = append(ids, sectionID(i))
	}
	parts := toc.parts(ids)
	if len(parts) != 1 || parts[0] != (source.Part{Source: "src_1", From: 0, To: 6000}) {
		t.Errorf("all sections are %+v", parts)
	}
	if !strings.Contains(toc.text(), "Chapter 39") {
		t.Error("the last chapter is missing")
	}
}

func TestATextWithoutHeadingsIsDivided(t *testing.T) {
	t.Parallel()
	toc := tableOfContents([]source.Section{{Part: source.Part{Source: "src_1", From: 0, To: 40}, Words: 7000, Text: "Once."}})
	if len(toc.sections) != 5 || toc.sections[4].To != 40 || toc.sections[1].From != toc.sections[0].To {
		t.Errorf("%+v", toc.sections)
	}
}

func TestSeveralSourcesStayApart(t *testing.T) {
	t.Parallel()
	one := source.Section{Part: source.Part{Source: "src_1", From: 0, To: 2}, Document: "First", Path: []string{"Intro"}, Words: 10, Text: "a"}
	two := source.Section{Part: source.Part{Source: "src_2", From: 2, To: 4}, Document: "Second", Path: []string{"Intro"}, Words: 10, Text: "b"}
	toc := tableOfContents([]source.Section{one, two})
	if got := toc.text(); got != "s1 | First > Intro | 10\ns2 | Second > Intro | 10\n" {
		t.Errorf("%q", got)
	}
	if parts := toc.parts([]string{"s1", "s2", "s9"}); len(parts) != 2 {
		t.Errorf("%+v", parts)
	}
	if title([]source.Section{one, two}) != "" || title([]source.Section{one}) != "First" {
		t.Error("the title of several documents")
	}
}
