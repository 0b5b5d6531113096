package offline

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The length of a sentence that can be read aloud, in words.
const (
	shortestSpoken = 6
	longestSpoken  = 34
)

var (
	parenthesis = regexp.MustCompile(` ?[(\[][^()\[\]]*[)\]]`)
	technical   = regexp.MustCompile(`[_=<>{}$|\\^~*@#§†‡]|://|\bwww\.|(^|\s)["'“‘”„«]?--?\w|(^|\s)["'“‘”„«]?/\w|(^|\s)["'“‘”„«]?\.[a-z]|[,;.:!?][,;]|[,;]\.|^\d+\p{Lu}\p{Ll}|\w/\w[^\s]*/|\w\(\)|::|\w:\w+:\w|\w\.(\w{2,5}\b)|\.\.`)
	runOn       = regexp.MustCompile(`\pL{3,}[.!?] `)
	shouting    = regexp.MustCompile(`\p{Lu}{3,}[\s-]+(\p{Lu}{2,}[\s-]+)*\p{Lu}{3,}`)
	quoteMarks  = strings.NewReplacer("“", "\"", "”", "\"", "„", "\"", "«", "\"", "»", "\"")
)

// standsAlone prepares a sentence to be read aloud by itself, and tells whether it
// can be: whole, clear without its neighbours, and speech, not code. The items of a
// list are often no sentences, so they must show a verb.
func (l *language) standsAlone(raw string, item bool) (spoken string, ok bool) {
	s := collapse(raw)
	s = l.dropFillers(l.dropConnectives(dropParentheses(s)))
	if s == "" {
		return "", false
	}
	n := countWords(s)
	last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(s, `"”»’)`))
	switch {
	case n < shortestSpoken || n > longestSpoken,
		!strings.ContainsRune(".!。！", last), strings.HasSuffix(s, ".."),
		!opensLikeSentence(s), !balanced(s),
		l.isConcession(s), technical.MatchString(strings.TrimRight(s, ".")), shouting.MatchString(s), runOn.MatchString(s),
		l.pointsElsewhere(s), (item || n < 9) && !l.hasVerb(tokenize(s)), mostlyNotWords(s), isLabelled(s), l.isForeign(tokenize(s)):
		return "", false
	}
	return s, true
}

// dropParentheses takes out what stands in brackets, but leaves short names such as "(APT)".
func dropParentheses(s string) string {
	for before := ""; s != before; { // the inner ones first
		before = s
		s = parenthesis.ReplaceAllStringFunc(s, func(p string) string {
			inner := strings.Trim(p, " ()[]")
			if countWords(inner) == 1 && strings.ToUpper(inner) == inner && strings.IndexFunc(inner, unicode.IsUpper) >= 0 {
				return p
			}
			return ""
		})
	}
	return strings.Join(strings.Fields(s), " ")
}

// dropConnectives takes off openings such as "However,", which hang on the sentence before.
func (l *language) dropConnectives(s string) string {
	for again := true; again; {
		again = false
		for _, c := range l.connectives {
			if len(s) > len(c)+1 && strings.EqualFold(s[:len(c)], c) && s[len(c)] == ' ' {
				s, again = capitalize(strings.TrimLeft(s[len(c):], " ,")), true
			}
		}
	}
	return s
}

// dropFillers takes out words such as "also" and ", however,", which do the same inside a sentence.
func (l *language) dropFillers(s string) string {
	for _, f := range l.fillers {
		if i := strings.Index(s, f); i > 0 && (strings.HasSuffix(f, ",") || strings.HasPrefix(s[i+len(f):], " ")) {
			s = s[:i] + s[i+len(f):]
		}
	}
	return s
}

// hasVerb tells whether a main clause has a verb: one that comes before any word that
// opens a clause about a noun. A sentence that begins with such a clause is not held to that.
func (l *language) hasVerb(ws []string) bool {
	for i, w := range ws {
		switch {
		case i > 0 && l.verbs[w]:
			return true
		case i > 0 && l.relatives[w]:
			return false
		}
	}
	return false
}

// isConcession tells whether a sentence opens with a clause such as "Although …" and
// ends before its main clause has begun.
func (l *language) isConcession(s string) bool {
	first, rest, _ := strings.Cut(strings.ToLower(s), " ")
	return l.openings[first] && !strings.Contains(rest, ",")
}

func opensLikeSentence(s string) bool {
	r, _ := utf8.DecodeRuneInString(strings.TrimLeft(s, "\"“„«‘'¿¡"))
	return unicode.IsUpper(r) || unicode.IsDigit(r) || unicode.Is(unicode.Lo, r)
}

func balanced(s string) bool {
	s = quoteMarks.Replace(s)
	return strings.Count(s, "(") == strings.Count(s, ")") && strings.Count(s, "[") == strings.Count(s, "]") &&
		strings.Count(s, `"`)%2 == 0
}

// pointsElsewhere tells whether a sentence leans on a sentence, a figure or a page
// that the listener does not have, or is the author talking of the book.
func (l *language) pointsElsewhere(s string) bool {
	ws := tokenize(s)
	if len(ws) == 0 || l.dangling[uncontracted(ws[0])] || strings.Contains(s, "?") {
		return true
	}
	said := strings.ToLower(strings.ReplaceAll(s, "’", "'"))
	if slices.ContainsFunc(l.referrals, func(r string) bool { return strings.Contains(said, r) }) {
		return true
	}
	if last := ws[len(ws)-1]; l.deictic[last] || l.endings[last] {
		return true
	}
	for i, w := range ws {
		switch {
		case l.pointing[w], l.chatter[w], i < 6 && l.deictic[w]:
			return true
		case l.numbered[w] && i+1 < len(ws) && unicode.IsDigit(rune(ws[i+1][0])):
			return true
		}
	}
	return false
}

// uncontracted takes the verb off "it's" and "they're".
func uncontracted(w string) string {
	for _, end := range []string{"'s", "'re", "'ve", "'ll", "'d"} {
		if head, found := strings.CutSuffix(w, end); found && head != "" {
			return head
		}
	}
	return w
}

// isLabelled tells whether a sentence begins with a label, as the items of lists do: "Quality: …".
func isLabelled(s string) bool {
	head, _, found := strings.Cut(s, ": ")
	return found && countWords(head) < 4
}

// isForeign tells whether a sentence is in another language: translations leave some
// of the original standing.
func (l *language) isForeign(ws []string) bool {
	own := 0
	for _, w := range ws {
		if l.stop[w] {
			own++
		}
	}
	for tag, other := range languages() {
		n := 0
		for _, w := range ws {
			if other.stop[w] && tag != l.tag {
				n++
			}
		}
		if n > own+1 {
			return true
		}
	}
	return false
}

func mostlyNotWords(s string) bool {
	letters, others := 0, 0
	for _, r := range s {
		switch {
		case unicode.IsLetter(r) || unicode.IsMark(r):
			letters++
		case r != ' ':
			others++
		}
	}
	return letters < 4*others
}
