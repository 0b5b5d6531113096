package deck

import (
	"bytes"
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/course"
)

func TestEachPointAddsInk(t *testing.T) {
	t.Parallel()
	d := open(t)
	for name, slide := range slides() {
		l := d.Set(page(slide))
		c := NewCanvas()
		l.Draw(c, 0, 0)
		before := inked(c.RGBA, c.RGBA.Rect)
		if l.Steps() != len(slide.Points)+1 {
			t.Errorf("%s: %d steps for %d points", name, l.Steps(), len(slide.Points))
		}
		for n := 1; n < l.Steps(); n++ {
			l.Draw(c, n, n)
			after := inked(c.RGBA, c.RGBA.Rect)
			if after < before+200 {
				t.Errorf("%s: point %d adds %d pixels", name, n, after-before)
			}
			before = after
		}
		l.Close()
	}
}

// Drawing the points one after the other gives the same picture as all at once, and
// converting only the rows that changed the same as converting all.
func TestStepsAddUp(t *testing.T) {
	t.Parallel()
	d := open(t)
	for name, slide := range slides() {
		l := d.Set(page(slide))
		one, all := NewCanvas(), NewCanvas()
		for n := range l.Steps() {
			l.Draw(one, n, n)
		}
		l.Draw(all, 0, l.Steps()-1)
		l.Close()
		if string(one.RGBA.Pix) != string(all.RGBA.Pix) || string(one.YCbCr.Y) != string(all.YCbCr.Y) || string(one.YCbCr.Cb) != string(all.YCbCr.Cb) {
			t.Errorf("%s: the pictures differ", name)
		}
	}
}

// Characters that mean something to shells and filters are just drawn: each adds
// its ink, and white space of any kind is a space.
func TestHostileText(t *testing.T) {
	t.Parallel()
	d := open(t)
	draw := func(title string) *image.RGBA {
		l := d.Set(page(course.Slide{Kind: course.PointsSlide, Title: title}))
		defer l.Close()
		c := NewCanvas()
		l.Draw(c, 0, 0)
		return c.RGBA
	}
	plain := draw("A title")
	for _, r := range `%':\{}[];,="$#&<>` + "`" {
		if got := draw("A title" + string(r)); inked(got, got.Rect) <= inked(plain, plain.Rect) {
			t.Errorf("%q adds no ink", r)
		}
	}
	for _, same := range []string{"A\ntitle", "A \t\r\n title", " A title\x00 ", "A\u2028title"} {
		if got := draw(same); string(got.Pix) != string(plain.Pix) {
			t.Errorf("%q is drawn otherwise than %q", same, "A title")
		}
	}
}

// Every script is drawn with letters of a font, where the machine has Noto's fonts.
func TestScripts(t *testing.T) {
	t.Parallel()
	l := newLibrary()
	if l.path("NotoSansArabic-Regular.ttf") == "" || l.path("NotoSansCJK-Regular.ttc") == "" {
		t.Skip("Noto's fonts are not installed")
	}
	p := newPress(l)
	for lang, text := range map[string]string{
		"ar": "الحزم: كيف تصل البرامج؟", "he": "שלום עולם", "hi": "नमस्ते क्षत्रिय", "ja": "日本語のカタカナ", "zh": "软件包",
		"ko": "한국어", "th": "ภาษาไทย", "el": "Ελληνικά", "ru": "Русский", "vi": "Tiếng Việt", "am": "አማርኛ", "ta": "தமிழ்", "ka": "ქართული",
	} {
		for _, bold := range []role{body, display, mono} {
			b := p.set(text, style{role: bold, size: 60, leading: 1.3, ink: ink, lang: lang}, inner)
			for _, line := range b.lines {
				for _, run := range line.runs {
					for _, g := range run.Glyphs {
						if g.GlyphID == 0 {
							t.Errorf("%s: %q has a missing letter", lang, text)
						}
					}
				}
			}
			c := NewCanvas()
			clear(c.RGBA, paper)
			p.draw(c.RGBA, b, 100, 100, inner, left)
			if n := inked(c.RGBA, c.RGBA.Rect); n < 500 {
				t.Errorf("%s: %q has %d pixels of ink", lang, text, n)
			}
		}
	}
}

