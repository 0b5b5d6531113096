package authoring

import (
	"cmp"
	"context"
	"slices"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/source"
)

// passageBudget is how many tokens of passages, as llm estimates them, one call
// carries: enough for a lesson's 9,000 words, and a bound on what a call can cost.
const passageBudget = 16_000

// lessonPassages chooses what the agents of a lesson see: all passages of its parts,
// or, when those are too many, the beginnings of each section, for that is where
// sections say what they are about. The order stays that of the sources.
func (t *task) lessonPassages(ctx context.Context) (shown, error) {
	all, err := t.Library.Passages(ctx, t.organization, t.course, t.lesson.Parts)
	if err != nil {
		return shown{}, err
	}
	if len(all) == 0 && len(t.lesson.Parts) > 0 {
		return shown{}, fault.New(fault.Conflict, "The sources of the lesson “%s” were deleted since it was planned.", t.lesson.Title)
	}
	names, err := t.sourceNames(ctx)
	return shown{within(all, passageBudget), names}, err
}

// within takes the first passages of all sections, then the second ones, and so on,
// until the budget is spent.
func within(all []source.Passage, budget int) []source.Passage {
	type ranked struct{ index, place int } // place in its section
	order := make([]ranked, len(all))
	for i, p := range all {
		order[i].index = i
		if i > 0 && all[i-1].Source == p.Source && slices.Equal(all[i-1].Heading, p.Heading) {
			order[i].place = order[i-1].place + 1
		}
	}
	slices.SortStableFunc(order, func(a, b ranked) int { return cmp.Compare(a.place, b.place) })
	var kept []int
	for _, o := range order {
		cost := 16 + llm.EstimateText(all[o.index].Text)
		if cost > budget {
			continue // a smaller one may fit
		}
		budget -= cost
		kept = append(kept, o.index)
	}
	slices.Sort(kept)
	out := make([]source.Passage, len(kept))
	for i, k := range kept {
		out[i] = all[k]
	}
	return out
}
