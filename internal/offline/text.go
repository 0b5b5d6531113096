package offline

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"lectern.dev/lectern/internal/llm"
)

// sentence is one sentence of a passage.
type sentence struct {
	passage int    // index in the request
	order   int    // place in the whole text
	first   bool   // opens its passage
	raw     string // as it stands in the passage: what is cited
	spoken  string // prepared for reading aloud
	point   string // shortened for a slide; empty when it cannot be
	terms   []string
	score   float64
}

// sentences cuts the prose of the passages into sentences and keeps those that can
// stand alone.
func (l *language) sentences(passages []llm.Passage) []*sentence {
	var all []*sentence
	order := 0
	for i, p := range passages {
		if p.Kind == "code" || p.Kind == "table" {
			continue
		}
		for j, raw := range l.split(p.Text, p.Kind == "list") {
			order++
			spoken, ok := l.standsAlone(raw, p.Kind == "list")
			if !ok {
				continue
			}
			point, _ := l.shorten(spoken)
			all = append(all, &sentence{
				passage: i, order: order, first: j == 0, raw: raw,
				spoken: spoken, point: point, terms: l.terms(spoken),
			})
		}
	}
	return all
}

// split cuts a text into sentences as they stand in it. A blank line ends one; in a
// list every line end does.
func (l *language) split(text string, list bool) []string {
	var out []string
	start := 0
	cut := func(end int) {
		if s := strings.TrimSpace(text[start:end]); s != "" {
			out = append(out, s)
		}
		start = end
	}
	for i, r := range text {
		if i < start {
			continue
		}
		switch {
		case r == '\n':
			if list || strings.HasPrefix(strings.TrimLeft(text[i+1:], " \t\r"), "\n") {
				cut(i)
			}
		case r == '。' || r == '！' || r == '？':
			cut(i + utf8.RuneLen(r))
		case r == '.' || r == '!' || r == '?' || r == '…':
			end := i + utf8.RuneLen(r)
			end += len(text[end:]) - len(strings.TrimLeft(text[end:], ".!?…\"”’»)]"))
			if l.endsSentence(text[start:end], text[end:]) {
				cut(end)
			}
		}
	}
	cut(len(text))
	return out
}

// endsSentence tells whether a sentence that has come to a full stop is over.
func (l *language) endsSentence(before, after string) bool {
	next := strings.TrimLeft(after, " \t\r\n\u00a0")
	if next == "" {
		return true
	}
	if len(next) == len(after) {
		return false // "3.14", "sources.list"
	}
	r, _ := utf8.DecodeRuneInString(strings.TrimLeft(next, "\"“„«‘([¿¡"))
	if unicode.IsLower(r) {
		return false
	}
	if !strings.HasSuffix(before, ".") {
		return true
	}
	last := before[strings.LastIndexAny(before, " \t\n(\u00a0")+1:]
	if l.abbreviations[strings.ToLower(last)] {
		return false
	}
	core := strings.TrimSuffix(last, ".")
	if utf8.RuneCountInString(core) == 1 && unicode.IsUpper([]rune(core)[0]) {
		return false // an initial
	}
	if l.tag == "de" && len(core) > 0 && len(core) <= 2 && strings.Trim(core, "0123456789") == "" {
		return false // "3. Oktober"
	}
	return true
}

// collapse makes one line of a text and takes the marks of Markdown off it.
func collapse(s string) string { return strings.TrimLeft(flat(s), "•*-–—·▪◦‣ ") }

// flat is collapse for what begins with no bullet.
func flat(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.NewReplacer("**", "", "__", "", "`", "").Replace(s)
}

// tokenize gives the words of a text in lower case: letters and digits, with the
// hyphens, apostrophes and dots inside them.
func tokenize(s string) []string {
	var out []string
	for f := range strings.FieldsSeq(strings.ToLower(strings.ReplaceAll(s, "’", "'"))) {
		for w := range strings.FieldsFuncSeq(f, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune("-'.+#", r)
		}) {
			if w = strings.Trim(w, "-'."); w != "" {
				out = append(out, w)
			}
		}
	}
	return out
}

// terms gives the stems of the words that carry the subject.
func (l *language) terms(s string) []string {
	var out []string
	for _, w := range tokenize(s) {
		if !l.stop[w] && !l.stop[unelided(w)] && utf8.RuneCountInString(w) > 1 {
			out = append(out, stem(w))
		}
	}
	return out
}

// stem takes off the endings of plural and possession, roughly; it only has to make
// equal what is counted together.
func stem(w string) string {
	w = unelided(strings.TrimSuffix(w, "'s"))
	switch {
	case len(w) > 4 && strings.HasSuffix(w, "ies"):
		return w[:len(w)-3] + "y"
	case len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us"):
		return w[:len(w)-1]
	}
	return w
}

// unelided takes off what French and Italian join to a word: "l'architecture".
func unelided(w string) string {
	if head, rest, found := strings.Cut(w, "'"); found && len(head) <= 5 && len(rest) > 3 {
		return rest
	}
	return w
}

func countWords(s string) int { return len(strings.Fields(s)) }

// capitalize makes the first letter a capital.
func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}
