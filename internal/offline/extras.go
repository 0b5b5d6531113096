package offline

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"lectern.dev/lectern/internal/llm"
)

// What fits on a slide.
const (
	codeLines    = 16
	codeColumns  = 84
	tableRows    = 6
	tableColumns = 4
	cellLength   = 60 // characters
	quoteWords   = 60
)

// withExtras puts slides with code, tables and quotations behind the slides that
// speak of the same part of the source.
func (w *writer) withExtras(slides []slide) []slide {
	var out []slide
	left := min(maxExtras, 12-len(slides))
	next := 0
	for i, s := range slides {
		out = append(out, s)
		until := len(w.passages)
		if i+1 < len(slides) {
			until = w.index(slides[i+1].Points[0].Cites[0].Passage)
		}
		for ; next < until; next++ {
			// Not two listings or two tables in a row.
			if left == 0 || out[len(out)-1].Kind == w.passages[next].Kind {
				continue
			}
			if extra, ok := w.extra(next); ok {
				out = append(out, extra)
				left--
			}
		}
	}
	return out
}

func (w *writer) index(id string) int {
	return slices.IndexFunc(w.passages, func(p llm.Passage) bool { return p.ID == id })
}

func (w *writer) extra(i int) (slide, bool) {
	p := w.passages[i]
	title := w.language.title(lastHeading(p))
	if title == "" {
		title = w.title
	}
	out := slide{Kind: p.Kind, Points: []claim{}}
	switch p.Kind {
	case "code":
		text, ok := excerpt(p.Text)
		if !ok {
			return out, false
		}
		out.Title = w.phrase("exampleTitle", 0, title)
		out.Code = &code{Language: cmp.Or(p.CodeLanguage, guessLanguage(text)), Text: text, Cites: []cite{{Passage: p.ID, Quote: text}}}
	case "table":
		header, rows, ok := parseTable(p.Text)
		if !ok {
			return out, false
		}
		out.Title = w.phrase("overviewTitle", 0, title)
		out.Table = &table{Header: header, Rows: rows, Cites: []cite{{Passage: p.ID}}}
	case "quote":
		text, attribution, ok := parseQuote(p.Text)
		if !ok {
			return out, false
		}
		out.Title = w.phrase("quoteTitle", 0, title)
		out.Quote = &quote{Text: text, Attribution: attribution, Cites: []cite{{Passage: p.ID, Quote: text}}}
	default:
		return out, false
	}
	out.Narration = []spokenSentence{{Text: w.phrase(p.Kind, i, title), Cites: []cite{{Passage: p.ID}}}}
	if p.Kind == "quote" {
		out.Narration[0].Text = w.phrase("quote", 0)
		out.Narration = append(out.Narration, spokenSentence{Text: out.Quote.Text, Cites: out.Quote.Cites})
	}
	if i > 0 && p.Kind != "quote" && w.passages[i-1].Heading == p.Heading {
		w.explain(&out, i-1)
	}
	return out, true
}

// explain lets the narrator say what the text before a listing or table said last.
func (w *writer) explain(s *slide, passage int) {
	p := w.passages[passage]
	if p.Kind != "prose" && p.Kind != "list" {
		return
	}
	all := w.split(p.Text, p.Kind == "list")
	for _, raw := range slices.Backward(all[max(0, len(all)-3):]) {
		spoken, ok := w.standsAlone(raw, p.Kind == "list")
		candidate := &sentence{passage: passage, raw: raw, spoken: spoken, terms: w.terms(spoken)}
		if ok && !w.said(candidate) {
			w.used = append(w.used, candidate)
			s.Narration = append(s.Narration, spokenSentence{Text: spoken, Cites: w.cite(candidate)})
			return
		}
	}
}

// excerpt takes the first lines of a listing that fit, up to a blank line if there is one.
func excerpt(text string) (string, bool) {
	text = strings.Trim(text, "\n")
	text = strings.TrimSuffix(strings.TrimSpace(fence.ReplaceAllString(text, "")), "```")
	lines := strings.Split(strings.TrimRight(text, " \n"), "\n")
	if len(lines) > codeLines {
		lines = lines[:codeLines]
		for i := len(lines) - 1; i >= codeLines/2; i-- {
			if strings.TrimSpace(lines[i]) == "" {
				lines = lines[:i]
				break
			}
		}
	}
	for _, line := range lines {
		if utf8.RuneCountInString(line) > codeColumns {
			return "", false
		}
	}
	out := strings.Join(lines, "\n")
	return out, len(lines) >= 2 && len(strings.TrimSpace(out)) > 20
}

var (
	fence     = regexp.MustCompile("^\\s*```[a-zA-Z0-9+#-]*\n")
	separator = regexp.MustCompile(`^[\s|:+-]+$`)
	columns   = regexp.MustCompile(`\s*\|\s*|\t+`)
)

// guessLanguage names the language of a listing when a look at it is enough.
func guessLanguage(text string) string {
	first := strings.TrimSpace(text)
	for _, g := range []struct{ name, pattern string }{
		{"console", `(?m)^[$#%>] \w|^\w+@\w+[:~]`},
		{"sql", `(?im)^\s*(SELECT|CREATE (TABLE|INDEX|VIEW)|INSERT INTO|UPDATE \w+ SET|ALTER TABLE)\b`},
		{"go", `(?m)^(package \w+|func .*\{)$`},
		{"python", `(?m)^(def \w+\(.*\):|import \w+|from \w+ import |class \w+.*:)`},
		{"xml", `^<[?!a-zA-Z]`},
		{"json", `^[{\[]\s*"`},
		{"bash", `^#!/bin/(ba)?sh`},
	} {
		if regexp.MustCompile(g.pattern).MatchString(first) {
			return g.name
		}
	}
	return ""
}

// parseTable reads rows whose cells are divided by bars or tabs; the first is the header.
func parseTable(text string) (header []string, rows [][]string, ok bool) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || separator.MatchString(line) {
			continue
		}
		cells := columns.Split(strings.Trim(line, "| "), -1)
		for i, c := range cells {
			cells[i] = flat(c) // not collapse: a cell may be "-" or "-1"
			if utf8.RuneCountInString(cells[i]) > cellLength {
				return nil, nil, false
			}
		}
		if header == nil {
			header = cells
			continue
		}
		if len(cells) != len(header) {
			return nil, nil, false
		}
		if len(rows) < tableRows {
			rows = append(rows, cells)
		}
	}
	return header, rows, len(header) >= 2 && len(header) <= tableColumns && len(rows) >= 2
}

// parseQuote divides a quotation from who said it: "… — Name" at its end.
func parseQuote(text string) (words, attribution string, ok bool) {
	words = strings.TrimSpace(strings.ReplaceAll(text, "\n> ", "\n"))
	words = strings.TrimSpace(strings.TrimPrefix(words, ">"))
	if i := max(strings.LastIndex(words, "— "), strings.LastIndex(words, "– ")); i > 0 && countWords(words[i:]) <= 8 {
		attribution = strings.TrimSpace(strings.TrimLeft(words[i:], "—– "))
		words = strings.TrimSpace(words[:i])
	}
	words = strings.Trim(words, "\"“”„«» ")
	n := countWords(words)
	return words, attribution, n >= 5 && n <= quoteWords && !technical.MatchString(strings.TrimRight(words, "."))
}
