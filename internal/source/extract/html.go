package extract

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
)

// readHTML reads a web page: its main content, without navigation, scripts and footers.
func readHTML(r io.Reader, b *builder) error {
	// The charset is looked for in a byte order mark, then in <meta>, then guessed.
	decoded, err := charset.NewReader(r, "text/html")
	if err != nil {
		return errEmpty
	}
	root, err := html.Parse(decoded)
	if err != nil {
		return errors.Join(errBroken, err)
	}
	page := &htmlReader{b: b}
	page.head(root)
	if err := page.flow(mainContent(root)); err != nil {
		return err
	}
	return page.flush()
}

// htmlReader walks through a page in reading order. Inline text gathers in para
// until a block begins or ends.
type htmlReader struct {
	b     *builder
	para  strings.Builder
	words int // in para
	links int // words of para that stand in links
	link  int // depth of links

	list   list
	depth  int    // of lists; 0 outside of all
	number int    // of the present item; 0 in an unordered list
	term   string // what the present item defines
	begun  bool   // whether the present item has its first line
}

// head takes the title and the declared language.
func (p *htmlReader) head(root *html.Node) {
	var headings []string
	for n := range root.Descendants() {
		switch n.DataAtom {
		case atom.Html:
			if lang := attribute(n, "lang"); lang != "" {
				p.b.language = lang
			}
		case atom.Title:
			if p.b.title == "" && n.Namespace == "" {
				p.b.title = line(inlineText(n))
			}
		case atom.H1:
			headings = append(headings, line(inlineText(n)))
		}
	}
	// Titles often carry the site's name behind the page's: the only h1 knows better.
	if len(headings) == 1 && headings[0] != "" && (p.b.title == "" || strings.Contains(p.b.title, headings[0])) {
		p.b.title = headings[0]
	}
}

// mainContent finds where the content stands: the one main element, the one
// article, else the whole page.
func mainContent(root *html.Node) *html.Node {
	var mains, articles []*html.Node
	for n := range root.Descendants() {
		switch {
		case n.DataAtom == atom.Main || attribute(n, "role") == "main":
			mains = append(mains, n)
		case n.DataAtom == atom.Article:
			articles = append(articles, n)
		}
	}
	if len(mains) == 1 {
		return mains[0]
	}
	if len(articles) == 1 {
		return articles[0]
	}
	return root
}

func (p *htmlReader) flow(n *html.Node) error {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if err := p.node(c); err != nil {
			return err
		}
	}
	return nil
}

func (p *htmlReader) node(n *html.Node) error {
	if n.Type == html.TextNode {
		p.words += len(strings.Fields(n.Data))
		if p.link > 0 {
			p.links += len(strings.Fields(n.Data))
		}
		p.para.WriteString(n.Data)
		return nil
	}
	if n.Type != html.ElementNode || beside(n) {
		return nil
	}
	switch n.DataAtom {
	case atom.Br:
		p.para.WriteByte('\n')
		return nil
	case atom.A:
		p.link++
		defer func() { p.link-- }()
		return p.flow(n)
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		return p.heading(n)
	case atom.Pre:
		return p.code(n)
	case atom.Ul, atom.Ol, atom.Dl, atom.Menu:
		return p.items(n)
	case atom.Table:
		return p.table(n)
	case atom.Blockquote:
		return p.quote(n)
	}
	if !blocks[n.DataAtom] {
		return p.flow(n)
	}
	if err := p.flush(); err != nil {
		return err
	}
	if err := p.flow(n); err != nil {
		return err
	}
	return p.flush()
}

// flush ends a paragraph.
func (p *htmlReader) flush() error {
	text, words, links := line(p.para.String()), p.words, p.links
	p.para.Reset()
	p.words, p.links = 0, 0
	switch {
	case text == "":
		return nil
	case p.depth == 0:
		if links == words && words <= 8 {
			return nil // "Next", "Download the book": a way to other pages
		}
		return p.b.prose(text)
	case !p.begun:
		if p.term != "" {
			text = p.term + ": " + text
		}
		p.list.item(p.depth-1, p.number, text)
		p.begun = true
	case len(p.list.items) > 0:
		p.list.items[len(p.list.items)-1] += " " + text
	default:
		return p.b.prose(text)
	}
	return nil
}

