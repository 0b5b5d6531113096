package authoring

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/source"
)

const (
	fewestQuestions = 3
	mostQuestions   = 8
	examinerTokens  = 5_000
)

// examine asks questions about what the lesson teaches: its passages are those that
// the lesson's claims rest on.
func (t *task) examine(ctx context.Context) (job.Result, error) {
	t.run.Progress(0, examineUnits, fmt.Sprintf("Writing questions on “%s”", t.lesson.Title))
	slides, _, err := course.Slides(ctx, t.DB, t.organization, t.lesson.ID)
	if err != nil {
		return job.Result{}, err
	}
	lesson, err := course.GetLesson(ctx, t.DB, t.organization, t.lesson.ID)
	if err != nil {
		return job.Result{}, err
	}
	passages, err := t.cited(ctx, slices.Concat(lesson.Citations, evidenceOf(slides)))
	if err != nil {
		return job.Result{}, err
	}
	passages.passages = within(passages.passages, passageBudget)
	answer, tr, err := ask(ctx, t.Agents, question{
		prompt: examinerPrompt, schema: "questions", maxTokens: examinerTokens,
		inputs:   t.inputs(map[string]string{"taught": taught(slides)}),
		passages: passages.forModel(),
	}, checkQuestions)
	if err != nil {
		return job.Result{}, err
	}
	questions := passages.questions(answer.Questions)
	return job.Result{
		Output: tr,
		Apply: func(ctx context.Context, tx pgx.Tx) error {
			_, _, err := course.ReplaceQuestions(ctx, tx, t.organization, t.lesson.ID, nil, questions)
			return err
		},
	}, nil
}

// cited reads the passages that evidence points to, each once, in the order of the sources.
func (t *task) cited(ctx context.Context, all []course.Evidence) (shown, error) {
	var ids []string
	for _, e := range all {
		ids = append(ids, e.Passage)
	}
	slices.Sort(ids)
	passages, err := t.Library.ByID(ctx, t.organization, t.course, slices.Compact(ids))
	if err != nil {
		return shown{}, err
	}
	slices.SortStableFunc(passages, func(a, b source.Passage) int {
		if a.Source != b.Source {
			return strings.Compare(a.Source, b.Source)
		}
		return a.Position - b.Position
	})
	names, err := t.sourceNames(ctx)
	return shown{passages, names}, err
}

// sourceNames gives the title of each source, or the name of its file.
func (t *task) sourceNames(ctx context.Context) (map[string]string, error) {
	sources, err := source.List(ctx, t.DB, t.organization, t.course)
	names := map[string]string{}
	for _, s := range sources {
		if names[s.ID] = s.Title; s.Title == "" {
			names[s.ID] = s.Name
		}
	}
	return names, err
}

func evidenceOf(slides []course.Slide) []course.Evidence {
	var all []course.Evidence
	for _, s := range slides {
		for _, p := range s.Points {
			all = append(all, p.Evidence...)
		}
		for _, n := range s.Narration {
			all = append(all, n.Evidence...)
		}
	}
	return all
}

// taught is the lesson in outline, as the examiner reads it.
func taught(slides []course.Slide) string {
	var out strings.Builder
	for _, s := range slides {
		fmt.Fprintf(&out, "%s\n", s.Title)
		for _, p := range s.Points {
			fmt.Fprintf(&out, "- %s\n", p.Text)
		}
	}
	return out.String()
}

func checkQuestions(a questionsAnswer) (wrong faults) {
	if n := len(a.Questions); n < fewestQuestions || n > mostQuestions {
		wrong.mind("There are %d questions; %d to %d are wanted.", n, fewestQuestions, mostQuestions)
	}
	for i, q := range a.Questions {
		at := fmt.Sprintf("Question %d", i+1)
		if len(q.Choices) < 2 || len(q.Choices) > 6 {
			wrong.fail("%s has %d choices; 3 to 5 are wanted.", at, len(q.Choices))
		}
		if q.Key < 0 || q.Key >= len(q.Choices) {
			wrong.fail("%s: the key %d is not the index of a choice.", at, q.Key)
		}
		if strings.TrimSpace(q.Prompt) == "" || slices.ContainsFunc(q.Choices, func(c string) bool { return strings.TrimSpace(c) == "" }) {
			wrong.fail("%s has an empty prompt or choice.", at)
		}
		if repeated(q.Choices) {
			wrong.fail("%s has the same choice twice.", at)
		}
	}
	return wrong
}

func repeated(choices []string) bool {
	seen := map[string]bool{}
	for _, c := range choices {
		c = strings.ToLower(strings.Join(strings.Fields(c), " "))
		if seen[c] {
			return true
		}
		seen[c] = true
	}
	return false
}

// questions makes course questions of an answer's.
func (s shown) questions(answers []questionAnswer) []course.Question {
	out := make([]course.Question, 0, len(answers))
	for _, a := range answers[:min(len(answers), mostQuestions)] {
		out = append(out, course.Question{
			Prompt: text(a.Prompt, 590), Choices: texts(a.Choices, 6, 290), Key: a.Key,
			Explanation: text(a.Explanation, 1190), Evidence: s.resolve(a.Cites),
		})
	}
	return out
}
