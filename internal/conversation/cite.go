package conversation

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	mostCitations = 100  // in an answer
	mostMarks     = 1000 // in an answer, of which each is looked up
	longestQuote  = 600  // characters
)

// numbered is how a citation stands in an answer.
func numbered(n int) string { return "[" + strconv.Itoa(n) + "]" }

var numbers = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(` ?\[(\d{1,3})\]`) })

// withoutNumbers takes the numbers of its citations out of an answer, which mean
// nothing to a model that is shown it among other passages.
func withoutNumbers(m Message) string {
	return numbers().ReplaceAllStringFunc(m.Content, func(mark string) string {
		n, _ := strconv.Atoi(strings.Trim(mark, " []"))
		if n >= 1 && n <= len(m.Citations) {
			return ""
		}
		return mark
	})
}

// span is a stretch of a text, in bytes.
type span struct{ from, to int }

// sentences divides a text. A line's end divides it too where lines stand for
// themselves, as in lists, tables and listings.
func sentences(text string, lines bool) []span {
	var out []span
	from := 0
	cut := func(to int) {
		inner := strings.TrimSpace(text[from:to])
		if inner != "" {
			at := from + strings.Index(text[from:to], inner)
			out = append(out, span{at, at + len(inner)})
		}
		from = to
	}
	ended, spaced := false, false
	for i, r := range text {
		switch {
		case r == '\n' && (lines || strings.HasPrefix(strings.TrimLeft(text[i+1:], " \t\r"), "\n")):
			cut(i)
			ended, spaced = false, false
		case strings.ContainsRune("。！？", r):
			cut(i + utf8.RuneLen(r))
			ended = false
		case strings.ContainsRune(".!?…", r):
			ended, spaced = true, false
		case ended && strings.ContainsRune(`"'”’»)]`, r):
		case ended && unicode.IsSpace(r):
			spaced = true
		default:
			if ended && spaced && !unicode.IsLower(r) && !isInitial(text[from:i]) {
				cut(i)
			}
			ended, spaced = false, false
		}
	}
	cut(len(text))
	return out
}

// isInitial tells whether a full stop ends an initial, or a short form such as "e.g.".
func isInitial(text string) bool {
	text = strings.TrimRightFunc(text, unicode.IsSpace)
	word := strings.TrimSuffix(text[strings.LastIndexFunc(text, unicode.IsSpace)+1:], ".")
	return strings.HasSuffix(text, ".") && (utf8.RuneCountInString(word) == 1 && unicode.IsLetter([]rune(word)[0]) || strings.Contains(word, "."))
}

// claimOf gives what a marker at the end of a text stands behind: its last sentence.
func claimOf(text string) string {
	text = numbers().ReplaceAllString(text, "")
	all := sentences(text, true)
	if len(all) == 0 {
		return ""
	}
	last := all[len(all)-1]
	return text[last.from:last.to]
}

// quoteFor finds the sentences of a passage that a claim rests on: the one that has
// the most of its words, rare words before common ones, with a neighbour that has
// much of the rest. When none has any, as when they are in different languages, it
// is the beginning of the passage.
func quoteFor(text, claim string, lines bool) span {
	all := sentences(text, lines)
	if len(all) == 0 {
		return span{0, len(text)}
	}
	wanted := words(claim)
	has := make([][]string, len(all))
	within := map[string]int{} // in how many sentences a word stands
	for i, s := range all {
		has[i] = slices.DeleteFunc(words(text[s.from:s.to]), func(w string) bool { return !slices.Contains(wanted, w) })
		for _, w := range has[i] {
			within[w]++
		}
	}
	score := func(of []string) (sum float64) {
		for _, w := range of {
			sum += math.Log(1 + float64(len(all))/float64(within[w]))
		}
		return sum
	}
	best, most := 0, 0.0
	for i := range all {
		long := math.Sqrt(20 + float64(utf8.RuneCountInString(text[all[i].from:all[i].to])))
		if n := score(has[i]) / long; n > most {
			best, most = i, n
		}
	}
	if most == 0 {
		return bounded(text, span{all[0].from, all[len(all)-1].to})
	}
	found := all[best]
	left := func(i int) float64 {
		if i < 0 || i >= len(all) {
			return 0
		}
		return score(slices.DeleteFunc(slices.Clone(has[i]), func(w string) bool { return slices.Contains(has[best], w) }))
	}
	enough := 0.6 * score(has[best])
	switch before, after := left(best-1), left(best+1); {
	case after >= before && after > enough:
		found.to = all[best+1].to
	case before > enough:
		found.from = all[best-1].from
	}
	return bounded(text, found)
}

// bounded cuts a stretch that is too long to quote, at a sentence's or a word's end.
func bounded(text string, s span) span {
	quote := text[s.from:s.to]
	if utf8.RuneCountInString(quote) <= longestQuote {
		return s
	}
	end := len(string([]rune(quote)[:longestQuote]))
	if all := sentences(quote[:end], false); len(all) > 1 {
		end = all[len(all)-2].to
	} else if space := strings.LastIndexFunc(quote[:end], unicode.IsSpace); space > 0 {
		end = len(strings.TrimRightFunc(quote[:space], unicode.IsSpace))
	}
	return span{s.from, s.from + end}
}

// words gives the different words of a text that may say what it is about, cut to what
// their forms have in common, roughly; of scripts without spaces, pairs of characters.
func words(text string) []string {
	var out []string
	for w := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	}) {
		runes := []rune(w)
		switch {
		case unicode.In(runes[0], unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai):
			for i := range len(runes) - 1 {
				out = append(out, string(runes[i:i+2]))
			}
		case len(runes) > 6:
			out = append(out, string(runes[:6]))
		case len(runes) >= 3 || unicode.IsDigit(runes[0]):
			out = append(out, w)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
