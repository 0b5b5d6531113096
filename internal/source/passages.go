package source

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"lectern.dev/lectern/internal/source/extract"
)

// Passage is a stretch of a source that a claim can rest on: about 120 to 250
// words under one heading, or one listing or table.
type Passage struct {
	ID           string       `json:"id"`
	Source       string       `json:"source"`
	Position     int          `json:"position" doc:"0-based place in the source"`
	Kind         extract.Kind `json:"kind" enum:"prose,list,code,table,quote"`
	CodeLanguage string       `json:"code_language,omitempty" doc:"of code, as a Markdown fence names it; empty when unknown"`
	Heading      []string     `json:"heading" doc:"the headings above it, from the document's top"`
	Page         int          `json:"page,omitempty" doc:"1-based; absent when the source has no pages"`
	Start        int          `json:"start" doc:"offset in the source's text, in characters (Unicode code points)"`
	End          int          `json:"end" doc:"offset after the last character"`
	Text         string       `json:"text"`
	Words        int          `json:"words"`
}

// The size of passages, in words.
const (
	passageWords = 185 // aimed at
	mostWords    = 250 // of prose
	intactWords  = 600 // of a listing or a table, which are cut at a line's end only beyond it
)

// Cut divides a document into passages. Together they hold all of its text but the
// headings, in order; the same document is always cut the same way.
func Cut(doc *extract.Document) []Passage {
	c := &cutter{text: doc.Text}
	var section []extract.Block
	for _, b := range doc.Blocks {
		if b.Kind != extract.Heading {
			section = append(section, b)
			continue
		}
		c.section(section)
		section = nil
		c.enter(b)
	}
	c.section(section)
	return c.passages
}

// cutter walks through the text once: byte and point are one place in it.
type cutter struct {
	text        string
	byte, point int
	path        []extract.Block // open headings, the highest first
	passages    []Passage
}

// enter opens a heading and closes those that are not above it.
func (c *cutter) enter(h extract.Block) {
	for len(c.path) > 0 && c.path[len(c.path)-1].Level >= h.Level {
		c.path = c.path[:len(c.path)-1]
	}
	c.path = append(c.path, h)
}

// section cuts what stands between two headings. Listings and tables stay by
// themselves; what flows between them is divided evenly.
func (c *cutter) section(blocks []extract.Block) {
	var flow []piece
	for _, b := range blocks {
		if b.Kind == extract.Code || b.Kind == extract.Table {
			c.flow(flow)
			flow = nil
			for _, p := range split(b, intactWords, lineEnds) {
				c.add([]piece{p})
			}
			continue
		}
		cuts := sentenceEnds
		if b.Kind == extract.List {
			cuts = lineEnds
		}
		flow = append(flow, split(b, mostWords, cuts)...)
	}
	c.flow(flow)
}

// flow divides pieces into passages of about the same length.
func (c *cutter) flow(pieces []piece) {
	total := 0
	for _, p := range pieces {
		total += p.words
	}
	parts := max((total+passageWords/2)/passageWords, 1)
	target := (total + parts - 1) / parts
	var open []piece
	words := 0
	for _, p := range pieces {
		if words > 0 && (words+p.words > mostWords || words+p.words/2 > target) {
			c.add(open)
			open, words = nil, 0
		}
		open = append(open, p)
		words += p.words
	}
	if len(open) > 0 {
		c.add(open)
	}
}

// add makes a passage of neighboring pieces.
func (c *cutter) add(pieces []piece) {
	first, last := pieces[0], pieces[len(pieces)-1]
	p := Passage{
		Position:     len(c.passages),
		Kind:         prevailing(pieces),
		CodeLanguage: first.language,
		Heading:      make([]string, len(c.path)),
		Page:         first.page,
		Start:        first.start,
		End:          last.end,
		Text:         c.slice(first.start, last.end),
	}
	for i, h := range c.path {
		p.Heading[i] = h.Text
	}
	for _, piece := range pieces {
		p.Words += piece.words
	}
	c.passages = append(c.passages, p)
}

// slice gives the text between two offsets, which only ever rise.
func (c *cutter) slice(start, end int) string {
	c.seek(start)
	from := c.byte
	c.seek(end)
	return c.text[from:c.byte]
}

func (c *cutter) seek(point int) {
	for ; c.point < point; c.point++ {
		_, size := utf8.DecodeRuneInString(c.text[c.byte:])
		c.byte += size
	}
}

