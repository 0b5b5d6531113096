package conversation

import (
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const longestQuery = 600 // bytes of a question that are searched for

// leaning are words with which a short question leans on the one before.
var leaning = sync.OnceValue(func() map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(`
		it its they them their this that these those he she one ones same such there then more else and but or
		es sie ihn ihr ihm das dies dieser diese dieses dem davon dazu damit und aber oder mehr sonst
		il elle ils elles ce cela ça ceci et mais ou donc plus
		eso esto esa este y pero o más ello
		questo quello e ma più isso isto esse`) {
		set[w] = true
	}
	return set
})

// searchFor makes of a question what to search for. One that is short and leans on
// what was said before, such as "and why?", is searched with the question before it.
func searchFor(question string, history []Message) string {
	query := firstBytes(strings.TrimSpace(question), longestQuery)
	if !leans(query) {
		return query
	}
	for _, m := range slices.Backward(history) {
		if m.Role != User {
			continue
		}
		query = firstBytes(strings.TrimSpace(m.Content), longestQuery) + "\n" + query
		if !leans(m.Content) || len(query) > longestQuery {
			break
		}
	}
	return query
}

func leans(question string) bool {
	all := strings.FieldsFunc(strings.ToLower(question), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	})
	if len(all) > 9 {
		return false
	}
	own := 0 // words that say what it is about
	for _, w := range all {
		if !leaning()[w] && utf8.RuneCountInString(w) > 3 {
			own++
		}
	}
	leaned := slices.ContainsFunc(all, func(w string) bool { return leaning()[w] })
	return own == 0 || leaned && own <= 2 && !strings.Contains(question, "\n")
}
