package extract

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// blocks are the elements that begin and end a paragraph.
var blocks = set(
	atom.Address, atom.Article, atom.Body, atom.Center, atom.Dd, atom.Details, atom.Div, atom.Dt, atom.Fieldset,
	atom.Figcaption, atom.Figure, atom.Header, atom.Hr, atom.Html, atom.Li, atom.Main, atom.P, atom.Section, atom.Summary,
	atom.Td, atom.Th, atom.Tr, atom.Caption, atom.Hgroup, atom.Legend,
)

// skipped are the elements that hold no content.
var skipped = set(
	atom.Head, atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Nav, atom.Footer, atom.Aside, atom.Form,
	atom.Iframe, atom.Object, atom.Embed, atom.Applet, atom.Svg, atom.Canvas, atom.Audio, atom.Video, atom.Button,
	atom.Select, atom.Textarea, atom.Annotation, atom.Dialog,
)

// besideClasses are how documentation tools, wikis and blogs call what is not content.
var besideClasses = []string{
	"navheader", "navfooter", "docnav", "toc", "breadcrumb", "breadcrumbs", "navbar", "nav", "menu", "footer", "site-footer",
	"page-footer", "site-header", "sphinxsidebar", "related", "headerlink", "anchor-link", "mw-editsection", "cookie", "cookies",
	"share", "social", "comments", "advertisement", "skip-link", "visually-hidden", "sr-only", "noprint",
}

func set(atoms ...atom.Atom) map[atom.Atom]bool {
	m := make(map[atom.Atom]bool, len(atoms))
	for _, a := range atoms {
		m[a] = true
	}
	return m
}

// beside tells whether n is no part of the content.
func beside(n *html.Node) bool {
	if skipped[n.DataAtom] || hasClass(n, besideClasses...) {
		return true
	}
	if slices.Contains(besideClasses, strings.ToLower(attribute(n, "id"))) {
		return true
	}
	switch attribute(n, "role") {
	case "navigation", "search", "contentinfo", "complementary", "doc-toc", "menu", "dialog":
		return true
	}
	if style := strings.ReplaceAll(attribute(n, "style"), " ", ""); strings.Contains(style, "display:none") {
		return true
	}
	if n.DataAtom == atom.Sup && footnoteMark(n) {
		return true
	}
	return hasAttribute(n, "hidden")
}

// footnoteMark tells whether a superscript is nothing but a link.
func footnoteMark(n *html.Node) bool {
	c := n.FirstChild
	return c != nil && c.NextSibling == nil && c.DataAtom == atom.A
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func hasAttribute(n *html.Node, key string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
}

func hasClass(n *html.Node, names ...string) bool {
	for class := range strings.FieldsSeq(attribute(n, "class")) {
		if slices.Contains(names, strings.ToLower(class)) {
			return true
		}
	}
	return false
}

func cell(n *html.Node) bool { return n.DataAtom == atom.Td || n.DataAtom == atom.Th }

func enclosing(n *html.Node, a atom.Atom) *html.Node {
	for n = n.Parent; n != nil && n.DataAtom != a; n = n.Parent {
	}
	return n
}

// laysOut tells whether a table is there for the look: it says so, or holds what
// no cell of data holds.
func laysOut(table *html.Node) bool {
	if role := attribute(table, "role"); role == "presentation" || role == "none" {
		return true
	}
	for n := range table.Descendants() {
		switch n.DataAtom {
		case atom.Table, atom.Pre, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
			return true
		}
	}
	return false
}

// mostlyLinks tells whether a list or table of several entries consists of links.
func mostlyLinks(n *html.Node) bool {
	links, linked := 0, 0
	total := len(line(inlineText(n)))
	for c := range n.Descendants() {
		if c.DataAtom == atom.A && hasAttribute(c, "href") {
			links++
			linked += len(line(inlineText(c)))
		}
	}
	return links >= 3 && linked*10 >= total*8
}

// inlineText gives the text below n as one paragraph would show it.
func inlineText(n *html.Node) string {
	var text strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			switch {
			case c.Type == html.TextNode:
				text.WriteString(c.Data)
			case c.Type != html.ElementNode || beside(c):
			case c.DataAtom == atom.Br:
				text.WriteByte(' ')
			case blocks[c.DataAtom]:
				text.WriteByte(' ')
				walk(c)
				text.WriteByte(' ')
			default:
				walk(c)
			}
		}
	}
	walk(n)
	return text.String()
}

// preText gives the text below n with its line breaks.
func preText(n *html.Node) string {
	var text strings.Builder
	for c := range n.Descendants() {
		switch {
		case c.Type == html.TextNode && enclosing(c, atom.Button) == nil:
			text.WriteString(c.Data)
		case c.DataAtom == atom.Br:
			text.WriteByte('\n')
		}
	}
	return text.String()
}

// codeLanguage finds the language in the classes that highlighters use:
// "language-go", "lang-go", "highlight-source-go", "sourceCode go".
func codeLanguage(pre *html.Node) string {
	nodes := []*html.Node{pre.Parent, pre, pre.FirstChild}
	for _, n := range nodes {
		if n == nil || n.Type != html.ElementNode {
			continue
		}
		classes := strings.Fields(attribute(n, "class"))
		for i, class := range classes {
			for _, prefix := range []string{"language-", "lang-", "highlight-source-", "highlight-"} {
				if name, ok := strings.CutPrefix(class, prefix); ok && name != "default" && name != "none" {
					return name
				}
			}
			if class == "sourceCode" && i+1 < len(classes) {
				return classes[i+1]
			}
		}
	}
	return ""
}
