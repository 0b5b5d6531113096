package deck

import (
	"image/color"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/chroma/v2"

	"lectern.dev/lectern/internal/course"
)

// code shows a listing on a dark panel: wide listings over the points, narrow ones beside them.
func (c *composer) code(room area, code course.Code, points []course.Point) *sheet {
	text := strings.Trim(strings.ReplaceAll(strings.ReplaceAll(code.Text, "\r\n", "\n"), "\t", "    "), "\n")
	longest, lines := 0, 0
	for l := range strings.Lines(text) {
		longest = max(longest, utf8.RuneCountInString(l))
		lines++
	}
	switch {
	case len(points) == 0:
		return c.panel(room, text, code.Language)
	case longest > 52 && lines <= 14:
		over := room
		over.height *= 0.62
		return c.below(room, c.panel(over, text, code.Language), points)
	default:
		split := room.width * 0.58
		const gutter = 64
		s := c.panel(area{room.x, room.y, split, room.height}, text, code.Language)
		s.points = c.points(area{room.x + split + gutter, room.y + 12, room.width - split - gutter, room.height - 12}, points, 42).points
		return s
	}
}

// panel sets a listing as large as it fits.
func (c *composer) panel(room area, text, lang string) *sheet {
	const pad = 44.0
	listing := c.highlight(text, lang)
	code := *c
	code.rtl = false // programs read from the left everywhere; the panel itself is mirrored
	x := c.mirror(room.x, room.width)
	s := shrink(room.height, func(scale float64) *sheet {
		s := &sheet{height: 2 * pad}
		for _, l := range listing {
			st := c.style(mono, 36*scale, 1.45, nightText)
			st.literal = true
			st.paint = func(r int) color.RGBA { return l.inks[min(r, len(l.inks)-1)] }
			b := c.set(l.text, st, room.width-2*pad)
			if len(b.lines) > 1 && scale > 0.6 {
				s.height += room.height // smaller letters rather than broken lines, as long as they can be read
			}
			s.base = append(s.base, code.text(b, x+pad, room.y+s.height-pad, room.width-2*pad))
			s.height += max(b.Height, st.size*st.leading)
		}
		return s
	})
	s.base = append([]op{code.rect(area{x, room.y, room.width, s.height}, 22, night)}, s.base...)
	return s
}

// listingLine is a line of code with an ink for each character.
type listingLine struct {
	text string
	inks []color.RGBA
}

// highlight colours a listing; one in a language that we do not know stays plain.
func (c *composer) highlight(text, lang string) []listingLine {
	tokens := []chroma.Token{{Type: chroma.Text, Value: text}}
	if lexer := c.library.lexers().Get(lang); lang != "" && lexer != nil {
		if found, err := lexer.Tokenise(nil, text); err == nil { // a grammar that gives up costs the colours, not the listing
			tokens = found.Tokens()
		}
	}
	var lines []listingLine
	for _, tokens := range chroma.SplitTokensIntoLines(tokens) {
		var l listingLine
		for _, t := range tokens {
			value := string(clean(strings.TrimRight(t.Value, "\n"), true))
			l.text += value
			for range utf8.RuneCountInString(value) {
				l.inks = append(l.inks, tokenInk(t.Type))
			}
		}
		lines = append(lines, l)
	}
	return lines
}

func tokenInk(t chroma.TokenType) color.RGBA {
	switch {
	case t.InCategory(chroma.Comment):
		return codeComment
	case t.InCategory(chroma.Keyword), t == chroma.OperatorWord, t == chroma.NameTag:
		return codeKeyword
	case t.InSubCategory(chroma.LiteralString):
		return codeString
	case t.InSubCategory(chroma.LiteralNumber), t == chroma.NameConstant, t == chroma.KeywordConstant:
		return codeNumber
	case t == chroma.NameFunction, t == chroma.NameClass, t == chroma.NameBuiltin, t == chroma.NameAttribute, t == chroma.NameDecorator:
		return codeName
	default:
		return nightText
	}
}
