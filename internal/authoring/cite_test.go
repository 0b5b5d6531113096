package authoring

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/source"
)

// passageText draws running text in several scripts.
func passageText() *rapid.Generator[string] {
	word := rapid.SampledFrom([]string{
		"the", "router", "joins", "two", "networks", "émigré", "Straße", "路由器", "连接", "two,", "“quoted”", "10.0.0.1",
		"3.14", "naïve", "–", "🙂", "don't", "e.g.", "IPv6", "end.", "(really)", "\n", "İstanbul", "x",
	})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(word, 5, 80).Draw(t, "words"), " ")
	})
}

func TestEvidenceStandsInTheSource(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before := passageText().Draw(t, "before")
		text := passageText().Draw(t, "text")
		p := source.Passage{ID: "psg_1", Source: "src_1", Text: text, Start: utf8.RuneCountInString(before)}
		p.End = p.Start + utf8.RuneCountInString(text)
		runes := []rune(text)
		from := rapid.IntRange(0, len(runes)-1).Draw(t, "from")
		to := rapid.IntRange(from+1, len(runes)).Draw(t, "to")
		quote := string(runes[from:to])
		if rapid.Bool().Draw(t, "copied badly") {
			quote = strings.ToUpper(strings.Join(strings.Fields(quote), "  "))
			quote = strings.NewReplacer("“", "\"", "”", "\"", ",", "", "–", "-").Replace(quote)
		}
		e, ok := evidence(p, quote)
		if !ok {
			if strings.Contains(text, quote) {
				t.Fatalf("%q was not found in %q", quote, text)
			}
			return
		}
		whole := []rune(before + text)
		if e.Start < p.Start || e.End > p.End || e.Start >= e.End {
			t.Fatalf("%+v lies outside of the passage %d–%d", e, p.Start, p.End)
		}
		if e.Quote != "" && string(whole[e.Start:e.End]) != e.Quote {
			t.Fatalf("at %d–%d stands %q, not %q", e.Start, e.End, string(whole[e.Start:e.End]), e.Quote)
		}
		if !stands(e, p) {
			t.Fatalf("%+v does not stand in its own passage", e)
		}
	})
}

func TestLocate(t *testing.T) {
	t.Parallel()
	const text = "A router joins two networks, and passes\npackets from “one” to the other. Nothing else does."
	for _, c := range []struct{ quote, want string }{
		{"joins two networks", "joins two networks"},
		{"joins  two networks and passes packets", "joins two networks, and passes\npackets"},
		{"PASSES PACKETS FROM \"ONE\" TO THE OTHER", "passes\npackets from “one” to the other"},
		{"a router connects two networks, and passes packets from one", "A router joins two networks, and passes\npackets from “one"},
		{"the moon is made of cheese", ""},
		{"…", ""},
	} {
		from, to, ok := locate(text, c.quote)
		if ok != (c.want != "") || ok && text[from:to] != c.want {
			t.Errorf("%q: %v %q", c.quote, ok, text[from:to])
		}
	}
}

func TestFootnotesAreRenumbered(t *testing.T) {
	t.Parallel()
	s := shown{passages: []source.Passage{{ID: "psg_1", Text: "a"}, {ID: "psg_2", Text: "b"}, {ID: "psg_3", Text: "c"}}}
	article, citations := s.footnotes("One.[^p3] Two.[^p1][^p3] Three.[p9] Four.[^p2]")
	if article != "One.[^p1] Two.[^p2][^p1] Three. Four.[^p3]" {
		t.Errorf("%q", article)
	}
	if len(citations) != 3 || citations[0].Passage != "psg_3" || citations[1].Passage != "psg_1" || citations[2].Passage != "psg_2" {
		t.Errorf("%+v", citations)
	}
}