// A page in Arabic is the mirror of one in English: ink begins at the right.
func TestRightToLeft(t *testing.T) {
	t.Parallel()
	d := open(t)
	p := page(course.Slide{Kind: course.PointsSlide, Title: "الحزم", Points: []course.Point{{Text: "كل أرشيف موقّع"}}})
	p.Language = "ar"
	l := d.Set(p)
	defer l.Close()
	c := NewCanvas()
	l.Draw(c, 0, 1)
	body := image.Rect(0, 60, Width, bodyBottom)
	half := body
	half.Max.X = Width / 2
	if all, left := inked(c.RGBA, body), inked(c.RGBA, half); all < 1000 || left > 0 {
		t.Errorf("%d of %d pixels of ink are on the left", left, all)
	}
}

// Emoji that no font has are left out; joiners and marks do not break anything.
func TestOddCharacters(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, text := range []string{
		"party 🎉👩‍👩‍👧 ✅", strings.Repeat("a\u0301\u0302\u0303", 300), "\u202eevil\u202c", "\ufeff\u200b\u200d", "\xff\xfe broken", "", "   ", "\U000e0001",
		strings.Repeat("w", 300), strings.Repeat("لا", 150), "١٢٣ abc ٤٥٦ \u0600 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ﷺ ﷽",
	} {
		s := course.Slide{Kind: course.PointsSlide, Title: text, Points: []course.Point{{Text: text}, {Text: text}}}
		within(t, d, page(s), fmt.Sprintf("%.40q", text))
	}
}

// Whatever stands on a slide, it stays between the margins.
func TestNothingOverflows(t *testing.T) {
	t.Parallel()
	d := open(t)
	word := rapid.OneOf(rapid.StringMatching(`[a-zA-Z]{1,14}`), rapid.SampledFrom([]string{
		"incomprehensibilities", "https://example.org/a/very/long/path/that/never/ends?and=more", "日本語の長い文章", "المصطلحات", "क्षत्रिय", "ÁÉÍÓÚ", "{%':\\}",
	}))
	text := func(words int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(word, 1, words).Draw(t, "words"), " ")
		})
	}
	checks := 6
	if testing.Short() {
		checks = 3
	}
	for range checks {
		seed := rand.Int()
		s := rapid.Custom(func(t *rapid.T) course.Slide {
			s := course.Slide{Kind: rapid.SampledFrom([]course.SlideKind{course.PointsSlide, course.CodeSlide, course.TableSlide, course.QuoteSlide}).Draw(t, "kind"), Title: text(24).Draw(t, "title")}
			for range rapid.IntRange(0, 6).Draw(t, "points") {
				s.Points = append(s.Points, course.Point{Text: text(30).Draw(t, "point")})
			}
			s.Code = &course.Code{Language: rapid.SampledFrom([]string{"", "go", "bash", "python", "html", "none such"}).Draw(t, "language"), Text: strings.Join(rapid.SliceOfN(text(12), 1, 40).Draw(t, "code"), "\n")}
			s.Table = &course.Table{Header: rapid.SliceOfN(text(3), 1, 6).Draw(t, "header"), Rows: rapid.SliceOfN(rapid.SliceOfN(text(8), 0, 6), 0, 9).Draw(t, "rows")}
			s.Quote = &course.Quote{Text: text(120).Draw(t, "quote"), Attribution: text(10).Draw(t, "by")}
			return s
		}).Example(seed)
		within(t, d, page(s), fmt.Sprintf("seed %d: %s slide with %d points", seed, s.Kind, len(s.Points)))
	}
}

// within checks that the page's margins are empty.
func within(t *testing.T, d *Deck, p Page, what string) {
	t.Helper()
	l := d.Set(p)
	defer l.Close()
	c := NewCanvas()
	l.Draw(c, 0, l.Steps()-1)
	const slack = 24 // italics and marks lean out a little
	for name, margin := range map[string]image.Rectangle{
		"left":   image.Rect(0, 0, margin-slack, Height-barHeight-1),
		"right":  image.Rect(Width-margin+slack, 0, Width, Height-barHeight-1),
		"top":    image.Rect(0, 0, Width, 60),
		"bottom": image.Rect(0, bodyBottom+slack, Width, footerTop-4),
	} {
		if n := inked(c.RGBA, margin); n > 0 {
			t.Errorf("%s: %d pixels in the %s margin", what, n, name)
		}
	}
}

