package offline_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/llmtest"
	"lectern.dev/lectern/internal/offline"
)

type answers struct {
	outline struct {
		Title, Summary string
		Modules        []struct {
			Title   string
			Lessons []struct {
				Title    string
				Sections []string
			}
		}
	}
	lesson struct {
		Objectives []string
		Article    string
		Slides     []struct {
			Kind, Title string
			Points      []claim
			Code        *struct {
				Text  string
				Cites []cite
			}
			Table *struct {
				Header []string
				Rows   [][]string
				Cites  []cite
			}
			Quote *struct {
				Text, Attribution string
				Cites             []cite
			}
			Narration []struct {
				claim
				Reveals int
			}
		}
	}
	questions struct {
		Questions []struct {
			Prompt, Explanation string
			Choices             []string
			Key                 int
			Cites               []cite
		}
	}
}

type claim struct {
	Text  string
	Cites []cite
}

type cite struct{ Passage, Quote string }

// document is a Markdown file cut into passages, each below its headings.
type document struct {
	language string
	sections []map[string]any
	opening  []llm.Passage // the first passage of each section, under the section's id
	passages []llm.Passage
}

func documents(t *testing.T) map[string]document {
	t.Helper()
	files, err := filepath.Glob("testdata/*.md")
	if err != nil || len(files) < 3 {
		t.Fatalf("documents: %v %v", files, err)
	}
	all := map[string]document{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = parse(strings.Split(f, ".")[1], string(text))
	}
	return all
}

func parse(language, text string) document {
	d := document{language: language}
	var path []string
	for i, block := range strings.Split(text, "\n\n") {
		block = strings.TrimSpace(block)
		if level := strings.IndexFunc(block, func(r rune) bool { return r != '#' }); level > 0 {
			path = append(slices.Clone(path[:min(level-1, len(path))]), strings.Trim(block, "# "))
			d.sections = append(d.sections, map[string]any{"id": fmt.Sprint("s", len(d.sections)), "path": path, "words": 0})
			continue
		}
		p := llm.Passage{ID: fmt.Sprint("p", i), Heading: strings.Join(path, " > "), Kind: "prose", Text: block}
		switch {
		case strings.HasPrefix(block, "```"):
			p.Kind = "code"
		case strings.HasPrefix(block, "|"):
			p.Kind = "table"
		case strings.HasPrefix(block, ">"):
			p.Kind = "quote"
		}
		s := d.sections[len(d.sections)-1]
		if s["words"] == 0 {
			d.opening = append(d.opening, llm.Passage{ID: s["id"].(string), Heading: p.Heading, Text: block})
		}
		s["words"] = s["words"].(int) + len(strings.Fields(block))
		d.passages = append(d.passages, p)
	}
	return d
}

func ask(t *testing.T, schema string, inputs map[string]string, passages []llm.Passage, out any) {
	t.Helper()
	resp, err := offline.Model{}.Complete(t.Context(), llm.Request{
		Schema: &llm.Schema{Name: schema}, Inputs: inputs, Passages: passages,
	})
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	if err := json.Unmarshal([]byte(resp.Text), out); err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
}

// written keeps what was written of each document: the tests look at different sides of it.
var written sync.Map

func write(t *testing.T, d document) answers {
	t.Helper()
	if a, ok := written.Load(d.passages[0].Text); ok {
		return a.(answers)
	}
	a := writeAgain(t, d)
	written.Store(d.passages[0].Text, a)
	return a
}

func writeAgain(t *testing.T, d document) answers {
	t.Helper()
	var a answers
	sections, _ := json.Marshal(d.sections)
	ask(t, "outline", map[string]string{"sections": string(sections), "lessons": "2", "language": d.language}, d.opening, &a.outline)
	body := slices.DeleteFunc(slices.Clone(d.passages), func(p llm.Passage) bool {
		return strings.Contains(p.Heading, "Preface") || strings.Contains(p.Heading, "Index")
	})
	inputs := map[string]string{"lesson": a.outline.Title, "language": d.language}
	ask(t, "lesson", inputs, body, &a.lesson)
	ask(t, "questions", inputs, body, &a.questions)
	return a
}

