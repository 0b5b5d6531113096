package extract

import (
	"regexp"
	"strconv"
	"strings"
)

// docxStyle is what a paragraph style means.
type docxStyle struct {
	level    int // of a heading; 0 for other text
	title    bool
	code     bool
	quote    bool
	list     bool
	contents bool // a line of the table of contents
}

type docxStyles struct {
	byID     map[string]docxStyle
	language string
}

// of gives the style of a paragraph, in which its own outline level comes first.
func (s *docxStyles) of(p *element) docxStyle {
	style := s.byID[p.value("pPr", "pStyle")]
	if level, err := strconv.Atoi(p.value("pPr", "outlineLvl")); err == nil {
		style.level = level + 1
	}
	if style.level > 6 {
		style.level = 0 // 9 is body text
	}
	return style
}

var headingName = regexp.MustCompile(`^heading ([1-9])$`)

// readStyles reads what each style means. Names are English in every language of
// Word; what a style does not say it inherits.
func readStyles(a *archive) (*docxStyles, error) {
	styles := &docxStyles{byID: map[string]docxStyle{}}
	root, err := a.root("word/styles.xml")
	if err != nil || root == nil {
		return styles, err
	}
	styles.language = root.value("docDefaults", "rPrDefault", "rPr", "lang")
	definitions := map[string]*element{}
	for _, e := range root.children {
		if e.name == "style" {
			definitions[e.attr("styleId")] = e
		}
	}
	for id := range definitions {
		styles.byID[id] = resolveStyle(definitions, id, 0)
	}
	return styles, nil
}

func resolveStyle(definitions map[string]*element, id string, depth int) docxStyle {
	e := definitions[id]
	if e == nil || depth > 20 {
		return docxStyle{}
	}
	style := resolveStyle(definitions, e.value("basedOn"), depth+1)
	name := strings.ToLower(e.value("name"))
	if m := headingName.FindStringSubmatch(name); m != nil {
		style.level = int(m[1][0] - '0')
	} else if level, err := strconv.Atoi(e.value("pPr", "outlineLvl")); err == nil {
		style.level = level + 1
	}
	switch {
	case name == "title":
		style.title = true
	case strings.HasPrefix(name, "toc ") || name == "toc heading" || name == "table of figures" || strings.HasPrefix(name, "contents"):
		style.contents, style.level = true, 0
	case strings.Contains(name, "quote") || name == "quotations":
		style.quote = true
	case strings.HasPrefix(name, "list") && e.at("pPr", "numPr") != nil:
		style.list = true
	}
	for _, word := range []string{"code", "source", "listing", "preformatted", "verbatim", "macro text", "plain text"} {
		style.code = style.code || strings.Contains(name, word)
	}
	style.code = style.code || monospaced(e.at("rPr", "rFonts").attrOrEmpty("ascii"))
	return style
}

// readNumbering tells the number format of every list and level.
func readNumbering(a *archive) (map[string]string, error) {
	root, err := a.root("word/numbering.xml")
	if err != nil || root == nil {
		return nil, err
	}
	abstract := map[string]*element{}
	formats := map[string]string{}
	for _, e := range root.children {
		switch e.name {
		case "abstractNum":
			abstract[e.attr("abstractNumId")] = e
		case "num":
			definition := abstract[e.value("abstractNumId")]
			if definition == nil {
				continue
			}
			for _, level := range definition.children {
				if level.name == "lvl" {
					formats[e.attr("numId")+"/"+level.attr("ilvl")] = level.value("numFmt")
				}
			}
		}
	}
	return formats, nil
}
