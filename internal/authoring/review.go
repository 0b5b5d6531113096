package authoring

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/source"
)

const reviewerTokens = 6_000

// reviewOutput is what stays of the reviewer's work.
type reviewOutput struct {
	trace
	Claims   int `json:"claims"`
	Repaired int `json:"repaired"`
	Dropped  int `json:"dropped"`
}

// review checks every claim of a lesson. What fails goes to the model once, to be
// corrected or let go; what still fails is dropped, and the lesson put in form again.
func (t *task) review(ctx context.Context) (job.Result, error) {
	t.run.Progress(0, reviewUnits, fmt.Sprintf("Checking “%s” against the sources", t.lesson.Title))
	slides, version, err := course.Slides(ctx, t.DB, t.organization, t.lesson.ID)
	if err != nil {
		return job.Result{}, err
	}
	questions, _, err := course.Questions(ctx, t.DB, t.organization, t.lesson.ID)
	if err != nil {
		return job.Result{}, err
	}
	passages, check, err := t.checker(ctx, slides, questions)
	if err != nil {
		return job.Result{}, err
	}
	claims := check.claims(slides, questions)
	dropRepeated(claims)
	out := reviewOutput{Claims: len(claims)}
	if failing := failing(claims); len(failing) > 0 {
		if out.trace, err = t.repair(ctx, passages, failing); err != nil {
			return job.Result{}, err
		}
		for _, c := range failing {
			c.dropped = c.dropped || c.check() != ""
			if !c.dropped {
				out.Repaired++
			}
		}
	}
	for _, c := range claims {
		if c.dropped {
			out.Dropped++
		}
	}
	slides, questions = inForm(slides, questions, claims)
	if len(slides) == 0 {
		return job.Result{}, fault.New(fault.Invalid, "Nothing that was written for the lesson “%s” could be shown by the sources.", t.lesson.Title)
	}
	return job.Result{Output: out, Apply: func(ctx context.Context, tx pgx.Tx) error {
		_, _, err := course.ReplaceSlides(ctx, tx, t.organization, t.lesson.ID, course.Condition{version}, slides)
		if fault.Is(err, fault.PreconditionFailed) {
			return nil // somebody edited the lesson meanwhile: theirs stays
		}
		if err != nil {
			return err
		}
		_, _, err = course.ReplaceQuestions(ctx, tx, t.organization, t.lesson.ID, nil, questions)
		return err
	}}, nil
}

// checker reads the passages that a lesson cites and those that it could cite.
func (t *task) checker(ctx context.Context, slides []course.Slide, questions []course.Question) (shown, *checker, error) {
	all := evidenceOf(slides)
	titles := []string{t.lesson.Course, t.lesson.Title}
	for _, s := range slides {
		titles = append(titles, s.Title)
		switch {
		case s.Code != nil:
			all = append(all, s.Code.Evidence...)
		case s.Table != nil:
			all = append(all, s.Table.Evidence...)
		case s.Quote != nil:
			all = append(all, s.Quote.Evidence...)
		}
	}
	for _, q := range questions {
		all = append(all, q.Evidence...)
	}
	cited, err := t.cited(ctx, all)
	if err != nil {
		return shown{}, nil, err
	}
	lesson, err := t.lessonPassages(ctx)
	if err != nil {
		return shown{}, nil, err
	}
	c := &checker{
		passages: map[string]source.Passage{}, titles: strings.Join(titles, "\n"),
		language: t.lesson.Language, sourced: len(t.lesson.Parts) > 0,
	}
	for _, p := range slices.Concat(cited.passages, lesson.passages) {
		c.passages[p.ID] = p
	}
	return lesson, c, nil
}

// failing checks the claims and gives those that something is wrong with.
func failing(claims []*claim) []*claim {
	return slices.DeleteFunc(slices.Clone(claims), func(c *claim) bool { return c.dropped || c.check() == "" })
}

