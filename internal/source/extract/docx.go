package extract

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
)

const docxMain = "word/document.xml"

// readDOCX reads a Word document (ECMA-376, WordprocessingML), a block of the body
// at a time, so that a long one needs little memory.
func readDOCX(a *archive, b *builder) error {
	if a.parts[docxMain] == nil {
		return wrongType(DOCX.person(), "another kind of ZIP archive")
	}
	styles, err := readStyles(a)
	if err != nil {
		return err
	}
	numbering, err := readNumbering(a)
	if err != nil {
		return err
	}
	w := &docxReader{b: b, styles: styles, numbering: numbering, counters: map[string]int{}}
	if w.paged, err = hasPageBreaks(a); err != nil {
		return err
	}
	b.language = styles.language
	if w.paged {
		if err := b.turn(1); err != nil {
			return err
		}
	}
	if err := w.read(a); err != nil {
		return err
	}
	return a.properties(b)
}

type docxReader struct {
	b         *builder
	styles    *docxStyles
	numbering map[string]string // "numId/level" → format of its numbers
	counters  map[string]int    // "numId/level" → last number
	paged     bool

	list    list
	listing []string // lines of the code that is being read
	boxes   []*element
}

// hasPageBreaks tells whether Word noted where the pages broke when it last
// showed the document.
func hasPageBreaks(a *archive) (bool, error) {
	d, _, err := a.part(docxMain)
	if err != nil {
		return false, err
	}
	for {
		t, err := d.next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if start, ok := t.(xml.StartElement); ok && start.Name.Local == "lastRenderedPageBreak" {
			a.budget = maxUnpacked
			return true, nil
		}
	}
}

func (w *docxReader) read(a *archive) error {
	a.budget = maxUnpacked
	d, _, err := a.part(docxMain)
	if err != nil {
		return err
	}
	for {
		t, err := d.next()
		if errors.Is(err, io.EOF) {
			return w.flush()
		}
		if err != nil {
			return err
		}
		start, ok := t.(xml.StartElement)
		if !ok || start.Name.Local == "document" || start.Name.Local == "body" {
			continue
		}
		e, err := d.element(start)
		if err != nil {
			return err
		}
		if err := w.block(e); err != nil {
			return err
		}
	}
}

// flush adds the list or the listing that is being read.
func (w *docxReader) flush() error {
	if len(w.listing) > 0 {
		code := strings.Join(w.listing, "\n")
		w.listing = nil
		if err := w.b.code("", code); err != nil {
			return err
		}
	}
	return w.list.flush(w.b)
}

func (w *docxReader) block(e *element) error {
	switch e.name {
	case "p":
		return w.paragraph(e)
	case "tbl":
		return w.table(e)
	case "sdt":
		if strings.Contains(e.value("sdtPr", "docPartObj", "docPartGallery"), "Table of Contents") {
			return nil
		}
	case "sectPr", "del", "moveFrom", "Fallback":
		return nil
	}
	for _, c := range e.children {
		if err := w.block(c); err != nil {
			return err
		}
	}
	return nil
}

func (w *docxReader) paragraph(p *element) error {
	style := w.styles.of(p)
	text, mono := w.text(p)
	boxes := w.boxes
	w.boxes = nil
	if err := w.place(p, style, text, mono); err != nil {
		return err
	}
	for _, box := range boxes {
		if err := w.block(box); err != nil {
			return err
		}
	}
	return nil
}

