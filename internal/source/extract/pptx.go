package extract

import (
	"strings"
)

const pptxMain = "ppt/presentation.xml"

// readPPTX reads a presentation (ECMA-376, PresentationML): a slide is a page, its
// title a heading, its notes prose behind it.
func readPPTX(a *archive, b *builder) error {
	if a.parts[pptxMain] == nil {
		return wrongType(PPTX.person(), "another kind of ZIP archive")
	}
	root, err := a.root(pptxMain)
	if err != nil {
		return err
	}
	links, err := a.relations(pptxMain)
	if err != nil {
		return err
	}
	slides := root.at("sldIdLst")
	if slides == nil {
		return errEmpty
	}
	b.pages = len(slides.children)
	for i, s := range slides.children {
		if err := b.turn(i + 1); err != nil {
			return err
		}
		// Both p:sldId's own id and r:id are called "id"; the relation's is a link's name.
		for _, at := range s.attrs {
			if link, ok := links[at.Value]; ok && link.kind == "slide" {
				if err := readSlide(a, link.target, b); err != nil {
					return err
				}
			}
		}
	}
	return a.properties(b)
}

func readSlide(a *archive, part string, b *builder) error {
	root, err := a.root(part)
	if err != nil {
		return err
	}
	if root == nil {
		return errBroken
	}
	if root.attr("show") == "0" {
		return nil
	}
	links, err := a.relations(part)
	if err != nil {
		return err
	}
	level := 2
	var notes *element
	for _, link := range links {
		switch link.kind {
		case "slideLayout":
			layout, err := a.root(link.target)
			if err != nil {
				return err
			}
			if kind := layout.attrOrEmpty("type"); kind == "title" || kind == "secHead" {
				level = 1
			}
		case "notesSlide":
			if notes, err = a.root(link.target); err != nil {
				return err
			}
		}
	}
	if err := slideTitle(root, level, b); err != nil {
		return err
	}
	if err := shapes(root, b, shape); err != nil {
		return err
	}
	if notes == nil {
		return nil
	}
	return shapes(notes, b, note)
}

// shapes visits the shapes of a slide in their order.
func shapes(root *element, b *builder, add func(*element, *builder) error) (err error) {
	root.all(func(e *element) bool {
		switch {
		case err != nil || e.name == "Fallback":
			return false
		case e.name == "sp" || e.name == "graphicFrame":
			err = add(e, b)
			return false
		}
		return true
	})
	return err
}

// placeholder tells what a shape is there for: "title", "body", "ftr" …; an empty
// type means content, and ok is false for a free shape.
func placeholder(sp *element) (kind string, ok bool) {
	ph := sp.at("nvSpPr", "nvPr", "ph")
	if ph == nil {
		return "", false
	}
	return ph.attr("type"), true
}

// slideTitle adds the title first, wherever it stands among the shapes.
func slideTitle(root *element, level int, b *builder) error {
	return shapes(root, b, func(sp *element, b *builder) error {
		kind, _ := placeholder(sp)
		if kind != "title" && kind != "ctrTitle" {
			return nil
		}
		if kind == "ctrTitle" {
			level = 1
		}
		var lines []string
		for _, p := range paragraphs(sp) {
			lines = append(lines, p.text)
		}
		title := line(strings.Join(lines, " "))
		if b.title == "" {
			b.title = title
		}
		return b.heading(level, title)
	})
}

func shape(sp *element, b *builder) error {
	if sp.name == "graphicFrame" {
		return slideTable(sp, b)
	}
	kind, held := placeholder(sp)
	switch kind {
	case "title", "ctrTitle", "sldNum", "dt", "ftr", "hdr":
		return nil
	}
	lines := paragraphs(sp)
	code := len(lines) > 0
	for _, p := range lines {
		code = code && p.mono
	}
	if code {
		var text []string
		for _, p := range lines {
			text = append(text, p.text)
		}
		return b.code("", strings.Join(text, "\n"))
	}
	if kind == "subTitle" || len(lines) == 1 || !held && !bulleted(lines) {
		for _, p := range lines {
			if err := b.prose(p.text); err != nil {
				return err
			}
		}
		return nil
	}
	var l list
	for _, p := range lines {
		l.item(p.depth, 0, p.text)
	}
	return l.flush(b)
}

// note adds the speaker's notes, which stand in the body of the notes page.
func note(sp *element, b *builder) error {
	if kind, _ := placeholder(sp); kind != "body" {
		return nil
	}
	for _, p := range paragraphs(sp) {
		if err := b.prose(p.text); err != nil {
			return err
		}
	}
	return nil
}

func slideTable(frame *element, b *builder) error {
	table := frame.at("graphic", "graphicData", "tbl")
	if table == nil {
		return nil
	}
	var rows grid
	for _, tr := range table.children {
		if tr.name != "tr" {
			continue
		}
		var row []string
		for _, tc := range tr.children {
			if tc.name != "tc" {
				continue
			}
			var lines []string
			for _, p := range paragraphs(tc) {
				lines = append(lines, p.text)
			}
			row = append(row, strings.Join(lines, " "))
		}
		rows = append(rows, row)
	}
	return b.table(rows)
}

// slideLine is a paragraph of DrawingML.
type slideLine struct {
	text   string
	depth  int
	bullet bool
	mono   bool
}

func bulleted(lines []slideLine) bool {
	for _, l := range lines {
		if !l.bullet {
			return false
		}
	}
	return true
}

// paragraphs gives the paragraphs that hold text.
func paragraphs(e *element) []slideLine {
	body := e.at("txBody")
	if body == nil {
		return nil
	}
	var lines []slideLine
	for _, p := range body.children {
		if p.name != "p" {
			continue
		}
		var text strings.Builder
		l := slideLine{mono: true}
		for _, r := range p.children {
			switch r.name {
			case "pPr":
				if lvl := r.attr("lvl"); len(lvl) == 1 {
					l.depth = int(lvl[0] - '0')
				}
				l.bullet = r.at("buChar") != nil || r.at("buAutoNum") != nil
			case "r":
				if t := r.at("t"); t != nil {
					text.WriteString(t.text)
					l.mono = l.mono && monospaced(r.at("rPr", "latin").attrOrEmpty("typeface"))
				}
			case "br":
				text.WriteByte('\n')
			case "fld":
				if t := r.at("t"); t != nil && r.attr("type") != "slidenum" && !strings.HasPrefix(r.attr("type"), "datetime") {
					text.WriteString(t.text)
				}
			}
		}
		if l.text = text.String(); strings.TrimSpace(l.text) != "" {
			lines = append(lines, l)
		}
	}
	return lines
}
