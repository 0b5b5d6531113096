package extract

import (
	"regexp"
	"strings"
)

// document finishes what a parser found: the headings without their numbers, a
// title, a language.
func (b *builder) document() (*Document, error) {
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