// close ends a paragraph and the list it stands in, before something that no
// list can hold. The list goes on behind it.
func (p *htmlReader) close() error {
	if err := p.flush(); err != nil {
		return err
	}
	return p.list.flush(p.b)
}

func (p *htmlReader) heading(n *html.Node) error {
	if err := p.close(); err != nil {
		return err
	}
	return p.b.heading(int(n.Data[1]-'0'), inlineText(n))
}

func (p *htmlReader) code(n *html.Node) error {
	if err := p.close(); err != nil {
		return err
	}
	return p.b.code(codeLanguage(n), preText(n))
}

func (p *htmlReader) quote(n *html.Node) error {
	for c := range n.Descendants() {
		if slices.Contains([]atom.Atom{atom.Pre, atom.Ul, atom.Ol, atom.Dl, atom.Table, atom.Blockquote}, c.DataAtom) {
			return p.flow(n)
		}
	}
	if err := p.close(); err != nil {
		return err
	}
	quoted := &htmlReader{b: &builder{progress: func(int, int) {}}}
	if err := errors.Join(quoted.flow(n), quoted.flush()); err != nil {
		return err
	}
	var lines []string
	for _, b := range quoted.b.blocks {
		lines = append(lines, b.Text)
	}
	return p.b.quote(strings.Join(lines, "\n"))
}

// items reads a list. A list that consists of links leads elsewhere and is left out.
func (p *htmlReader) items(n *html.Node) error {
	if p.depth == 0 && mostlyLinks(n) {
		return nil
	}
	if err := p.flush(); err != nil {
		return err
	}
	number, term, begun := p.number, p.term, p.begun
	p.depth++
	next := 0
	if start, err := strconv.Atoi(attribute(n, "start")); err == nil && start > 0 {
		next = start - 1
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		switch {
		case c.Type != html.ElementNode || beside(c):
			continue
		case c.DataAtom == atom.Dt:
			p.term = line(inlineText(c))
			continue
		case n.DataAtom == atom.Ol:
			next++
		}
		p.number, p.begun = next, false
		if err := errors.Join(p.flow(c), p.flush()); err != nil {
			return err
		}
		if c.DataAtom == atom.Dd || n.DataAtom != atom.Dl {
			p.term = ""
		}
	}
	p.depth--
	p.number, p.term, p.begun = number, term, begun
	if p.depth == 0 {
		return p.list.flush(p.b)
	}
	return nil
}

// table reads a table of data; one that only lays out the page is read as text.
func (p *htmlReader) table(n *html.Node) error {
	if laysOut(n) {
		if err := p.flush(); err != nil {
			return err
		}
		for c := range n.Descendants() {
			if cell(c) && enclosing(c, atom.Table) == n && !hasClass(c, "linenos", "gutter", "lineno") {
				if err := errors.Join(p.flow(c), p.flush()); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if mostlyLinks(n) {
		return nil
	}
	if err := p.close(); err != nil {
		return err
	}
	var rows grid
	for tr := range n.Descendants() {
		if tr.DataAtom == atom.Caption {
			if err := p.b.prose(inlineText(tr)); err != nil {
				return err
			}
		}
		if tr.DataAtom != atom.Tr {
			continue
		}
		var row []string
		for c := tr.FirstChild; c != nil; c = c.NextSibling {
			if !cell(c) {
				continue
			}
			row = append(row, inlineText(c))
			span, _ := strconv.Atoi(attribute(c, "colspan"))
			for range min(span, 20) - 1 {
				row = append(row, "")
			}
		}
		rows = append(rows, row)
	}
	return p.b.table(rows)
}
