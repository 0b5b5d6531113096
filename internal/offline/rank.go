package offline

import (
	"context"
	"maps"
	"math"
	"slices"
	"strings"

	"lectern.dev/lectern/internal/llm"
)

const (
	maxRanked = 700  // sentences that are compared with each other; the rest is too far from the subject
	damping   = 0.85 // of TextRank, as in the paper (Mihalcea and Tarau, 2004)
)

// rank gives every sentence a score: how central it is among the others (TextRank
// over TF-IDF cosines), with a premium for opening a passage, for speaking of what
// its heading names, for defining something, and for being of a good length.
func (l *language) rank(ctx context.Context, all []*sentence, passages []llm.Passage, about string) error {
	vectors := tfidf(all)
	subject := unique(l.terms(about))
	known := l.commonTerms(all)
	central, err := textRank(ctx, vectors)
	if err != nil {
		return err
	}
	for i, s := range all {
		premium := 1.0
		if s.first {
			premium += 0.2
		}
		premium += 0.5 * share(s.terms, l.terms(lastHeading(passages[s.passage])))
		premium += 0.2 * share(s.terms, subject)
		if _, ok := l.definition(s.spoken); ok {
			premium += 0.3
		}
		if s.point == "" {
			premium -= 0.3
		}
		if strings.ContainsAny(s.spoken, ";:") {
			premium -= 0.15
		}
		if n := countWords(s.spoken); n > 26 {
			premium -= 0.15
		}
		premium += 0.25 * l.subjectIs(s, known)
		ws := tokenize(s.spoken)
		if len(ws) > 1 && l.definite[ws[0]] && !known[stem(ws[1])] && !slices.Contains(subject, stem(ws[1])) {
			premium -= 0.35 // "The cause is …": of what?
		}
		if slices.ContainsFunc(ws, func(w string) bool { return l.deictic[w] }) {
			premium -= 0.3
		}
		if slices.ContainsFunc(ws, func(w string) bool { return l.past[w] }) {
			premium -= 0.2
		}
		s.score = central[i] * premium
	}
	return nil
}

// commonTerms are the stems that the text uses most.
func (l *language) commonTerms(all []*sentence) set {
	const most = 30
	count := map[string]int{}
	for _, s := range all {
		for _, t := range unique(s.terms) {
			count[t]++
		}
	}
	stems := slices.Sorted(maps.Keys(count))
	slices.SortStableFunc(stems, func(a, b string) int { return count[b] - count[a] })
	return asSet(stems[:min(most, len(stems))])
}

// subjectIs is 1 when a sentence begins with one of the terms: that is mostly what it is about.
func (l *language) subjectIs(s *sentence, terms set) float64 {
	ws := tokenize(s.spoken)
	for _, w := range ws[:min(4, len(ws))] {
		if l.verbs[w] {
			return 0
		}
		if terms[stem(w)] {
			return 1
		}
	}
	return 0
}

// tfidf gives each sentence a vector of length one over its terms.
func tfidf(all []*sentence) []map[string]float64 {
	seenIn := map[string]float64{}
	for _, s := range all {
		for _, t := range unique(s.terms) {
			seenIn[t]++
		}
	}
	vectors := make([]map[string]float64, len(all))
	for i, s := range all {
		v := map[string]float64{}
		for _, t := range s.terms {
			v[t] += math.Log(1 + float64(len(all))/seenIn[t])
		}
		norm := 0.0
		for _, t := range unique(s.terms) {
			norm += v[t] * v[t]
		}
		for t := range v {
			v[t] /= math.Sqrt(norm)
		}
		vectors[i] = v
	}
	return vectors
}

// textRank runs power iteration over the graph of similar sentences; the mean score is 1.
func textRank(ctx context.Context, vectors []map[string]float64) ([]float64, error) {
	n := len(vectors)
	scores := make([]float64, n)
	for i := range scores {
		scores[i] = 1
	}
	near := evenly(n, maxRanked)
	type edge struct {
		to     int
		weight float64
	}
	edges := make([][]edge, n)
	out := make([]float64, n)
	for a, i := range near {
		if err := ctx.Err(); err != nil {
			return nil, llm.Interrupted(err)
		}
		for _, j := range near[a+1:] {
			if w := cosine(vectors[i], vectors[j]); w > 0.05 {
				edges[i] = append(edges[i], edge{j, w})
				edges[j] = append(edges[j], edge{i, w})
				out[i] += w
				out[j] += w
			}
		}
	}
	for range 20 {
		next := make([]float64, n)
		for i := range next {
			next[i] = 1 - damping
			for _, e := range edges[i] {
				next[i] += damping * scores[e.to] * e.weight / out[e.to]
			}
		}
		scores = next
	}
	return scores, nil
}

// evenly picks at most limit of n indexes, spread over the whole.
func evenly(n, limit int) []int {
	picked := make([]int, 0, min(n, limit))
	for i := range min(n, limit) {
		picked = append(picked, i*n/min(n, limit))
	}
	return picked
}

// cosine adds up in the order of the words, so that the same text gives the same
// number every time: a sum of floats depends on its order.
func cosine(a, b map[string]float64) float64 {
	if len(b) < len(a) {
		a, b = b, a
	}
	var common []string
	for t := range a {
		if _, ok := b[t]; ok {
			common = append(common, t)
		}
	}
	slices.Sort(common)
	sum := 0.0
	for _, t := range common {
		sum += a[t] * b[t]
	}
	return sum
}

// share tells how much of what is in the text, between 0 and 1.
func share(text, what []string) float64 {
	if len(what) == 0 {
		return 0
	}
	n := 0
	for _, w := range what {
		if slices.Contains(text, w) {
			n++
		}
	}
	return float64(n) / float64(len(what))
}

// best picks up to n sentences by score that do not repeat each other, in the order
// of the text.
func best(all []*sentence, n int) []*sentence {
	byScore := slices.Clone(all)
	slices.SortStableFunc(byScore, func(a, b *sentence) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return a.order - b.order
	})
	var picked []*sentence
	for _, s := range byScore {
		if len(picked) == n {
			break
		}
		if !slices.ContainsFunc(picked, func(p *sentence) bool { return repeats(p, s) }) {
			picked = append(picked, s)
		}
	}
	slices.SortFunc(picked, func(a, b *sentence) int { return a.order - b.order })
	return picked
}

// repeats tells whether two sentences say much the same.
func repeats(a, b *sentence) bool {
	ta, tb := unique(a.terms), unique(b.terms)
	if len(ta) > len(tb) {
		ta, tb = tb, ta
	}
	return share(tb, ta) >= 0.6
}

func unique(in []string) []string {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}

func lastHeading(p llm.Passage) string {
	path := headingPath(p)
	if len(path) == 0 {
		return ""
	}
	return path[len(path)-1]
}

func headingPath(p llm.Passage) []string {
	if p.Heading == "" {
		return nil
	}
	return strings.Split(p.Heading, " > ")
}