func TestEveryClaimStandsInItsPassage(t *testing.T) {
	t.Parallel()
	for name, d := range documents(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := map[string]string{}
			for _, p := range d.passages {
				text[p.ID] = p.Text
			}
			check := func(what string, cites []cite) {
				t.Helper()
				if len(cites) == 0 {
					t.Errorf("%q cites nothing", what)
				}
				for _, c := range cites {
					if passage, ok := text[c.Passage]; !ok || !strings.Contains(passage, c.Quote) {
						t.Errorf("%q cites %q, which does not stand in passage %q", what, c.Quote, c.Passage)
					}
				}
			}
			a := write(t, d)
			for _, s := range a.lesson.Slides {
				for _, p := range s.Points {
					check(p.Text, p.Cites)
				}
				for _, n := range s.Narration {
					check(n.Text, n.Cites)
				}
				if s.Code != nil {
					check(s.Code.Text, s.Code.Cites)
				}
				if s.Table != nil {
					check(s.Title, s.Table.Cites)
				}
				if s.Quote != nil {
					check(s.Quote.Text, s.Quote.Cites)
				}
			}
			for _, q := range a.questions.Questions {
				check(q.Prompt, q.Cites)
				if q.Explanation == "" || !strings.Contains(q.Explanation, strings.TrimPrefix(q.Cites[0].Quote, "")[:10]) {
					t.Errorf("%q is explained by %q", q.Prompt, q.Explanation)
				}
			}
			for _, m := range regexp.MustCompile(`\[\^(p\d+)\]`).FindAllStringSubmatch(a.lesson.Article, -1) {
				if text[m[1]] == "" {
					t.Errorf("the article cites %q, which is not there", m[1])
				}
			}
		})
	}
}

func TestLessonsHaveTheirForm(t *testing.T) {
	t.Parallel()
	for name, d := range documents(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := write(t, d)
			if n := len(a.lesson.Slides); n < 3 || n > 12 {
				t.Errorf("%d slides", n)
			}
			if n := len(a.questions.Questions); n < 3 || n > 8 {
				t.Errorf("%d questions", n)
			}
			if n := len(a.lesson.Objectives); n < 2 || n > 5 {
				t.Errorf("objectives: %q", a.lesson.Objectives)
			}
			titles := map[string]bool{}
			for _, s := range a.lesson.Slides {
				if titles[s.Title] || len([]rune(s.Title)) > 80 || s.Title == "" {
					t.Errorf("title %q", s.Title)
				}
				titles[s.Title] = true
				if s.Kind == "points" && (len(s.Points) < 2 || len(s.Points) > 5) {
					t.Errorf("slide %q has %d points", s.Title, len(s.Points))
				}
				for _, p := range s.Points {
					if n := len(strings.Fields(p.Text)); n > 14 || n < 4 {
						t.Errorf("point %q", p.Text)
					}
				}
				reveals := 0
				for _, n := range s.Narration {
					if n.Reveals < reveals || n.Reveals > len(s.Points) {
						t.Errorf("%q reveals %d after %d of %d", n.Text, n.Reveals, reveals, len(s.Points))
					}
					reveals = n.Reveals
				}
				if reveals != len(s.Points) {
					t.Errorf("slide %q ends with %d of %d points visible", s.Title, reveals, len(s.Points))
				}
			}
			for _, q := range a.questions.Questions {
				if q.Key < 0 || q.Key >= len(q.Choices) || len(q.Choices) < 3 {
					t.Errorf("%+v", q)
				}
				if len(slices.Compact(slices.Sorted(slices.Values(q.Choices)))) != len(q.Choices) {
					t.Errorf("the same choice twice: %q", q.Choices)
				}
			}
		})
	}
}

func TestNarrationIsSpeech(t *testing.T) {
	t.Parallel()
	unspeakable := regexp.MustCompile(`(?i)^(This|It|However|They|Dies|Cela|Ce|Il)\b|www\.|https?:|[{}<>|_=]|\bFigure \d|\bAbbildung \d|Fl\(3\)`)
	for name, d := range documents(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range write(t, d).lesson.Slides {
				for _, n := range s.Narration {
					if unspeakable.MatchString(n.Text) || !strings.ContainsAny(n.Text[len(n.Text)-1:], ".!?:") {
						t.Errorf("the narrator would say %q", n.Text)
					}
				}
			}
		})
	}
}

