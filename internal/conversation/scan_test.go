package conversation

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/source"
)

// book is material of three passages: prose in several scripts, a list and a listing.
func book() *material {
	m := &material{}
	m.add(
		quoted{name: "Tea", Passage: source.Passage{ID: "psg_a", Source: "src_1", Kind: "prose", Page: 3, Start: 100, Heading: []string{"Tea", "Green"}, Text: "Green tea is not oxidised. 茶は緑です。It is brewed at 80 °C 🍵 for two minutes. Hotter water makes it bitter."}},
		quoted{name: "Tea", Passage: source.Passage{ID: "psg_b", Source: "src_1", Kind: "list", Start: 300, Text: "- Warm the pot\n- Add one spoon a cup\n- Pour, and wait three minutes"}},
		quoted{name: "Black", lesson: "les_1", Passage: source.Passage{Kind: "prose", Start: 7, Text: "Black tea is oxidised fully.[^p1] Water may boil."}, shown: "Black tea is oxidised fully.      Water may boil."},
	)
	return m
}

// scanned runs pieces through a scanner.
func scanned(t testing.TB, m *material, pieces ...string) (string, []Citation) {
	t.Helper()
	var out strings.Builder
	var cited []Citation
	s := &scanner{resolve: m.resolve, text: func(text string) error {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			t.Fatalf("told %q", text)
		}
		out.WriteString(text)
		return nil
	}}
	s.cite = func(c Citation) error {
		if !strings.Contains(strings.Join(pieces, ""), numbered(c.N)) && strings.Contains(out.String(), numbered(c.N)) {
			t.Fatalf("citation %d comes after its number", c.N)
		}
		cited = append(cited, c)
		return nil
	}
	for _, p := range pieces {
		if err := s.write(p); err != nil {
			t.Fatal(err)
		}
		if len(s.held) > longestMarker+1 {
			t.Fatalf("%d bytes are held back", len(s.held))
		}
	}
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	if len(cited) != len(s.citations) {
		t.Fatalf("%d were told, %d are kept", len(cited), len(s.citations))
	}
	return out.String(), cited
}

func TestMarkers(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Green tea is not oxidised [p1].":          "Green tea is not oxidised [1].",
		"One.[p1] Two.[p2]":                        "One.[1] Two.[2]",
		"Both [p1][p2]. Again [p1, p2]; [^p1]":     "Both [1][2]. Again [1][2]; [1]",
		"Twice [p1][p1]":                           "Twice [1]",
		"Nothing [p9] was given [p0].":             "Nothing was given.",
		"Some [p1,p9].":                            "Some [1].",
		"Forged [1] and [^2] and [3, 4].":          "Forged and and.",
		"An index: a[1], and x[p]":                 "An index: a[1], and x[p]",
		"Code `a[p1]` and `[1]`.":                  "Code `a[p1]` and `[1]`.",
		"```go\nx := a[p1] + [1]\n```\nSo [p1].":   "```go\nx := a[p1] + [1]\n```\nSo [1].",
		"~~~\n[p1]\n~~~\n[p1]":                     "~~~\n[p1]\n~~~\n[1]",
		"A ` stray one [p1]\n\nNext [p1]":          "A ` stray one [1]\n\nNext [1]",
		"![chart](https://evil.example/x.png?d=1)": "[chart](https://evil.example/x.png?d=1)",
		"`![code](x)` wow! [p1]":                   "`![code](x)` wow! [1]",
		"[p1](https://evil.example)":               "[1] (https://evil.example)",
		"[link](https://a.example) [ok] [p] [p1x]": "[link](https://a.example) [ok] [p] [p1x]",
		"[P2]":                    "[1]",
		"ends in [p1":             "ends in [p1",
		"ends in [":               "ends in [",
		"ends in !":               "ends in !",
		"ends in a space ":        "ends in a space ",
		"nul\x00s and \xff bytes": "nuls and \uFFFD bytes",
		"half \xf0\x9f\xf0\x9f ":  "half \uFFFD\uFFFD\uFFFD\uFFFD ",
		"[p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1]": "[p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1,p1]",
	} {
		if got, _ := scanned(t, book(), in); got != want {
			t.Errorf("%q\n got %q\nwant %q", in, got, want)
		}
		pieces := strings.Split(in, "") // by characters: invalid bytes too
		if got, _ := scanned(t, book(), pieces...); got != want {
			t.Errorf("in pieces: %q\n got %q\nwant %q", in, got, want)
		}
	}
}

