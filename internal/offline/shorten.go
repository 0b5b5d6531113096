package offline

import (
	"strings"
	"unicode"
)

// The length of a point on a slide, in words.
const (
	shortestPoint = 4
	goodPoint     = 12
	longestPoint  = 14
)

// shorten makes a point for a slide out of a sentence by leaving out whole clauses:
// a concession at its beginning, an aside in its middle, an addition at its end. It
// never cuts inside a clause, and never cuts off a condition, for that would change
// what is said. ok is false when no true short form was found.
func (l *language) shorten(s string) (point string, ok bool) {
	s = strings.TrimRight(s, ".!。！ ")
	if n := countWords(s); n <= goodPoint {
		return s, n >= shortestPoint
	}
	s = l.dropOpening(s)
	s = l.dropAsides(s)
	if countWords(s) <= goodPoint {
		return s, countWords(s) >= shortestPoint
	}
	best := ""
	lower := strings.ToLower(s)
	if len(lower) != len(s) {
		return "", false // a letter whose lower case is longer: offsets would not match
	}
	for _, mark := range l.cuts {
		for from := 0; ; {
			i := strings.Index(lower[from:], mark)
			if i < 0 {
				break
			}
			head, tail := s[:from+i], s[from+i+len(mark):]
			if countWords(head) > countWords(best) && l.canEndAt(head, mark, tail) {
				best = strings.TrimRight(head, " ,;:–—-")
			}
			from += i + len(mark)
		}
	}
	if best == "" && countWords(s) <= longestPoint {
		best = s
	}
	return best, best != ""
}

// canEndAt tells whether a sentence may end after head.
func (l *language) canEndAt(head, mark, tail string) bool {
	n := countWords(head)
	if n < shortestPoint || n > goodPoint || !balanced(head) {
		return false
	}
	ws := tokenize(head)
	tailWords := tokenize(tail)
	if len(ws) == 0 || len(tailWords) == 0 || l.conditions[tailWords[0]] || l.stop[ws[len(ws)-1]] {
		return false
	}
	if l.opensClause(head) || !l.hasVerb(ws) {
		return false
	}
	// ", and" inside a list of things: the list would lose its end. A comma shortly
	// before gives it away, as does a tail without a verb of its own.
	if strings.HasPrefix(mark, ", ") && strings.HasSuffix(mark, " ") {
		if strings.Contains(head, ",") {
			return false
		}
		for _, w := range tailWords[1:min(len(tailWords), 6)] {
			if l.verbs[w] {
				return true
			}
		}
		return false
	}
	return true
}

// opensClause tells whether head starts with a clause that waits for its main clause:
// "When a package is installed" or "If the key is lost".
func (l *language) opensClause(head string) bool {
	first, _, _ := strings.Cut(strings.ToLower(head), " ")
	return l.subordinate[first] && !strings.Contains(head, ",")
}

// dropOpening leaves out "Although …," at the beginning.
func (l *language) dropOpening(s string) string {
	first, _, _ := strings.Cut(strings.ToLower(s), " ")
	_, rest, found := strings.Cut(s, ", ")
	if l.openings[first] && found && countWords(rest) >= shortestPoint && !l.deicticStart(rest) {
		return capitalize(rest)
	}
	return s
}

func (l *language) deicticStart(s string) bool {
	ws := tokenize(s)
	return len(ws) == 0 || l.dangling[ws[0]] || l.deictic[ws[0]]
}

// dropAsides leaves out a clause between two commas: ", which …,".
func (l *language) dropAsides(s string) string {
	for _, mark := range l.cuts {
		if !strings.HasPrefix(mark, ", ") || strings.HasSuffix(mark, " ") {
			continue
		}
		i := strings.Index(s, mark+" ")
		if i < 0 {
			continue
		}
		aside := s[i+2:]
		before, after, ok := strings.Cut(aside, ", ")
		if !ok || countWords(before) > 12 {
			continue
		}
		rest := strings.TrimSpace(after)
		ws := tokenize(rest)
		// After the aside the sentence must go on with its verb, else the comma was part of a list.
		if len(ws) > 2 && l.verbs[ws[0]] && unicode.IsLower([]rune(rest)[0]) && !strings.Contains(s[:i], ",") {
			return s[:i] + " " + rest
		}
	}
	return s
}
