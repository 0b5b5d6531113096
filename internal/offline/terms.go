package offline

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// definition is what a sentence such as "An index is a structure that …" says.
type definition struct {
	article  string // of the term, in lower case; often empty
	term     string // without it
	meaning  string
	plural   bool
	sentence *sentence
}

// named is the term with its article.
func (d definition) named() string {
	if d.article == "" || strings.HasSuffix(d.article, "'") {
		return d.article + d.term
	}
	return d.article + " " + d.term
}

// definition takes a sentence apart at its first verb of definition. The term is
// what stands before it: one to four words.
func (l *language) definition(spoken string) (d definition, ok bool) {
	at, mark := -1, ""
	for i, marks := range [][]string{l.definitions, l.plurals} {
		for _, m := range marks {
			if j := strings.Index(spoken, m); j > 0 && (at < 0 || j < at) {
				at, mark, d.plural = j, m, i == 1
			}
		}
	}
	if at < 0 {
		return d, false
	}
	term := strings.Trim(spoken[:at], "\"“”„«» ")
	first, rest, _ := strings.Cut(term, " ")
	lower := strings.ToLower(strings.ReplaceAll(first, "’", "'"))
	elided, noun, _ := strings.Cut(lower, "'")
	switch {
	case l.articles[lower]:
		d.article, term = lower, rest
	case noun != "" && l.articles[elided+"'"]: // "L'adresse"
		d.article, term = elided+"'", term[len(first)-len(noun):]
	}
	ws := tokenize(term)
	switch {
	case len(ws) == 0, len(ws) > 4, strings.ContainsAny(term, ",;:()"), l.stop[ws[0]], l.dangling[ws[0]],
		unicode.IsDigit([]rune(ws[0])[0]), slices.ContainsFunc(ws, func(w string) bool { return l.verbs[w] || l.relatives[w] }),
		// "The program is …" speaks of one that was named before.
		l.definite[d.article] && len(ws) == 1 && !isName(term),
		// "Making backups is …": without an article it should be a name or one word.
		d.article == "" && !d.plural && len(ws) > 1 && strings.ToLower(rest) == rest:
		return d, false
	}
	// The meaning keeps the article that the mark has taken: " is a " and "structure".
	d.term, d.meaning = term, strings.TrimRight(spoken[at+len(mark):], ".!。 ")
	if fields := strings.Fields(mark); l.articles[fields[len(fields)-1]] {
		d.meaning = fields[len(fields)-1] + " " + d.meaning
	}
	return d, countWords(d.meaning) >= 3
}

// keyTerms finds the names and subjects of a text: runs of capitalised words that
// stand inside sentences, and words that come back again and again. Most frequent first.
func (l *language) keyTerms(all []*sentence) []string {
	count := map[string]int{}
	for _, s := range all {
		fields := strings.Fields(s.spoken)
		for i := 0; i < len(fields); i++ {
			w := bare(fields[i])
			if i == 0 || !isName(w) || l.tag == "de" {
				if lower := strings.ToLower(w); utf8.RuneCountInString(w) > 3 && i > 0 && !l.stop[lower] && !l.verbs[lower] && !l.isVerbal(lower) && (lower == w || l.tag == "de" && isName(w)) && isWord(w) {
					count[w]++
				}
				continue
			}
			j := i
			for j+1 < len(fields) && fields[j] == bare(fields[j]) && isName(bare(fields[j+1])) && j-i < 2 {
				j++
			}
			name := bare(strings.Join(fields[i:j+1], " "))
			if !l.stop[strings.ToLower(name)] {
				count[name] += 2 // a name says more than a word
			}
			i = j
		}
	}
	var out []string
	for t, n := range count {
		if n >= 2 {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		return strings.Compare(a, b)
	})
	return out
}

// isVerbal tells whether an English word ends like a form of a verb or an adverb,
// which names nothing.
func (l *language) isVerbal(w string) bool {
	return l.tag == "en" && (strings.HasSuffix(w, "ed") || strings.HasSuffix(w, "ing") || strings.HasSuffix(w, "ly"))
}

func bare(w string) string {
	return strings.TrimFunc(w, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

func isName(w string) bool {
	r, _ := utf8.DecodeRuneInString(w)
	return unicode.IsUpper(r) && utf8.RuneCountInString(w) > 1
}

func isWord(w string) bool {
	return strings.IndexFunc(w, func(r rune) bool { return !unicode.IsLetter(r) && r != '-' }) < 0
}

var numberPattern = regexp.MustCompile(`\b\d+(?:[.,]\d+)?%?`)

// shape says what kind of answer a term is, so that wrong choices look like the right one.
func shape(term string) string {
	kind := "word"
	switch r, _ := utf8.DecodeRuneInString(term); {
	case unicode.IsDigit(r):
		return "number" + numberShape(term)
	case strings.ToUpper(term) == term:
		kind = "acronym"
	case unicode.IsUpper(r):
		kind = "name"
	}
	if kind == "word" && strings.HasSuffix(term, "s") {
		kind = "plural"
	}
	return kind
}

func numberShape(n string) string {
	switch {
	case strings.HasSuffix(n, "%"):
		return "%"
	case strings.ContainsAny(n, ".,"):
		return "."
	case len(n) == 4 && (n[:2] == "19" || n[:2] == "20"):
		return "year"
	}
	return "int"
}

// hasWord tells whether term stands in s as whole words.
func hasWord(s, term string) bool { return wordIndex(s, term) >= 0 }

// replaceWord replaces the first whole-word occurrence of term.
func replaceWord(s, term, by string) string {
	if i := wordIndex(s, term); i >= 0 {
		return s[:i] + by + s[i+len(term):]
	}
	return s
}

func wordIndex(s, term string) int {
	for from := 0; ; {
		i := strings.Index(s[from:], term)
		if i < 0 {
			return -1
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(s[:i])
		after, _ := utf8.DecodeRuneInString(s[i+len(term):])
		inside := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' }
		if !inside(before) && !inside(after) {
			return i
		}
		from = i + len(term)
	}
}