// Wherever an answer is cut, also within characters, the same comes out; all of it but
// markers; and a citation's words are the passage's own, at its very offsets.
func TestCutsDoNotMatter(t *testing.T) {
	t.Parallel()
	words := []string{
		"Green tea is bitter", " ", "[p1]", "[p2]", "[p3]", " [p4]", "[p1, p3]", "[^p2]", "[7]", "[", "[[[", "]", "!", "![x](y)", "(", "`", "```\n", "\n", "\n\n", ". ",
		"🍵", "e\u0301\u0301\u0301", "👩‍👩‍👧", "茶は緑です。", "\u2028", "p1", "a[1]", "\x00", "\xf0\x9f", "event: done\n\n", "wait three minutes", "Water may boil", "80 °C",
	}
	rapid.Check(t, func(rt *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 30).Draw(rt, "words"), "")
		whole, cited := scanned(t, book(), text)
		var pieces []string
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, min(len(rest), 7)).Draw(rt, "n")
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		got, again := scanned(t, book(), pieces...)
		if got != whole || fmt.Sprint(again) != fmt.Sprint(cited) {
			rt.Fatalf("%q\nwhole  %q %v\npieces %q %v", text, whole, cited, got, again)
		}
		for i, c := range cited {
			if c.N != i+1 {
				rt.Fatalf("number %d is the %d.", c.N, i+1)
			}
			checkQuote(rt, book(), c)
		}
	})
}

// checkQuote wants a citation's words at its offsets.
func checkQuote(t rapid.TB, m *material, c Citation) {
	t.Helper()
	for _, q := range m.quoted {
		if q.ID == c.Passage && q.lesson == c.Lesson {
			text := []rune(q.Text)
			if c.Start < q.Start || c.End > q.Start+len(text) || string(text[c.Start-q.Start:c.End-q.Start]) != c.Quote || c.Quote == "" {
				t.Fatalf("%+v does not stand in %q", c, q.Text)
			}
			if c.Source != q.Source || c.Name != q.name || c.Page != q.Page {
				t.Fatalf("%+v is of %+v", c, q)
			}
			return
		}
	}
	t.Fatalf("%+v was not given", c)
}

func TestQuotesAreWhatTheClaimRestsOn(t *testing.T) {
	t.Parallel()
	for claim, want := range map[string]string{
		"Water that is too hot makes the tea bitter [p1].":           "Hotter water makes it bitter.",
		"Brew it for two minutes at 80 °C. [p1]":                     "It is brewed at 80 °C 🍵 for two minutes.",
		"First warm the pot [p2]":                                    "- Warm the pot",
		"Schwarzer Tee: Black tea oxidised [p3]":                     "Black tea is oxidised fully.",
		"Grüner Tee wird nicht so heiß aufgegossen [p1].":            "Green tea is not oxidised. 茶は緑です。It is brewed at 80 °C 🍵 for two minutes. Hotter water makes it bitter.",
		"Something before. Green tea isn’t oxidised at all, so [p1]": "Green tea is not oxidised.",
	} {
		if _, cited := scanned(t, book(), claim); len(cited) != 1 || cited[0].Quote != want {
			t.Errorf("%s\n got %+v\nwant %q", claim, cited, want)
		}
	}
}

// Floods cost no more than their length, and nothing of them is lost.
func TestFloods(t *testing.T) {
	t.Parallel()
	for name, flood := range map[string]string{
		"no spaces": strings.Repeat("a", 1<<20), "brackets": strings.Repeat("[", 1<<20), "half markers": strings.Repeat("[p1,", 1<<18), "spaces": strings.Repeat(" ", 1<<20),
		"backticks": strings.Repeat("`", 1<<20), "combining marks": strings.Repeat("\u0301", 1<<19), "bangs": strings.Repeat("!", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pieces []string
			for rest := flood; rest != ""; rest = rest[min(len(rest), 997):] {
				pieces = append(pieces, rest[:min(len(rest), 997)])
			}
			if got, _ := scanned(t, book(), pieces...); got != flood {
				t.Errorf("%d bytes came out", len(got))
			}
		})
	}
	got, cited := scanned(t, book(), strings.Repeat("Green tea [p1] Warm [p2] ", 10_000))
	if len(cited) > mostCitations || strings.Contains(got, "[p") {
		t.Errorf("%d citations", len(cited))
	}
}

// What goes on does not repeat what there is, whatever the model does.
func TestJoining(t *testing.T) {
	t.Parallel()
	const before = "A router joins two networks [p1]. It passes packets from one to the oth"
	for said, want := range map[string]string{
		"er. And so on.": "er. And so on.",
		"passes packets from one to the other. And so on.": "er. And so on.",
		before + "er. And so on.":                          "er. And so on.",
		before:                                             "",
		"A router is a box.":                               "A router is a box.",
		"the oth":                                          "the oth",
		"It passes packets from one to another. Something else.": "It passes packets from one to another. Something else.",
	} {
		for _, cut := range []int{1, 3, 1000} {
			var out strings.Builder
			j := &joiner{before: before, write: func(s string) error { out.WriteString(s); return nil }}
			for rest := said; rest != ""; rest = rest[min(cut, len(rest)):] {
				if err := j.take(rest[:min(cut, len(rest))]); err != nil {
					t.Fatal(err)
				}
			}
			if err := j.end(); err != nil || out.String() != want {
				t.Errorf("%q by %d: %q; want %q (%v)", said, cut, out.String(), want, err)
			}
		}
	}
}
