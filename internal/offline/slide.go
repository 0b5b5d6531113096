package offline

import (
	"slices"
	"strings"
)

// pointsSlide makes a slide of a topic's best sentences: short on the picture, whole
// in the narration, with a sentence more here and there that belongs to the same passage.
func (w *writer) pointsSlide(i int, t topic) slide {
	fresh := slices.DeleteFunc(slices.Clone(t.sentences), w.said)
	if len(best(fresh, 2)) < 2 {
		fresh = t.sentences
	}
	chosen := best(fresh, mostPoints)
	w.used = append(w.used, chosen...)
	out := slide{Kind: "points", Title: w.slideTitle(t, chosen)}
	opening := w.phrase("next", i-1+len(w.phrases["next"]), out.Title)
	if i == 0 {
		opening = w.phrase("about", 0, w.title)
	}
	out.Narration = append(out.Narration, spokenSentence{Text: opening, Cites: w.citePassage(chosen[0])})
	spoken := 0
	for _, s := range chosen {
		spoken += countWords(s.spoken)
	}
	if lead := w.lead(t, chosen[0]); lead != nil {
		spoken += countWords(lead.spoken)
		w.used = append(w.used, lead)
		out.Narration = append(out.Narration, spokenSentence{Text: lead.spoken, Cites: w.cite(lead)})
	}
	for n, s := range chosen {
		out.Points = append(out.Points, claim{Text: s.point, Cites: w.cite(s)})
		out.Narration = append(out.Narration, spokenSentence{Text: s.spoken, Reveals: n + 1, Cites: w.cite(s)})
		if spoken >= narratedWords {
			continue
		}
		until := s.order + 4
		if n+1 < len(chosen) {
			until = min(until, chosen[n+1].order)
		}
		if more := w.support(t, s, until); more != nil {
			spoken += countWords(more.spoken)
			w.used = append(w.used, more)
			out.Narration = append(out.Narration, spokenSentence{Text: more.spoken, Reveals: n + 1, Cites: w.cite(more)})
		}
	}
	return out
}

// lead finds a sentence that opens the topic but is too long for a point: one that
// defines something, ahead of the first point.
func (w *writer) lead(t topic, first *sentence) *sentence {
	for _, o := range t.others {
		if _, defines := w.definition(o.spoken); defines && o.order < first.order && !w.said(o) {
			return o
		}
	}
	return nil
}

// support finds the best sentence that says more about a point: close behind it in the same passage.
func (w *writer) support(t topic, s *sentence, until int) *sentence {
	var found *sentence
	for _, o := range slices.Concat(t.others, t.sentences) {
		if o.passage == s.passage && o.order > s.order && o.order < until && !w.said(o) &&
			(found == nil || o.score > found.score) {
			found = o
		}
	}
	return found
}

// said tells whether the lesson has used the sentence, or one that says the same.
func (w *writer) said(s *sentence) bool {
	return slices.ContainsFunc(w.used, func(u *sentence) bool { return u == s || repeats(u, s) })
}

// slideTitle is the heading that most of the sentences stand under, among those
// that no slide before has. A term that the sentences share, or a number, sets a
// slide apart when all its headings are taken.
func (w *writer) slideTitle(t topic, chosen []*sentence) string {
	if w.titles == nil {
		w.titles = map[string]int{}
	}
	count := map[string]int{}
	var headings []string
	for _, s := range chosen {
		h := w.language.title(lastHeading(w.passages[s.passage]))
		if count[h]++; h != "" && count[h] == 1 {
			headings = append(headings, h)
		}
	}
	slices.SortStableFunc(headings, func(a, b string) int { return count[b] - count[a] })
	if len(t.path) > 0 {
		if over := w.language.title(t.path[len(t.path)-1]); len(headings) == 0 || count[headings[0]]*2 <= len(chosen) {
			// A heading over few of the sentences would be wrong about the rest.
			headings = slices.DeleteFunc(headings, func(h string) bool { return count[h]*2 < len(chosen) })
			headings = slices.Insert(headings, 0, over)
		} else {
			headings = append(headings, over)
		}
	}
	headings = append(headings, w.title)
	for _, h := range headings {
		if w.titles[h] == 0 {
			w.titles[h]++
			return h
		}
	}
	heading := headings[0]
	for _, term := range w.keyTerms(chosen) {
		with := 0
		for _, s := range chosen {
			if hasWord(s.spoken, term) {
				with++
			}
		}
		if with*2 < len(chosen) { // a name that falls once is not what they share
			continue
		}
		title := heading + ": " + term
		if share(w.terms(heading), w.terms(term)) == 0 && w.titles[title] == 0 && len([]rune(title)) <= longestTitle {
			w.titles[title]++
			return title
		}
	}
	for n := 2; ; n++ {
		title := heading + ", " + lowerFirst(w.phrase("part", 0, n))
		if w.titles[title] == 0 {
			w.titles[title]++
			return title
		}
	}
}

func (w *writer) cite(s *sentence) []cite {
	return []cite{{Passage: w.passages[s.passage].ID, Quote: s.raw}}
}

// citePassage is what a sentence rests on that only says what comes next: the
// passage and its heading, no words of it.
func (w *writer) citePassage(s *sentence) []cite {
	return []cite{{Passage: w.passages[s.passage].ID}}
}

// objectives say what a learner can do afterwards: explain the terms that the lesson
// defines, describe what its slides are about.
func (w *writer) objectives(slides []slide) []string {
	var out []string
	for _, s := range slides {
		for _, n := range s.Narration {
			if d, ok := w.definition(n.Text); ok && !d.plural && len(out) < 2 {
				if o := w.phrase("objectiveTerm", 0, d.named()); !slices.Contains(out, o) {
					out = append(out, o)
				}
			}
		}
	}
	for _, s := range slides {
		if o := w.phrase("objectiveTopic", 0, s.Title); len(out) < 4 && !strings.Contains(s.Title, ": ") && !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	return out
}