func TestCodeKeepsItsColors(t *testing.T) {
	t.Parallel()
	l := newLibrary()
	c := newComposer(newPress(l), Page{Number: 1})
	for lang, code := range map[string]string{"go": "func main() {}", "python": "def main(): pass", "bash": "if true; then", "sql": "SELECT 1", "javascript": "const a = 1", "html": "<p>x</p>"} {
		keywords := 0
		for _, line := range c.highlight(code, lang) {
			for _, ink := range line.inks {
				if ink == codeKeyword {
					keywords++
				}
			}
		}
		if keywords == 0 {
			t.Errorf("%s: no keyword in %q", lang, code)
		}
	}
	for _, lang := range []string{"", "no such language", "../../etc/passwd"} {
		if lines := c.highlight("a\n\tb\n", lang); len(lines) < 2 || strings.TrimSpace(lines[1].text) != "b" {
			t.Errorf("%q: %+v", lang, lines)
		}
	}
}

// Luma and chroma are what BT.709 says of known colours, in limited range.
func TestConvert(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rgb       uint32
		y, cb, cr uint8
	}{{0x000000, 16, 128, 128}, {0xffffff, 235, 128, 128}, {0xff0000, 63, 102, 240}, {0x00ff00, 173, 42, 26}, {0x0000ff, 32, 240, 118}, {0x808080, 126, 128, 128}} {
		canvas := NewCanvas()
		clear(canvas.RGBA, hex(c.rgb))
		convert(canvas.YCbCr, canvas.RGBA, 0, Height)
		got := [3]uint8{canvas.YCbCr.Y[7], canvas.YCbCr.Cb[7], canvas.YCbCr.Cr[7]}
		for i, want := range [3]uint8{c.y, c.cb, c.cr} {
			if math.Abs(float64(got[i])-float64(want)) > 1 {
				t.Errorf("%06x: got %v, want %d %d %d", c.rgb, got, c.y, c.cb, c.cr)
				break
			}
		}
	}
}

func TestMix(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "from")
		to := rapid.SliceOfN(rapid.Byte(), len(from), len(from)).Draw(t, "to")
		weight := rapid.Uint64Range(0, 256).Draw(t, "weight")
		got := make([]byte, len(from))
		mix(got, from, to, weight)
		for i := range got {
			want := (uint64(from[i])*(256-weight) + uint64(to[i])*weight + 128) >> 8
			if uint64(got[i]) != want {
				t.Fatalf("byte %d: %d and %d at %d give %d, want %d", i, from[i], to[i], weight, got[i], want)
			}
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	d := open(t)
	var wg sync.WaitGroup
	pictures := make([]string, 4)
	for i := range pictures {
		wg.Go(func() {
			l := d.Set(page(slides()["code"]))
			defer l.Close()
			c := NewCanvas()
			l.Draw(c, 0, l.Steps()-1)
			pictures[i] = string(c.RGBA.Pix)
		})
	}
	wg.Wait()
	for i := range pictures {
		if pictures[i] != pictures[0] {
			t.Errorf("picture %d differs", i)
		}
	}
}

func open(t *testing.T) *Deck {
	t.Helper()
	d := New()
	return d
}

func page(s course.Slide) Page {
	return Page{Language: "en", Course: "The Debian Administrator’s Handbook", Lesson: "Packages: how software arrives", Number: 3, Total: 8, Slide: s}
}

func slides() map[string]course.Slide {
	points := []course.Point{{Text: "It carries files and scripts"}, {Text: "Its control file names what it needs"}}
	return map[string]course.Slide{
		"points": {Kind: course.PointsSlide, Title: "A package is more than an archive", Points: points},
		"code":   {Kind: course.CodeSlide, Title: "Ten lines of Go", Points: points, Code: &course.Code{Language: "go", Text: "func main() {\n\tprintln(\"hello\") // world\n}"}},
		"table":  {Kind: course.TableSlide, Title: "Three suites", Points: points, Table: &course.Table{Header: []string{"Suite", "Changes"}, Rows: [][]string{{"stable", "fixes only"}, {"testing"}}}},
		"quote":  {Kind: course.QuoteSlide, Title: "The promise", Points: points, Quote: &course.Quote{Text: "We will be guided by the needs of our users.", Attribution: "Debian Social Contract"}},
	}
}

// inked counts the pixels of a part that are not paper.
func inked(img *image.RGBA, part image.Rectangle) int {
	n := 0
	blank := bytes.Repeat([]byte{paper.R, paper.G, paper.B, paper.A}, part.Dx())
	for y := part.Min.Y; y < part.Max.Y; y++ {
		row := img.Pix[img.PixOffset(part.Min.X, y):][:4*part.Dx()]
		if bytes.Equal(row, blank) { // most rows are
			continue
		}
		for x := 0; x < len(row); x += 4 {
			if string(row[x:x+4]) != string(blank[:4]) {
				n++
			}
		}
	}
	return n
}
