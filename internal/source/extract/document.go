// Package extract turns a document's bytes into plain text whose structure is
// known: headings, paragraphs, lists, code, tables and quotes, with their pages.
//
// Parsers are run by a child process with limits on time and memory, because
// documents come from strangers: whatever one does to its parser, the function
// that serves everybody else goes on. See Extract and ChildMain.
package extract

import (
	"strings"
	"unicode/utf8"
)

// Kind says what a block of text is.
type Kind string

// The kinds of blocks.
const (
	Heading Kind = "heading"
	Prose   Kind = "prose"
	List    Kind = "list"  // an item a line, "- " or "1. " before it, indented by two spaces a level
	Code    Kind = "code"  // as it stands in the document, without fences
	Table   Kind = "table" // a Markdown pipe table: the first row is the header
	Quote   Kind = "quote"
)

// Block is a piece of a document that is one thing.
type Block struct {
	Kind     Kind   `json:"kind"`
	Level    int    `json:"level,omitempty"`    // of a heading: 1 is the highest
	Page     int    `json:"page,omitempty"`     // 1-based; 0 when the format has no pages
	Language string `json:"language,omitempty"` // of code, as a Markdown fence names it; empty when unknown
	Text     string `json:"text"`
	Start    int    `json:"-"` // offset in Document.Text, in code points
	End      int    `json:"-"` // offset after the last character
}

// Document is what was read.
type Document struct {
	Title    string  `json:"title"`    // empty when the document does not tell
	Language string  `json:"language"` // BCP 47 base tag such as "en"; empty when it cannot be told
	Pages    int     `json:"pages"`    // 0 when the format has none
	Blocks   []Block `json:"-"`
	Text     string  `json:"-"` // the blocks, an empty line between two
}

// separator stands between two blocks in the text.
const separator = "\n\n"

// Characters counts the code points of the text.
func (d *Document) Characters() int {
	if len(d.Blocks) == 0 {
		return 0
	}
	return d.Blocks[len(d.Blocks)-1].End
}

// NewDocument makes a document of blocks.
func NewDocument(blocks []Block) *Document {
	d := &Document{Blocks: blocks}
	d.assemble()
	return d
}

// assemble writes the text out of the blocks and gives them their offsets.
func (d *Document) assemble() {
	var text strings.Builder
	offset := 0
	for i := range d.Blocks {
		if i > 0 {
			text.WriteString(separator)
			offset += len(separator)
		}
		b := &d.Blocks[i]
		text.WriteString(b.Text)
		b.Start = offset
		offset += utf8.RuneCountInString(b.Text)
		b.End = offset
	}
	d.Text = text.String()
}
