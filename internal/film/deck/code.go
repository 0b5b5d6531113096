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
		const gutter = 64
		split := min(max(0.6*codeSize*float64(longest)+2*panelPad, room.width*0.5), room.width*0.64)
		s := c.panel(area{room.x, room.y, split, room.height}, text, code.Language)
		s.points = c.points(area{room.x + split + gutter, room.y + 12, room.width - split - gutter, room.height - 12}, points, 42).points
		return s
	}
}

// The code panel, in pixels.
const (
	codeSize   = 36.0
	panelPad   = 44.0
	panelStrip = 60.0 // names the language
)

// panel sets a listing as large as it fits.
func (c *composer) panel(room area, text, lang string) *sheet {
	listing := c.highlight(text, lang)
	code := *c
	code.rtl = false // programs read from the left everywhere; the panel itself is mirrored
	x, width := c.mirror(room.x, room.width), room.width-2*panelPad
	top := panelPad
	if lang != "" {
		top += panelStrip - 8
	}
	s := shrink(room.height, func(scale float64) *sheet {
		s := &sheet{height: top}
		for _, l := range listing {
			st := c.style(mono, codeSize*scale, 1.38, nightText)
			st.literal = true
			st.paint = func(r int) color.RGBA { return l.inks[min(r, len(l.inks)-1)] }
			b := c.set(l.text, st, width)
			if len(b.lines) > 1 && scale > 0.6 {
				s.height += room.height // smaller letters rather than broken lines, as long as they can be read
			}
			s.base = append(s.base, code.text(b, x+panelPad, room.y+s.height, width))
			s.height += max(b.Height, st.size*st.leading)
		}
		s.height += panelPad
		return s
	})
	frame := []op{code.rect(area{x, room.y, room.width, s.height}, 22, night)}
	if lang != "" {
		label := c.line(strings.ToLower(lang), c.style(mono, 24, 1.4, codeComment), width)
		frame = append(frame,
			code.rect(area{x, room.y + panelStrip, room.width, 2}, 0, nightLine),
			code.text(label, x+panelPad, room.y+(panelStrip-label.Height)/2, width))
	}
	s.base = append(frame, s.base...)
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