func TestArticlesHaveNoLinks(t *testing.T) {
	t.Parallel()
	s := shown{passages: []source.Passage{{ID: "psg_1", Text: "The archive is at http://archive.example.org/debian today."}}}
	for in, want := range map[string]string{
		"See ![a chart](https://evil.example/x.png?q=1).[^p1]":       "See a chart.[^p1]",
		"A [link](https://evil.example) and [one][ref].":             "A link and one.",
		"Text\n\n[ref]: https://evil.example\n\nMore.":               "Text\n\n\n\nMore.",
		"Go to https://evil.example/a or javascript://x now.":        "Go to  or  now.",
		"It is at http://archive.example.org/debian, says the book.": "It is at http://archive.example.org/debian, says the book.",
		"A list `a[i](x)` stays, and so do [^p1][^p1] and [ok].":     "A list `ai` stays, and so do [^p1][^p1] and [ok].",
	} {
		if got, _ := s.footnotes(in); got != want {
			t.Errorf("%q\nbecame %q\nnot    %q", in, got, want)
		}
	}
}

func TestBudgetKeepsTheBeginningsOfSections(t *testing.T) {
	t.Parallel()
	var all []source.Passage
	for _, heading := range []string{"A", "B"} {
		for i := range 5 {
			all = append(all, source.Passage{ID: heading + string(rune('0'+i)), Heading: []string{heading}, Position: len(all), Text: strings.Repeat("word ", 80)})
		}
	}
	var kept []string
	for _, p := range within(all, 500) {
		kept = append(kept, p.ID)
	}
	if got := strings.Join(kept, " "); got != "A0 A1 B0 B1" {
		t.Errorf("kept %s", got)
	}
	if n := len(within(all, 1<<20)); n != 10 {
		t.Errorf("kept %d of 10", n)
	}
}

func TestChecker(t *testing.T) {
	t.Parallel()
	p := source.Passage{ID: "psg_1", Source: "src_1", Heading: []string{"Cables"}, Text: "An Ethernet cable may be up to 100 meters long. It was standardized by IEEE in 1983.", Start: 7}
	p.End = p.Start + utf8.RuneCountInString(p.Text)
	c := &checker{passages: map[string]source.Passage{p.ID: p}, titles: "Home networks\nCables", language: "en", sourced: true}
	good, ok := evidence(p, "up to 100 meters long")
	if !ok {
		t.Fatal("the quote was not found")
	}
	for text, fine := range map[string]bool{
		"An Ethernet cable reaches 100 meters":                       true,
		"Ethernet cables may be up to 100 meters long":               true,
		"An Ethernet cable reaches 200 meters":                       false,
		"The standard came from IEEE in 1983":                        true,
		"The standard came from Xerox in 1983":                       false,
		"Penguins breed during winter on Antarctic coastal glaciers": false,
	} {
		if wrong := c.wrongWith(text, []course.Evidence{good}); (wrong == "") != fine {
			t.Errorf("%q: %q", text, wrong)
		}
	}
	bad := good
	bad.Start++
	bad.End++
	gone := good
	gone.Passage = "psg_2"
	for name, e := range map[string]course.Evidence{"moved": bad, "gone": gone} {
		if c.wrongWith("An Ethernet cable reaches 100 meters", []course.Evidence{e}) == "" {
			t.Errorf("%s evidence was accepted", name)
		}
	}
	for text, says := range map[string]bool{
		"Let us look at cables.": false, "Next: Home networks.": false, "In 1983 everything changed.": true,
		"Robert Metcalfe invented it.": true,
	} {
		if c.saysSomething(text) != says {
			t.Errorf("%q", text)
		}
	}
}

func TestSpeech(t *testing.T) {
	t.Parallel()
	for text, fine := range map[string]bool{
		"A router joins two networks.":          true,
		"See https://example.org for more.":     false,
		"Edit /etc/network/interfaces first.":   false,
		"It is set in “/etc/fstab” at first.":   false,
		"Call main() to begin.":                 false,
		"As figure 3 shows, it is fast.":        false,
		"The range is 10 to 20 meters, always.": true,
	} {
		if wrong := wrongWithSpeech(text); (wrong == "") != fine {
			t.Errorf("%q: %q", text, wrong)
		}
	}
}
