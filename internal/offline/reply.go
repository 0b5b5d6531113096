package offline

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

const (
	mostInAnswer  = 4
	mostExplained = 8
	mostSummed    = 7
	surely        = 0.5  // share of the question that is covered by what answers it
	nearly        = 0.28 // less than that is about something else
	mostItems     = 8    // of a list
)

// answer gives the passages' own sentences that are about the question.
func (t *tutor) answer(ctx context.Context) (string, error) {
	if len(t.wanted) == 0 {
		return t.overview(), nil
	}
	ranked := t.ranked()
	if len(ranked) == 0 || t.reach(ranked[0]) < nearly {
		return t.say.phrase("notFound", 0), ctx.Err()
	}
	top := ranked[0]
	picked := []*line{top}
	if other := t.missing(top, ranked[1:]); other != nil {
		picked = append(picked, other)
	}
	for _, l := range ranked[1:] {
		if len(picked) >= mostInAnswer-1 || l.score < 0.6*top.score || l.covers < nearly {
			break
		}
		if !slices.ContainsFunc(picked, func(p *line) bool { return tooLike(p, l) }) && (l.alone || t.follows(picked, l)) {
			picked = append(picked, l)
		}
	}
	picked = t.rounded(picked, mostInAnswer)
	lead := "found"
	if t.reach(top) < surely {
		lead = "near"
	}
	return t.write(t.say.phrase(lead, 0), picked, true), nil
}

// missing finds the line that says most of what the best leaves out, as when a
// question asks for the difference between two things.
func (t *tutor) missing(top *line, others []*line) *line {
	var best *line
	most := 0.0
	for _, l := range others {
		gain := 0.0
		for _, w := range t.wanted {
			if has(l.terms, w) && !has(top.terms, w) {
				gain += t.weight[w]
			}
		}
		gain *= 0.3 + l.score - l.covers // what says what the other thing is, before what only names it
		if l.alone && gain > most && l.covers >= nearly {
			best, most = l, gain
		}
	}
	return best
}

// overview says what a learner can ask about, who has not said it.
func (t *tutor) overview() string {
	const here = " (the learner is here)" // a note of the outline's to its reader
	const most = 12
	out := t.say.phrase("ask", 0)
	n := 0
	for text := range strings.Lines(t.outline) {
		title, found := strings.CutPrefix(strings.TrimSpace(text), "- ")
		if !found || n == most {
			continue
		}
		if n == 0 {
			out += "\n"
		}
		n++
		out += "\n- " + strings.TrimSuffix(title, here)
	}
	return out
}

// reach is how much of the question a line and its neighbours in the passage cover.
func (t *tutor) reach(l *line) float64 {
	total, found := 0.0, 0.0
	heading := t.terms(strings.Join(headingPath(t.passages[l.passage]), " "))
	for _, w := range t.wanted {
		total += t.weight[w]
		near := slices.ContainsFunc(t.lines, func(o *line) bool {
			return o.passage == l.passage && o.order >= l.order-2 && o.order <= l.order+2 && has(o.terms, w)
		})
		switch {
		case near:
			found += t.weight[w]
		case has(heading, w):
			found += inHeading * t.weight[w]
		}
	}
	if total == 0 {
		return 0
	}
	return (found/total + l.covers) / 2
}

// ranked gives the lines that have to do with the question, the best first.
func (t *tutor) ranked() []*line {
	out := slices.DeleteFunc(slices.Clone(t.lines), func(l *line) bool { return l.score <= 0 })
	slices.SortStableFunc(out, func(a, b *line) int { return cmp.Compare(b.score, a.score) })
	return out
}

func tooLike(a, b *line) bool {
	return repeats(&sentence{terms: a.terms}, &sentence{terms: b.terms})
}

// follows tells whether the sentence that a line leans on has been picked.
func (t *tutor) follows(picked []*line, l *line) bool {
	return slices.ContainsFunc(picked, func(p *line) bool { return p.passage == l.passage && p.order == l.order-1 })
}

// rounded adds what the picked lines need or lead to: the sentence before one that leans
// on it, the one behind that goes on with it, and the items behind a colon. The best
// comes first, with what stands in its passage; the rest in the order of the text.
func (t *tutor) rounded(picked []*line, most int) []*line {
	best := picked[0].passage
	add := func(l *line) {
		if l != nil && !slices.Contains(picked, l) {
			picked = append(picked, l)
		}
	}
	for _, p := range slices.Clone(picked) {
		if !p.alone {
			add(t.at(p.passage, p.order-1))
		}
		next := t.at(p.passage, p.order+1)
		switch {
		case strings.HasSuffix(p.text, ":"):
			for n := 1; n <= mostItems; n++ {
				if item := t.at(p.passage, p.order+n); item != nil && item.item {
					add(item)
				}
			}
		case next != nil && !next.alone && !next.aside && len(picked) < most && !strings.HasSuffix(next.text, ":"):
			add(next)
		}
	}
	slices.SortStableFunc(picked, func(a, b *line) int {
		if (a.passage == best) != (b.passage == best) {
			if a.passage == best {
				return -1
			}
			return 1
		}
		return a.order - b.order
	})
	return picked
}

