package deck

import (
	"cmp"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"
)

// style is how text looks.
type style struct {
	role    role
	size    float64 // pixels
	leading float64 // line height in sizes
	ink     color.RGBA
	lang    string
	literal bool                   // code: no ligatures
	paint   func(r int) color.RGBA // ink of the r-th character; nil: ink for all
}

// block is text broken into lines that are ready to draw.
type block struct {
	style  style
	lines  []line
	Width  float64 // of the widest line
	Height float64
}

type line struct {
	runs     []shaping.Output
	width    float64
	top      float64 // from the block's top
	baseline float64
}

// maxRunes keeps hostile input from taking the machine; nothing on a slide is longer.
const maxRunes = 4096

// set shapes text and breaks it into lines of at most width pixels. White space,
// line ends included, becomes single spaces unless the style is literal.
func (p *press) set(text string, s style, width float64) *block {
	b := &block{style: s}
	runes := p.drawable(clean(text, s.literal), s)
	if len(runes) == 0 {
		return b
	}
	direction := di.DirectionLTR
	if rtl(runes) && !s.literal {
		direction = di.DirectionRTL
	}
	input := shaping.Input{
		Text: runes, RunStart: 0, RunEnd: len(runes), Direction: direction,
		Size: fixed.Int26_6(s.size * 64), Language: language.NewLanguage(cmp.Or(s.lang, "en")),
	}
	if s.literal {
		input.FontFeatures = []shaping.FontFeature{{Tag: opentype.MustNewTag("calt"), Value: 0}, {Tag: opentype.MustNewTag("liga"), Value: 0}}
	}
	var shaped []shaping.Output
	for _, run := range p.segmenter.Split(input, &chooser{press: p, role: s.role, lang: s.lang}) {
		shaped = append(shaped, p.shaper.Shape(run))
	}
	config := shaping.WrapConfig{Direction: direction, BreakPolicy: shaping.WhenNecessary}
	wrap := func(width int) []shaping.Line {
		fresh := slices.Clone(shaped)
		for i := range fresh {
			fresh[i].Glyphs = slices.Clone(fresh[i].Glyphs) // the wrapper takes the width of spaces at line ends
		}
		lines, _ := p.wrapper.WrapParagraph(config, width, runes, shaping.NewSliceIterator(fresh))
		return lines
	}
	for _, runs := range wrap(balanced(int(width), s, wrap)) {
		b.add(p, runs)
	}
	return b
}

// balanced gives the least width that breaks the text into no more lines: no word
// stands alone in a last line. Code keeps the width that it has.
func balanced(width int, s style, wrap func(int) []shaping.Line) int {
	lines := len(wrap(width))
	if lines < 2 || lines > 6 || s.literal {
		return width
	}
	low, high := width/2, width
	for high-low > 8 {
		if middle := (low + high) / 2; len(wrap(middle)) > lines {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// drawable leaves out symbols, such as emoji, that no font here has: a sentence
// without its emoji still says the same. A letter without a font stays, as a box.
func (p *press) drawable(runes []rune, s style) []rune {
	c := &chooser{press: p, role: s.role, lang: s.lang}
	return slices.DeleteFunc(runes, func(r rune) bool { return unicode.Is(unicode.So, r) && !c.has(r) })
}

// line sets text on one line and cuts what is too long.
func (p *press) line(text string, s style, width float64) *block {
	b := p.set(text, s, width)
	runes := clean(text, s.literal)
	for n := len(runes); len(b.lines) > 1 && n > 0; n = n * 9 / 10 {
		b = p.set(strings.TrimSpace(string(runes[:n]))+"…", s, width)
	}
	return b
}

// add appends a line; the wrapper's own slices live only until its next use.
func (b *block) add(p *press, runs shaping.Line) {
	runs = slices.Clone(runs)
	slices.SortFunc(runs, func(a, b shaping.Output) int { return cmp.Compare(a.VisualIndex, b.VisualIndex) })
	extents, _ := p.face(p.library.own()[b.style.role]).FontHExtents()
	scale := float32(b.style.size) / float32(p.library.own()[b.style.role].Upem())
	ascent, descent := float64(extents.Ascender*scale), float64(-extents.Descender*scale)
	l := line{runs: runs, top: b.Height}
	for _, r := range runs {
		l.width += pixels(r.Advance)
		// A script with tall letters gets room; the role's own face sets the rhythm otherwise.
		if len(r.Glyphs) > 0 {
			ascent = max(ascent, pixels(r.GlyphBounds.Ascent))
			descent = max(descent, -pixels(r.GlyphBounds.Descent))
		}
	}
	height := max(b.style.size*b.style.leading, ascent+descent)
	l.baseline = b.Height + (height-ascent-descent)/2 + ascent
	b.lines = append(b.lines, l)
	b.Width = max(b.Width, l.width)
	b.Height += height
}

// align says where lines stand in a box.
type align int

const (
	left align = iota
	right
	center
)

// draw paints the block into a box that begins at (x, y) and is width wide.
func (p *press) draw(dst *image.RGBA, b *block, x, y, width float64, a align) {
	for _, l := range b.lines {
		pen := x
		switch a {
		case right:
			pen += width - l.width
		case center:
			pen += (width - l.width) / 2
		}
		for _, run := range l.runs {
			for _, g := range run.Glyphs {
				ink := b.style.ink
				if b.style.paint != nil {
					ink = b.style.paint(g.TextIndex())
				}
				p.drawGlyph(dst, run.Face, font.GID(g.GlyphID), b.style.size,
					pen+pixels(g.XOffset), y+l.baseline-pixels(g.YOffset), ink)
				pen += pixels(g.Advance)
			}
		}
	}
}

// shrink tries make at falling scales until what it makes fits the height, and gives the last try.
func shrink(height float64, make func(scale float64) *sheet) *sheet {
	scale := 1.0
	for {
		s := make(scale)
		if s.height <= height || scale < 0.12 {
			return s
		}
		// Height falls faster than scale, since smaller text has fewer lines.
		scale *= max(0.7, min(0.96, math.Sqrt(height/s.height)))
	}
}

// clean gives the characters that can be drawn: no controls, and single spaces unless literal.
func clean(text string, literal bool) []rune {
	if !literal {
		text = strings.Join(strings.Fields(text), " ")
	}
	text = strings.ReplaceAll(text, "\t", "    ")
	runes := make([]rune, 0, min(len(text), maxRunes))
	for _, r := range text { // invalid UTF-8 comes out as U+FFFD
		if len(runes) == maxRunes {
			break
		}
		if !unicode.IsControl(r) {
			runes = append(runes, r)
		}
	}
	return runes
}

// rtl tells whether the first letter with a direction runs from right to left (UAX #9, P2 and P3).
func rtl(runes []rune) bool {
	for _, r := range runes {
		switch language.LookupScript(r) {
		case language.Arabic, language.Hebrew, language.Syriac, language.Thaana, language.Nko, language.Adlam:
			if unicode.IsLetter(r) {
				return true
			}
		default:
			if unicode.IsLetter(r) {
				return false
			}
		}
	}
	return false
}

func pixels(v fixed.Int26_6) float64 { return float64(v) / 64 }
