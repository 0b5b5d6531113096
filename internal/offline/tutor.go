package offline

import (
	"cmp"
	"context"
	"strings"

	"lectern.dev/lectern/internal/llm"
)

// outlineKind is of a passage that lists what a course is made of: it is about the
// course, and no evidence of anything.
const outlineKind = "outline"

// talk answers in plain text: a learner's question from the passages, the other
// tasks of a tutor, and the summary of a conversation.
func talk(ctx context.Context, req llm.Request) (string, error) {
	if req.Inputs["kind"] == "summary" {
		return summaryOf(req.Inputs["before"], req.Inputs["said"]), nil
	}
	t := newTutor(req)
	if err := ctx.Err(); err != nil {
		return "", llm.Interrupted(err)
	}
	text, err := t.reply(ctx, req.Inputs)
	if err != nil {
		return "", err
	}
	return following(text, req.Inputs["prefix"]), nil
}

// tutor answers one question.
type tutor struct {
	*language                    // of the passages
	say       *language          // of the words that are the tutor's own: the question's, when it can be told
	question  string             // with what it leans on
	outline   string             // of the course
	passages  []llm.Passage      // without the outline
	lines     []*line            // of the passages
	wanted    []string           // terms of the question
	weight    map[string]float64 // how much finding a term says
}

func newTutor(req llm.Request) *tutor {
	t := &tutor{question: req.Inputs["query"]}
	if t.question == "" {
		t.question = lastQuestion(req.Messages)
	}
	var all strings.Builder
	for _, p := range req.Passages {
		if p.Kind == outlineKind {
			t.outline = p.Text
			continue
		}
		t.passages = append(t.passages, p)
		all.WriteString(p.Text + "\n")
	}
	base, _, _ := strings.Cut(strings.ToLower(req.Inputs["language"]), "-")
	t.language = cmp.Or(detect(all.String()), languages()[base], languages()["en"])
	t.say = cmp.Or(spokenIn(cmp.Or(req.Inputs["question"], t.question)), t.language)
	t.read()
	return t
}

// spokenIn tells in which language a question is asked: the one that has the most of
// its small words, when no other has as many.
func spokenIn(question string) *language {
	ws := tokenize(question)
	var best *language
	most, second := 0, 0
	for _, l := range languages() {
		n := 0
		for _, w := range ws {
			if l.stop[w] || l.asking[w] || l.stop[unelided(w)] {
				n++
			}
		}
		switch {
		case n > most:
			best, most, second = l, n, most
		case n > second:
			second = n
		}
	}
	if most < 2 || most == second {
		return nil
	}
	return best
}

func lastQuestion(messages []llm.Message) string {
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role == llm.User {
			return messages[i].Text
		}
	}
	return ""
}

// reply writes the whole answer.
func (t *tutor) reply(ctx context.Context, in map[string]string) (string, error) {
	task := in["task"]
	switch {
	case task == "" && len(t.passages) == 0:
		return t.say.phrase("noModel", 0), nil
	case in["quiz"] == "judged":
		return t.verdict(in), nil
	case in["quiz"] == "open":
		return t.say.phrase("hint", 0), nil
	case in["quiz"] == "none":
		return t.say.phrase("noQuestions", 0), nil
	case len(t.passages) == 0 && len(t.wanted) == 0 && t.outline != "":
		return t.overview(), nil
	case len(t.passages) == 0 && in["course"] == "":
		return t.say.phrase("noCourse", 0), nil
	case len(t.passages) == 0:
		return t.say.phrase("notFound", 0), nil
	case task == "summarise":
		return t.summarise(ctx, cmp.Or(in["lesson"], in["course"]))
	case task == "explain":
		return t.explain(ctx)
	}
	return t.answer(ctx)
}

// following gives what is left of an answer of which the beginning has been told: the
// rest of the same words or, when the passages are not the same any more, the
// sentences that were not told.
func following(text, prefix string) string {
	if rest, found := strings.CutPrefix(text, prefix); found {
		return rest
	}
	var out strings.Builder
	for part := range strings.SplitAfterSeq(text, "\n") {
		if words := strings.TrimSpace(part); words != "" && !strings.Contains(prefix, words) {
			out.WriteString(part)
		}
	}
	if out.Len() == 0 {
		return ""
	}
	return "\n\n" + out.String()
}