func (t *tutor) at(passage, order int) *line {
	i, found := slices.BinarySearchFunc(t.lines, order, func(l *line, order int) int { return l.order - order })
	if !found || t.lines[i].passage != passage {
		return nil
	}
	return t.lines[i]
}

// write puts lines into prose: a paragraph for each passage, each sentence with its
// passage's id, items as a list, and a listing that belongs to the best of them.
func (t *tutor) write(lead string, picked []*line, listing bool) string {
	var out strings.Builder
	out.WriteString(lead)
	passage, item := -1, false
	for _, l := range picked {
		switch {
		case l.item && item && !listing:
			out.WriteString("\n")
		case l.passage != passage || l.item != item:
			if l.passage != passage && passage >= 0 && listing {
				out.WriteString(t.listingBehind(passage))
				listing = false
			}
			out.WriteString("\n\n")
		case l.item:
			out.WriteString("\n")
		default:
			out.WriteString(" ")
		}
		passage, item = l.passage, l.item
		if l.item {
			out.WriteString("- ")
		}
		out.WriteString(l.text + " [" + t.passages[l.passage].ID + "]")
	}
	if listing && passage >= 0 {
		out.WriteString(t.listingBehind(passage))
	}
	return strings.TrimSpace(out.String())
}

// listingBehind gives the listing or table that was found beside a passage, under the
// same heading, when it has to do with the question.
func (t *tutor) listingBehind(passage int) string {
	for i, p := range t.passages {
		if p.Kind != "code" || p.Heading != t.passages[passage].Heading || i == passage {
			continue
		}
		terms := t.terms(p.Text)
		if !slices.ContainsFunc(t.wanted, func(w string) bool { return has(terms, w) }) {
			continue
		}
		if text, ok := excerpt(p.Text); ok && !strings.Contains(text, "```") {
			return "\n\n```" + cmp.Or(p.CodeLanguage, guessLanguage(text)) + "\n" + text + "\n```\n[" + p.ID + "]"
		}
	}
	return ""
}

// explain gives more of what the passages say about a thing, in their order, what it
// is before all else.
func (t *tutor) explain(ctx context.Context) (string, error) {
	ranked := t.ranked()
	if len(t.wanted) == 0 {
		return t.gist(ctx, t.say.phrase("explained", 0), mostExplained, false)
	}
	if len(ranked) == 0 || t.reach(ranked[0]) < nearly {
		return t.say.phrase("notFound", 0), ctx.Err()
	}
	top := ranked[0]
	picked := []*line{top}
	// Its passage explains it, and then whatever else speaks of it.
	for _, l := range t.lines {
		if l.passage == top.passage && l.order > top.order && len(picked) < mostExplained/2 && !l.aside && !strings.HasSuffix(l.text, "?") {
			picked = append(picked, l)
		}
	}
	for _, l := range ranked[1:] {
		if len(picked) >= mostExplained-1 || l.score < 0.45*top.score {
			break
		}
		if !slices.Contains(picked, l) && l.alone && !slices.ContainsFunc(picked, func(p *line) bool { return tooLike(p, l) }) {
			picked = append(picked, l)
		}
	}
	lead := "found"
	if t.reach(top) < surely {
		lead = "near"
	}
	return t.write(t.say.phrase(lead, 0), t.rounded(picked, mostExplained), true), nil
}

// summarise gives the sentences that the rest hangs on, as a list.
func (t *tutor) summarise(ctx context.Context, title string) (string, error) {
	if title == "" {
		return t.gist(ctx, t.say.phrase("explained", 0), mostSummed, true)
	}
	return t.gist(ctx, t.say.phrase("summed", 0, title), mostSummed, true)
}

// gist ranks the sentences by how central they are.
func (t *tutor) gist(ctx context.Context, lead string, most int, list bool) (string, error) {
	all := t.sentences(t.passages)
	if err := t.rank(ctx, all, t.passages, t.question); err != nil {
		return "", err
	}
	var lines []*line
	for _, s := range best(all, most) {
		lines = append(lines, &line{passage: s.passage, order: s.order, item: list, text: strings.TrimSpace(collapse(s.raw))})
	}
	if len(lines) == 0 {
		for _, l := range t.lines[:min(most, len(t.lines))] {
			lines = append(lines, &line{passage: l.passage, order: l.order, item: list, text: l.text})
		}
	}
	if len(lines) == 0 {
		return t.say.phrase("notFound", 0), nil
	}
	return t.write(lead, lines, false), nil
}

// verdict tells a learner how the program judged their choice, and why.
func (t *tutor) verdict(in map[string]string) string {
	out := t.say.phrase("right", 0)
	if in["verdict"] != "right" {
		out = t.say.phrase("wrong", 0, strings.TrimRight(in["right"], ".。"))
	}
	said := strings.TrimSpace(in["explanation"])
	t.question = in["quiz_question"] + " " + in["right"] + " " + said
	t.lines = nil
	t.read()
	ranked := t.ranked()
	if len(ranked) == 0 || ranked[0].covers < nearly {
		return strings.TrimSpace(out + " " + said)
	}
	return out + " " + ranked[0].text + " [" + t.passages[ranked[0].passage].ID + "]"
}
