package extract

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
)

// readPDF reads a PDF with Poppler: pdfinfo tells what it is, pdftohtml where
// each piece of text stands on its page and in which font. From these the
// structure is found again, which a PDF does not hold.
func readPDF(ctx context.Context, path string, b *builder) error {
	pages, err := pdfInfo(ctx, path, b)
	if err != nil {
		return err
	}
	if b.pages = pages; pages > MaxPages {
		return errTooManyPages
	}
	// -hidden: the text layer of a scan that went through text recognition is invisible.
	tool, err := start(ctx, "pdftohtml", "-xml", "-q", "-i", "-hidden", "-noroundcoord", "-fontfullname", "-enc", "UTF-8", "-stdout", path)
	if err != nil {
		return err
	}
	doc, err := parsePDF(tool.stdout, b)
	if err != nil {
		tool.stop()
		return err
	}
	if err := tool.wait(); err != nil {
		return pdfFault(err, tool.stderr.String())
	}
	if len(doc.pages) == 0 {
		return errBroken
	}
	if doc.blank() {
		return errScanned
	}
	return doc.blocks(b)
}

// pdfInfo gives the number of pages and takes the title.
func pdfInfo(ctx context.Context, path string, b *builder) (pages int, err error) {
	tool, err := start(ctx, "pdfinfo", "-enc", "UTF-8", path)
	if err != nil {
		return 0, err
	}
	out, err := io.ReadAll(io.LimitReader(tool.stdout, 1<<16))
	if err != nil {
		tool.stop()
		return 0, err
	}
	if err := tool.wait(); err != nil {
		return 0, pdfFault(err, tool.stderr.String())
	}
	for entry := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(entry, ":")
		value = strings.TrimSpace(value)
		switch name {
		case "Title":
			b.title = documentTitle(value)
		case "Pages":
			pages, _ = strconv.Atoi(value)
		}
	}
	if pages == 0 {
		return 0, errBroken
	}
	return pages, nil
}

// documentTitle leaves out what programs write where nobody wrote a title.
func documentTitle(s string) string {
	s = strings.TrimSpace(strings.TrimPrefix(s, "Microsoft Word - "))
	lower := strings.ToLower(s)
	for _, junk := range []string{".doc", ".docx", ".tex", ".dvi", ".indd", ".qxd", ".ppt", ".pptx", ".pdf", ".odt", ".html"} {
		if strings.HasSuffix(lower, junk) {
			return ""
		}
	}
	if strings.HasPrefix(lower, "untitled") || len(s) < 3 {
		return ""
	}
	return s
}

// pdfFault says why Poppler gave up.
func pdfFault(err error, stderr string) error {
	switch {
	case strings.Contains(stderr, "Incorrect password"), strings.Contains(stderr, "copy-protection"), strings.Contains(stderr, "copying of text"):
		return errEncrypted
	case strings.Contains(stderr, "ut of memory"), strings.Contains(stderr, "bad_alloc"):
		return errMemory
	case errors.Is(err, context.DeadlineExceeded):
		return errTime
	}
	return errors.Join(errBroken, err)
}

// span is a piece of text in one font. Coordinates are in pixels of a page drawn
// at 108 dpi, from its top left corner.
type span struct {
	top, left, right, bottom float64
	font                     *font
	text                     string
}

type font struct {
	size float64
	mono bool
	bold bool
}

// page is a page while its structure is looked for.
type page struct {
	number        int
	width, height float64
	rows          []row
}

// pdf is a document as Poppler sees it.
type pdf struct {
	pages   []*page
	outline []entry
}

// entry is a bookmark.
type entry struct {
	level int // 1 is the highest
	page  int
	title string
}

func (d *pdf) blank() bool {
	letters := 0
	for _, p := range d.pages {
		for _, r := range p.rows {
			letters += len(r.text())
		}
	}
	return letters < 8*len(d.pages)
}

// parsePDF reads pdftohtml's XML. It is not always well-formed, so tokens are
// taken as they come.
func parsePDF(r io.Reader, b *builder) (*pdf, error) {
	valid := transform.NewReader(r, transform.Chain(runes.ReplaceIllFormed(), runes.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
			return '\uFFFD'
		}
		return r
	})))
	d := xml.NewDecoder(valid)
	d.Strict, d.Entity, d.AutoClose = false, xml.HTMLEntity, xml.HTMLAutoClose
	p := &pdfParser{b: b, fonts: map[string]*font{}}
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return &p.doc, nil
		}
		if err != nil {
			return nil, errors.Join(errBroken, err)
		}
		if err := p.token(t); err != nil {
			return nil, err
		}
	}
}

type pdfParser struct {
	b     *builder
	doc   pdf
	fonts map[string]*font
	page  *page
	spans []span
	span  *span
	text  bytes.Buffer
	depth int // of the outline
}

func (p *pdfParser) token(t xml.Token) error {
	switch t := t.(type) {
	case xml.StartElement:
		return p.start(t)
	case xml.CharData:
		if p.span != nil || p.depth > 0 {
			p.text.Write(t)
		}
	case xml.EndElement:
		p.end(t.Name.Local)
	}
	return nil
}

func (p *pdfParser) start(t xml.StartElement) error {
	at := make(map[string]string, len(t.Attr))
	for _, a := range t.Attr {
		at[a.Name.Local] = a.Value
	}
	number := func(name string) float64 {
		f, _ := strconv.ParseFloat(at[name], 64)
		return f
	}
	switch t.Name.Local {
	case "page":
		p.page = &page{number: int(number("number")), width: number("width"), height: number("height")}
		p.spans = nil
		return p.b.turn(p.page.number)
	case "fontspec":
		name := strings.ToLower(at["family"])
		p.fonts[at["id"]] = &font{
			size: number("size"),
			mono: monospaced(name) && !strings.Contains(name, "monotype"),
			bold: strings.Contains(name, "bold") || strings.Contains(name, "black") || strings.Contains(name, "heavy") || strings.Contains(name, "-demi"),
		}
	case "text":
		s := span{top: number("top"), left: number("left"), font: p.fonts[at["font"]]}
		s.right, s.bottom = s.left+number("width"), s.top+number("height")
		p.text.Reset()
		if s.font != nil {
			p.span = &s
		}
	case "outline":
		p.depth++
	case "item":
		p.text.Reset()
		p.doc.outline = append(p.doc.outline, entry{level: p.depth, page: int(number("page"))})
	}
	return nil
}

func (p *pdfParser) end(name string) {
	switch name {
	case "text":
		if p.span != nil {
			if p.span.text = strings.ReplaceAll(p.text.String(), "\u00a0", " "); strings.TrimSpace(p.span.text) != "" {
				p.spans = append(p.spans, *p.span)
			}
			p.span = nil
		}
	case "page":
		if p.page != nil {
			p.page.lay(p.spans)
			p.doc.pages = append(p.doc.pages, p.page)
			p.page, p.spans = nil, nil
		}
	case "item":
		if n := len(p.doc.outline); n > 0 && p.depth > 0 {
			p.doc.outline[n-1].title = line(p.text.String())
		}
	case "outline":
		p.depth--
	}
}
