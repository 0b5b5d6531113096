package extract

import (
	"bytes"
	"errors"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

var (
	markdownParser = goldmark.New(goldmark.WithExtensions(extension.GFM, extension.DefinitionList, extension.Footnote)).Parser()
	frontMatter    = regexp.MustCompile(`\A---\r?\n((?s:.*?))\r?\n(?:---|\.\.\.)\r?\n`)
	frontField     = regexp.MustCompile(`(?m)^(title|lang|language):\s*["']?(.*?)["']?\s*$`)
)

// readMarkdown reads CommonMark with GitHub's extensions.
func readMarkdown(data []byte, b *builder) error {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if front := frontMatter.FindSubmatch(data); front != nil {
		for _, field := range frontField.FindAllSubmatch(front[1], -1) {
			if string(field[1]) == "title" {
				b.title = string(field[2])
			} else {
				b.language = string(field[2])
			}
		}
		data = data[len(front[0]):]
	}
	m := &markdownReader{b: b, source: data}
	return m.blocks(markdownParser.Parse(text.NewReader(data)))
}

type markdownReader struct {
	b      *builder
	source []byte
	list   list
}

func (m *markdownReader) blocks(parent ast.Node) error {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		if err := m.block(n); err != nil {
			return err
		}
	}
	return nil
}

func (m *markdownReader) block(n ast.Node) error {
	switch n := n.(type) {
	case *ast.Heading:
		title := m.inline(n)
		if m.b.title == "" && n.Level == 1 {
			m.b.title = line(title)
		}
		return m.b.heading(n.Level, title)
	case *ast.Paragraph, *ast.TextBlock, *east.DefinitionTerm:
		return m.b.prose(m.inline(n))
	case *ast.FencedCodeBlock:
		return m.b.code(string(n.Language(m.source)), m.lines(n))
	case *ast.CodeBlock:
		return m.b.code("", m.lines(n))
	case *ast.Blockquote:
		return m.quote(n)
	case *ast.List:
		if err := m.items(n, 0); err != nil {
			return err
		}
		return m.list.flush(m.b)
	case *east.DefinitionList:
		return m.definitions(n)
	case *east.Table:
		return m.table(n)
	case *ast.HTMLBlock:
		return readHTML(strings.NewReader("<meta charset=utf-8><main>"+m.lines(n)+m.closure(n)), m.b)
	case *ast.ThematicBreak, *east.FootnoteList:
		return nil
	}
	return m.blocks(n)
}

// items reads a list; what no item can hold stands between two parts of the list.
func (m *markdownReader) items(l *ast.List, depth int) error {
	number := 0
	if l.IsOrdered() {
		number = max(l.Start, 1)
	}
	for item := l.FirstChild(); item != nil; item = item.NextSibling() {
		if err := m.item(item, depth, number); err != nil {
			return err
		}
		if number > 0 {
			number++
		}
	}
	return nil
}

func (m *markdownReader) item(item ast.Node, depth, number int) error {
	begun := false
	for c := item.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Paragraph, *ast.TextBlock:
			switch text := m.inline(c); {
			case !begun:
				m.list.item(depth, number, text)
				begun = true
			case len(m.list.items) > 0:
				m.list.items[len(m.list.items)-1] += " " + line(text)
			default:
				if err := m.b.prose(text); err != nil {
					return err
				}
			}
		case *ast.List:
			if err := m.items(c, depth+1); err != nil {
				return err
			}
		default:
			if err := errors.Join(m.list.flush(m.b), m.block(c)); err != nil {
				return err
			}
		}
	}
	return nil
}

// definitions reads "term: what it means" as items.
func (m *markdownReader) definitions(l *east.DefinitionList) error {
	term := ""
	for c := l.FirstChild(); c != nil; c = c.NextSibling() {
		if _, ok := c.(*east.DefinitionTerm); ok {
			term = m.inline(c)
			continue
		}
		var meaning []string
		for p := c.FirstChild(); p != nil; p = p.NextSibling() {
			meaning = append(meaning, m.inline(p))
		}
		m.list.item(0, 0, term+": "+strings.Join(meaning, " "))
	}
	return m.list.flush(m.b)
}

func (m *markdownReader) quote(n ast.Node) error {
	var lines []string
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c.(type) {
		case *ast.Paragraph, *ast.TextBlock, *ast.Heading:
			lines = append(lines, line(m.inline(c)))
		default:
			return m.blocks(n)
		}
	}
	return m.b.quote(strings.Join(lines, "\n"))
}

func (m *markdownReader) table(n ast.Node) error {
	var rows grid
	for tr := n.FirstChild(); tr != nil; tr = tr.NextSibling() {
		var row []string
		for c := tr.FirstChild(); c != nil; c = c.NextSibling() {
			row = append(row, m.inline(c))
		}
		rows = append(rows, row)
	}
	return m.b.table(rows)
}

func (m *markdownReader) lines(n ast.Node) string {
	return string(n.Lines().Value(m.source))
}

func (m *markdownReader) closure(n *ast.HTMLBlock) string {
	if !n.HasClosure() {
		return ""
	}
	return string(n.ClosureLine.Value(m.source))
}

// inline gives the text below n without its markup.
func (m *markdownReader) inline(n ast.Node) string {
	var out strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Text:
			out.Write(unescape(c, m.source))
			if c.SoftLineBreak() || c.HardLineBreak() {
				out.WriteByte('\n')
			}
		case *ast.String:
			out.Write(c.Value)
		case *ast.AutoLink:
			out.Write(c.Label(m.source))
		case *ast.Image, *ast.RawHTML, *east.FootnoteLink, *east.FootnoteBacklink, *east.TaskCheckBox:
		default:
			out.WriteString(m.inline(c))
		}
	}
	return out.String()
}

// unescape resolves entities and backslashes, except in code.
func unescape(t *ast.Text, source []byte) []byte {
	value := t.Value(source)
	if t.IsRaw() {
		return value
	}
	return util.UnescapePunctuations(util.ResolveEntityNames(util.ResolveNumericReferences(value)))
}