// repair asks the model about claims that failed and applies what it says.
func (t *task) repair(ctx context.Context, passages shown, failing []*claim) (trace, error) {
	type entry struct {
		ID      string `json:"id"`
		Kind    string `json:"kind"`
		Text    string `json:"text"`
		Problem string `json:"problem"`
	}
	list := make([]entry, len(failing))
	byID := map[string]*claim{}
	for i, c := range failing {
		list[i] = entry{fmt.Sprintf("c%d", i+1), c.kind, c.shown, c.check()}
		byID[list[i].ID] = c
	}
	claims, err := json.Marshal(list)
	if err != nil {
		return trace{}, err
	}
	answer, tr, err := ask(ctx, t.Agents, question{
		prompt: reviewerPrompt, schema: "review", maxTokens: reviewerTokens,
		inputs:   t.inputs(map[string]string{"claims": string(claims)}),
		passages: passages.forModel(),
	}, func(reviewAnswer) faults { return faults{} })
	if err != nil {
		return tr, err
	}
	for _, r := range answer.Repairs {
		c := byID[r.Claim]
		if c == nil {
			continue
		}
		c.dropped = r.Drop
		*c.evidence = passages.resolve(r.Cites)
		most := 290
		if c.kind == "narration" {
			most = 990
		}
		if line := text(r.Text, most); c.text != nil && line != "" {
			*c.text = line
		}
	}
	return tr, nil
}

// inForm takes out what was dropped and puts the rest in the form of a lesson again.
func inForm(slides []course.Slide, questions []course.Question, claims []*claim) ([]course.Slide, []course.Question) {
	dropped := map[any]bool{} // by the address of the evidence, which is the claim's own
	for _, c := range claims {
		dropped[c.evidence] = c.dropped
	}
	var kept []course.Slide
	for i := range slides {
		if s, ok := slideInForm(&slides[i], dropped); ok && len(kept) < mostSlides {
			kept = append(kept, s)
		}
	}
	asked := []course.Question{}
	for i := range questions {
		if !dropped[&questions[i].Evidence] && len(asked) < mostQuestions {
			asked = append(asked, questions[i])
		}
	}
	return kept, asked
}

func slideInForm(s *course.Slide, dropped map[any]bool) (course.Slide, bool) {
	out := *s
	out.Points, out.Narration = []course.Point{}, []course.Sentence{}
	before := make([]int, len(s.Points)+1) // how many of the first n points are kept
	for i := range s.Points {
		if !dropped[&s.Points[i].Evidence] && len(out.Points) < mostPoints {
			out.Points = append(out.Points, s.Points[i])
		}
		before[i+1] = len(out.Points)
	}
	for i := range s.Narration {
		if n := s.Narration[i]; !dropped[&s.Narration[i].Evidence] {
			n.Reveals = before[n.Reveals]
			out.Narration = append(out.Narration, n)
		}
	}
	if special := special(s); special != nil && dropped[special] {
		out.Kind, out.Code, out.Table, out.Quote = course.PointsSlide, nil, nil, nil
	}
	if out.Kind == course.PointsSlide && len(out.Points) == 0 {
		return out, false
	}
	if len(out.Narration) == 0 { // nothing is left to say but the points themselves
		for i, p := range out.Points {
			out.Narration = append(out.Narration, course.Sentence{Text: strings.TrimRight(p.Text, ".") + ".", Reveals: i + 1, Evidence: p.Evidence})
		}
	}
	if n := len(out.Narration); n > 0 {
		out.Narration[n-1].Reveals = len(out.Points)
	}
	return out, true
}

// special is the evidence of a slide's code, table or quotation.
func special(s *course.Slide) any {
	switch {
	case s.Code != nil:
		return &s.Code.Evidence
	case s.Table != nil:
		return &s.Table.Evidence
	case s.Quote != nil:
		return &s.Quote.Evidence
	}
	return nil
}
