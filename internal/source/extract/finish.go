package extract

import (
	"regexp"
	"strings"
)

// document finishes what a parser found: the headings without their numbers, a
// title, a language.
func (b *builder) document() (*Document, error) {
	b.unlist()
	content := false
	for i := range b.blocks {
		if b.blocks[i].Kind == Heading {
			b.blocks[i].Text = unnumbered(b.blocks[i].Text)
		} else {
			content = true
		}
	}
	if !content {
		return nil, errEmpty
	}
	b.unnumberPlain()
	doc := &Document{
		Title:    unnumbered(line(clean(b.title))),
		Language: detectLanguage(b.blocks, b.language),
		Pages:    b.page,
		Blocks:   b.blocks,
	}
	for _, block := range b.blocks {
		if doc.Title == "" && block.Kind == Heading {
			doc.Title = block.Text
		}
	}
	return doc, nil
}

// listingTitle matches the titles of sections that only lead to others.
var listingTitle = regexp.MustCompile(`^(?i:(?:table of )?contents|(?:(?:concept|general|subject|function) )*index|list of (?:figures|tables|examples|listings)|` +
	`inhalt(?:sverzeichnis)?|(?:stichwort|sach|abbildungs|tabellen)verzeichnis|table des matières|índice(?: general)?|indice|sommaire|sommario|inhoud(?:sopgave)?|目次|目录|索引)$`)

// unlist drops the table of contents and the index, unless the document is one.
func (b *builder) unlist() {
	total, listed := 0, 0
	var kept []Block
	level := 0 // of the section that is dropped; 0 outside of one
	for _, block := range b.blocks {
		total += len(block.Text)
		if block.Kind == Heading && (level == 0 || block.Level <= level) {
			level = 0
			if listingTitle.MatchString(unnumbered(block.Text)) {
				level = block.Level
			}
		}
		if level > 0 {
			listed += len(block.Text)
			continue
		}
		kept = append(kept, block)
	}
	if listed*3 < total {
		b.blocks = kept
	}
}

var (
	sectionNumber = regexp.MustCompile(`^(?:\d+|[IVX]+)(?:\.\d+)*[.:]\s+(\S.*)$|^(?:\d+|[A-Z])(?:\.\d+)+\.?\s+(\S.*)$|` +
		`^(?i:chapter|part|appendix|section|kapitel|teil|abschnitt|anhang|chapitre|partie|annexe|capítulo|capitolo|hoofdstuk)\s+(?:\d+|[A-Z]|[IVX]+)(?:\.\d+)*[.:]?\s+(\S.*)$`)
	plainNumber = regexp.MustCompile(`^\d{1,2}\s+(\p{Lu}.*)$`)
)

// unnumbered takes a section's number off its title: a course counts anew.
func unnumbered(s string) string {
	if m := sectionNumber.FindStringSubmatch(s); m != nil {
		return m[1] + m[2] + m[3]
	}
	return s
}

// unnumberPlain takes bare numbers ("2 Methods") off the headings where several of
// them count up; a single one may be meant ("7 Wonders").
func (b *builder) unnumberPlain() {
	var numbered []int
	for i, block := range b.blocks {
		if block.Kind == Heading && plainNumber.MatchString(block.Text) {
			numbered = append(numbered, i)
		}
	}
	if len(numbered) < 2 || !strings.HasPrefix(b.blocks[numbered[0]].Text, "1 ") || !strings.HasPrefix(b.blocks[numbered[1]].Text, "2 ") {
		return
	}
	for _, i := range numbered {
		b.blocks[i].Text = plainNumber.FindStringSubmatch(b.blocks[i].Text)[1]
	}
}