func TestOutlineFollowsTheHeadings(t *testing.T) {
	t.Parallel()
	a := write(t, documents(t)["lighthouse.en.md"])
	if a.outline.Title != "Lighthouses" {
		t.Errorf("title %q", a.outline.Title)
	}
	if len(a.outline.Modules) != 1 || len(a.outline.Modules[0].Lessons) != 2 {
		t.Fatalf("outline: %+v", a.outline)
	}
	if !strings.HasPrefix(a.outline.Summary, "A lighthouse is a tower") {
		t.Errorf("summary %q", a.outline.Summary)
	}
	seen := []string{}
	for _, l := range a.outline.Modules[0].Lessons {
		seen = append(seen, l.Sections...)
	}
	for _, s := range []string{"s1", "s8"} { // preface and index
		if slices.Contains(seen, s) {
			t.Errorf("section %s is taught: %v", s, seen)
		}
	}
	if !slices.IsSortedFunc(seen, strings.Compare) || len(seen) < 5 {
		t.Errorf("sections %v", seen)
	}
}

// Two sentences before the first chapter, or a chapter of two, are no lesson, however
// many are wanted: they go with a neighbour, and no other chapter is joined for it.
func TestEveryLessonHasEnoughToSay(t *testing.T) {
	t.Parallel()
	const little = "Bees are kept for honey. This guide is for people who begin."
	much := strings.Repeat("A colony has one queen, who lays as many as two thousand eggs a day in summer. ", 5)
	for name, c := range map[string]struct {
		text string
		want [][]string // the lessons' sections
	}{
		"the beginning": {"# Bees\n\n" + little + "\n\n## Colony\n\n" + much + "\n\n## Hive\n\n" + much, [][]string{{"s0", "s1"}, {"s2"}}},
		"the end":       {"# Colony\n\n" + much + "\n\n# Hive\n\n" + much + "\n\n# Tools\n\n" + little, [][]string{{"s0"}, {"s1", "s2"}}},
		"the whole":     {"# Bees\n\n" + little + "\n\n# Tools\n\n" + little, [][]string{{"s0", "s1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := parse("en", c.text)
			sections, err := json.Marshal(d.sections)
			if err != nil {
				t.Fatal(err)
			}
			var a answers
			ask(t, "outline", map[string]string{"language": "en", "lessons": "3", "sections": string(sections)}, d.opening, &a.outline)
			var got [][]string
			for _, m := range a.outline.Modules {
				for _, l := range m.Lessons {
					got = append(got, l.Sections)
				}
			}
			if !slices.EqualFunc(got, c.want, slices.Equal) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestSpecialSlides(t *testing.T) {
	t.Parallel()
	kinds := map[string]int{}
	for _, s := range write(t, documents(t)["lighthouse.en.md"]).lesson.Slides {
		kinds[s.Kind]++
		if s.Quote != nil && s.Quote.Attribution != "Ida Lewis" {
			t.Errorf("quote: %+v", s.Quote)
		}
		if s.Table != nil && !slices.Equal(s.Table.Header, []string{"Order", "Focal length", "Use"}) {
			t.Errorf("table: %+v", s.Table)
		}
	}
	if kinds["code"] != 1 || kinds["table"] != 1 || kinds["quote"] != 1 {
		t.Errorf("kinds: %v", kinds)
	}
}

func TestTheSameTextGivesTheSameCourse(t *testing.T) {
	t.Parallel()
	d := documents(t)["lighthouse.en.md"]
	first, _ := json.Marshal(writeAgain(t, d).lesson)
	for range 2 {
		if again, _ := json.Marshal(writeAgain(t, d).lesson); string(again) != string(first) {
			t.Fatal("the lesson differs")
		}
	}
}

func TestItNeverInvents(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{"outline", "lesson", "questions", "poem", ""} {
		_, err := offline.Model{}.Complete(t.Context(), llm.Request{Schema: &llm.Schema{Name: schema}})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "OPENAI_API_KEY") {
			t.Errorf("%s: %v", schema, err)
		}
	}
}

func TestItDoesNotTranslate(t *testing.T) {
	t.Parallel()
	d := documents(t)["brot.de.md"]
	_, err := offline.Model{}.Complete(t.Context(), llm.Request{
		Schema: &llm.Schema{Name: "lesson"}, Passages: d.passages, Inputs: map[string]string{"language": "fr-FR"},
	})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "translate") {
		t.Errorf("%v", err)
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	d := documents(t)["lighthouse.en.md"]
	llmtest.Run(t, offline.Model{}, llm.Request{
		Schema: &llm.Schema{Name: "lesson", JSON: json.RawMessage(`{"type":"object"}`)}, Passages: d.passages,
	})
}
