package extract

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// builder collects the blocks that a parser finds. Whatever a parser hands over
// comes out as valid text that a database takes: UTF-8, composed (NFC), without
// NUL and other control characters.
type builder struct {
	title    string // as the document names itself
	language string // as the document declares it
	page     int
	blocks   []Block
	size     int    // bytes of text so far
	lead     string // "Note", over a paragraph that is not there yet
	pages    int    // in all, when it is known beforehand
	progress func(page, pages int)
}

// turn begins a page.
func (b *builder) turn(page int) error {
	if page > MaxPages {
		return errTooManyPages
	}
	b.page = page
	b.progress(page, b.pages)
	return nil
}

// heading adds a heading; an empty one is left out. "Note" and the like, which
// documentation sets over single paragraphs, head no section.
func (b *builder) heading(level int, text string) error {
	if text = line(text); admonition.MatchString(text) {
		b.lead = text + ": "
		return nil
	}
	return b.add(Block{Kind: Heading, Level: min(max(level, 1), 6), Text: line(text)})
}

// prose adds a paragraph, its line breaks taken as spaces.
func (b *builder) prose(text string) error {
	text = b.lead + line(text)
	b.lead = ""
	return b.add(Block{Kind: Prose, Text: text})
}

// admonition matches what is set over a remark.
var admonition = regexp.MustCompile(`^(?i:note|tip|hint|warning|caution|important|danger|hinweis|anmerkung|tipp|warnung|achtung|vorsicht|wichtig|remarque|note|astuce|conseil|avertissement|attention|nota|consejo|sugerencia|aviso|advertencia|precaución|importante|dica|cuidado|suggerimento|avvertimento|attenzione|opmerking|waarschuwing)$`)

// quote adds a quotation; its paragraphs are lines.
func (b *builder) quote(text string) error {
	return b.add(Block{Kind: Quote, Text: text})
}

// code adds a listing as it stands.
func (b *builder) code(language, text string) error {
	return b.add(Block{Kind: Code, Language: language, Text: text})
}

// add keeps a block unless nothing is in it.
func (b *builder) add(block Block) error {
	block.Page = b.page
	block.Text = clean(block.Text)
	if strings.TrimFunc(block.Text, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }) == "" {
		return nil
	}
	if b.size += len(block.Text); b.size > maxText {
		return errTooMuchText
	}
	b.blocks = append(b.blocks, block)
	return nil
}

// line joins the white space of s to single spaces.
func line(s string) string { return strings.Join(strings.Fields(s), " ") }

// ligatures are letters that a font draws as one. PDFs hold them as characters, which
// nobody types into a search.
var ligatures = strings.NewReplacer("ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl", "ﬃ", "ffi", "ﬄ", "ffl", "ﬅ", "st", "ﬆ", "st")

// clean makes s fit to be stored: valid UTF-8 in composed form, line ends as \n,
// ligatures as their letters, invisible characters gone, what cannot be shown marked with U+FFFD, no empty
// lines around it.
func clean(s string) string {
	s = ligatures.Replace(strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\u00a0' || r == '\u2007' || r == '\u202f':
			return ' '
		case r == '\r' || r == '\v' || r == '\f' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			return '\n'
		case r == '\u00ad' || r == '\u200b' || r == '\u2060' || r == '\ufeff':
			return -1
		case unicode.IsControl(r):
			return '\uFFFD'
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
	lines := strings.Split(norm.NFC.String(s), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " \t")
	}
	for len(lines) > 0 && lines[0] == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return strings.Join(lines, "\n")
}
