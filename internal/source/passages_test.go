package source

import (
	"os"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/source/extract"
)

func TestMain(m *testing.M) {
	extract.ChildMain()
	os.Exit(m.Run())
}

// blocks draws the blocks of a document, long and short, in scripts with and
// without spaces.
func blocks(t *rapid.T) []extract.Block {
	word := rapid.SampledFrom([]string{"the", "network", "路由器", "émigré", "x", "e.g.", "Yes.", "No!", "是。", "🙂", "self-made"})
	kind := rapid.SampledFrom([]extract.Kind{extract.Heading, extract.Prose, extract.Prose, extract.List, extract.Code, extract.Table, extract.Quote})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) extract.Block {
		b := extract.Block{Kind: kind.Draw(t, "kind"), Page: rapid.IntRange(0, 9).Draw(t, "page")}
		n := rapid.SampledFrom([]int{1, 5, 40, 180, 900}).Draw(t, "words")
		space := rapid.SampledFrom([]string{" ", " ", "\n", ""}).Draw(t, "space")
		if b.Kind == extract.Heading {
			b.Level, n, space = rapid.IntRange(1, 6).Draw(t, "level"), 3, " "
		}
		vocabulary := rapid.SliceOfN(word, 4, 4).Draw(t, "vocabulary")
		for i := range n {
			if i > 0 {
				b.Text += space
			}
			b.Text += vocabulary[i%4]
		}
		return b
	}), 1, 20).Draw(t, "blocks")
}

func TestPassagesTileTheText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := extract.NewDocument(blocks(t))
		passages := Cut(doc)
		text := []rune(doc.Text)
		covered := make([]int, len(text))
		for i, p := range passages {
			if p.Position != i || p.Start < 0 || p.Start >= p.End || p.End > len(text) {
				t.Fatalf("passage %d: %+v", i, p)
			}
			if got := string(text[p.Start:p.End]); got != p.Text {
				t.Fatalf("passage %d: its offsets give %q, its text is %q", i, got, p.Text)
			}
			if !utf8.ValidString(p.Text) {
				t.Fatalf("passage %d cuts a character", i)
			}
			for at := p.Start; at < p.End; at++ {
				covered[at]++
			}
			if limit := map[bool]int{true: intactWords, false: mostWords}[p.Kind == extract.Code || p.Kind == extract.Table]; p.Words > limit+1 {
				t.Fatalf("passage %d has %d words", i, p.Words)
			}
		}
		for _, b := range doc.Blocks {
			for at := b.Start; at < b.End; at++ {
				switch n := covered[at]; {
				case b.Kind == extract.Heading && n != 0:
					t.Fatalf("a passage crosses the heading %q", b.Text)
				case b.Kind != extract.Heading && n > 1, b.Kind != extract.Heading && n == 0 && text[at] != ' ' && text[at] != '\n':
					t.Fatalf("%d passages hold character %d", n, at)
				}
			}
		}
	})
}
