// Package offline is a language model that needs no network and no key: it writes
// by extraction from the passages that a request carries.
//
// It answers learners in plain text, with the sentences that are about their question;
// see tutor. It recognises four more kinds of writing by the schema's name. An "outline" follows the
// document's own headings. A "lesson" is made of the document's own sentences: ranked
// by how central they are, kept when they can stand alone, shortened at clause
// boundaries for the slides and left whole for the narrator. "questions" ask for what
// those sentences say, with wrong choices of the same kind from the same text. A
// "review" lets go of what has no evidence. It never invents: a request without
// passages is refused with a sentence that says so.
package offline

import (
	"context"
	"encoding/json"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// Model implements llm.Model. The zero value is ready; it holds no state and gives
// the same answer to the same request.
type Model struct{}

// Name is recorded beside what the model wrote; it rises when its writing changes.
func (Model) Name() string { return "offline-1" }

// Complete answers requests whose schema is "outline", "lesson", "questions" or
// "review", and in plain text those without a schema; anything else is Invalid,
// because it would have to be invented.
func (m Model) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	if err := ctx.Err(); err != nil {
		return llm.Response{}, llm.Interrupted(err)
	}
	text, finish, err := compose(ctx, req)
	if err != nil {
		return llm.Response{}, err
	}
	return llm.Response{
		Text:   text,
		Model:  m.Name(),
		Usage:  llm.Usage{Input: llm.EstimateTokens(req), Output: llm.EstimateText(text)},
		Finish: finish,
	}, nil
}

func compose(ctx context.Context, req llm.Request) (string, llm.Finish, error) {
	if req.Schema == nil {
		text, err := talk(ctx, req)
		if err != nil {
			return "", "", err
		}
		text, finish := within(text, req.MaxTokens)
		return text, finish, nil
	}
	answer, err := answer(ctx, req)
	if err != nil {
		return "", "", err
	}
	text, err := json.Marshal(answer)
	return string(text), llm.Stop, err
}

func answer(ctx context.Context, req llm.Request) (any, error) {
	switch req.Schema.Name {
	case "outline":
		return writeOutline(ctx, req)
	case "lesson":
		return writeLesson(ctx, req)
	case "questions":
		return writeQuestions(ctx, req)
	case "review":
		return writeReview(req)
	}
	return nil, fault.New(fault.Invalid,
		"The built-in offline model can only rearrange what a source says. For this, connect a language model: set OPENAI_API_KEY.")
}

func errNoSource() error {
	return fault.New(fault.Invalid,
		"The built-in offline model writes only from sources, and there is no text here to write from. Add a source, or connect a language model: set OPENAI_API_KEY.")
}