// prevailing gives the kind that most words have.
func prevailing(pieces []piece) extract.Kind {
	words := map[extract.Kind]int{}
	for _, p := range pieces {
		words[p.kind] += p.words
	}
	best := pieces[0].kind
	for _, k := range []extract.Kind{extract.Prose, extract.List, extract.Quote} {
		if words[k] > words[best] {
			best = k
		}
	}
	return best
}

// piece is a block, or a part of a long one, that is not divided any more.
type piece struct {
	kind       extract.Kind
	language   string
	page       int
	start, end int
	words      int
}

// split divides a block that has more than limit words where cuts allows it.
// A stretch that allows none is divided at a white space, or in the end anywhere.
func split(b extract.Block, limit int, cuts func(string) []int) []piece {
	whole := piece{b.Kind, b.Language, b.Page, b.Start, b.End, CountWords(b.Text)}
	if whole.words <= limit {
		return []piece{whole}
	}
	var pieces []piece
	start, words := 0, 0 // of the open piece: byte offset, words
	point := b.Start     // code point offset of start
	emit := func(end int) {
		text := b.Text[start:end]
		if kept := strings.TrimRightFunc(text, unicode.IsSpace); kept != "" {
			pieces = append(pieces, piece{b.Kind, b.Language, b.Page, point, point + utf8.RuneCountInString(kept), words})
		}
		point += utf8.RuneCountInString(text)
		start, words = end, 0
	}
	at := 0
	for _, cut := range bounded(b.Text, append(cuts(b.Text), len(b.Text)), limit) {
		n := CountWords(b.Text[at:cut])
		if words > 0 && words+n > limit*3/4 {
			emit(at)
		}
		words += n
		at = cut
	}
	emit(len(b.Text))
	return pieces
}

// bounded adds cuts where the text between two of them has more than limit words.
func bounded(s string, cuts []int, limit int) []int {
	var out []int
	at := 0
	for _, cut := range cuts {
		if CountWords(s[at:cut]) > limit {
			out = append(out, wordStarts(s, at, cut, limit/2)...)
		}
		out = append(out, cut)
		at = cut
	}
	return out
}

// wordStarts gives the offsets between from and to behind every so many words.
func wordStarts(s string, from, to, every int) []int {
	var cuts []int
	count := counter{}
	for i, r := range s[from:to] {
		before := count.words()
		count.see(r)
		if before >= every && count.words() > before {
			cuts = append(cuts, from+i)
			count = counter{}
			count.see(r)
		}
	}
	return cuts
}

// lineEnds gives the offsets where a line begins, but the first.
func lineEnds(s string) []int {
	var cuts []int
	for i := range len(s) {
		if s[i] == '\n' {
			cuts = append(cuts, i+1)
		}
	}
	return cuts
}

// sentenceEnds gives the offsets where a sentence begins, but the first: behind a
// full stop and a white space, or behind an ideographic full stop.
func sentenceEnds(s string) []int {
	var cuts []int
	ended, spaced := false, false
	for i, r := range s {
		switch {
		case strings.ContainsRune("。！？", r):
			cuts = append(cuts, i+utf8.RuneLen(r))
		case strings.ContainsRune(".!?", r):
			ended, spaced = true, false
		case ended && strings.ContainsRune(`"'”’)]`, r):
		case ended && unicode.IsSpace(r):
			spaced = true
		default:
			if ended && spaced && !unicode.IsLower(r) {
				cuts = append(cuts, i)
			}
			ended, spaced = false, false
		}
	}
	return cuts
}

// CountWords counts the words of a text. Where a script has no spaces between
// words, two characters count as one; what is no word at all counts by its length.
func CountWords(s string) int {
	count := counter{}
	for _, r := range s {
		count.see(r)
	}
	return count.words()
}

type counter struct {
	spaced   int // words between spaces
	unspaced int // characters of scripts without spaces
	all      int // characters
	within   bool
}

// longestWord is how many characters a word may have on average: data in the guise of
// text must not make passages of megabytes.
const longestWord = 40

func (c *counter) see(r rune) {
	c.all++
	switch {
	case r >= 0xe00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
		c.unspaced++
		c.within = false
	case unicode.IsLetter(r) || unicode.IsDigit(r):
		if !c.within {
			c.spaced++
		}
		c.within = true
	case r == '\'' || r == '’' || r == '-' || r == '_' || unicode.IsMark(r):
	default:
		c.within = false
	}
}

func (c *counter) words() int {
	return max(c.spaced+(c.unspaced+1)/2, c.all/longestWord)
}