// place adds a paragraph as what its style makes of it.
func (w *docxReader) place(p *element, style docxStyle, text string, mono bool) error {
	if strings.TrimSpace(text) == "" && len(w.listing) == 0 {
		return nil
	}
	if style.code || mono || len(w.listing) > 0 && strings.TrimSpace(text) == "" {
		if len(w.listing) == 0 {
			if err := w.flush(); err != nil {
				return err
			}
		}
		w.listing = append(w.listing, text)
		return nil
	}
	if number := p.at("pPr", "numPr"); style.level == 0 && (number != nil || style.list) {
		if len(w.listing) > 0 {
			if err := w.flush(); err != nil {
				return err
			}
		}
		id, depth := number.value("numId"), number.value("ilvl")
		if id != "0" {
			w.list.item(int(("0" + depth)[len(depth)]-'0'), w.count(id, depth), text)
			return nil
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	switch {
	case style.contents:
		return nil
	case style.title:
		if w.b.title == "" {
			w.b.title = line(text)
		}
		return w.b.heading(1, text)
	case style.level > 0:
		return w.b.heading(style.level, text)
	case style.quote:
		return w.b.quote(text)
	}
	return w.b.prose(text)
}

// count gives the number that an item of an ordered list bears, 0 in a bulleted one.
func (w *docxReader) count(id, depth string) int {
	key := id + "/" + depth
	switch w.numbering[key] {
	case "", "bullet", "none":
		return 0
	}
	w.counters[key]++
	for other := range w.counters {
		if strings.HasPrefix(other, id+"/") && other > key {
			delete(w.counters, other)
		}
	}
	return w.counters[key]
}

// text gives a paragraph's text and whether all of it is in a typewriter face.
// Text boxes are put aside: they are blocks of their own.
func (w *docxReader) text(p *element) (text string, mono bool) {
	var out strings.Builder
	mono, written := true, false
	p.all(func(e *element) bool {
		switch e.name {
		case "t":
			out.WriteString(e.text)
		case "tab":
			out.WriteByte('\t')
		case "br", "cr":
			out.WriteByte('\n')
		case "noBreakHyphen":
			out.WriteByte('-')
		case "lastRenderedPageBreak":
			if w.paged && w.b.page < MaxPages {
				w.b.page++
			}
		case "txbxContent":
			w.boxes = append(w.boxes, e)
			return false
		case "r":
			if e.at("t") != nil {
				written = true
				mono = mono && (monospaced(e.at("rPr", "rFonts").attrOrEmpty("ascii")) || w.styles.byID[e.value("rPr", "rStyle")].code)
			}
		case "pPr", "rPr", "del", "moveFrom", "instrText", "delText", "Fallback", "footnoteReference", "endnoteReference":
			return false
		}
		return true
	})
	return out.String(), mono && written
}

func (w *docxReader) table(t *element) error {
	if err := w.flush(); err != nil {
		return err
	}
	var rows grid
	for _, tr := range t.children {
		if tr.name != "tr" {
			continue
		}
		var row []string
		for _, tc := range tr.children {
			if tc.name != "tc" {
				continue
			}
			var cell []string
			tc.all(func(e *element) bool {
				if e.name == "p" {
					text, _ := w.text(e)
					cell = append(cell, text)
				}
				return e.name != "p"
			})
			if merge := tc.at("tcPr", "vMerge"); merge != nil && merge.attr("val") != "restart" {
				cell = nil
			}
			row = append(row, strings.Join(cell, " "))
			for range spanned(tc.value("tcPr", "gridSpan")) {
				row = append(row, "")
			}
		}
		rows = append(rows, row)
	}
	return w.b.table(rows)
}

// spanned gives how many further columns a cell covers.
func spanned(span string) int {
	if len(span) == 1 && span[0] > '1' && span[0] <= '9' {
		return int(span[0] - '1')
	}
	return 0
}

func (e *element) attrOrEmpty(name string) string {
	if e == nil {
		return ""
	}
	return e.attr(name)
}

// monospaced tells whether a font is one for code.
func monospaced(font string) bool {
	font = strings.ToLower(font)
	return slices.ContainsFunc([]string{
		"mono", "courier", "consolas", "menlo", "monaco", "typewriter", "code", "fixed", "cmtt", "lmtt", "sftt", "txtt", "inconsolata", "terminal", "lucidacons",
	}, func(part string) bool { return strings.Contains(font, part) })
}
