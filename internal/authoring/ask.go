package authoring

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// trace is what a step's output keeps of its calls.
type trace struct {
	Prompt string    `json:"prompt,omitempty"` // name and version of the prompt
	Model  string    `json:"model,omitempty"`
	Calls  int       `json:"calls"`
	Usage  llm.Usage `json:"usage"`
}

// question is what an agent asks a model for.
type question struct {
	prompt    string // file name without ending: "writer.v1"
	schema    string // name of the answer's shape
	inputs    map[string]string
	passages  []llm.Passage
	maxTokens int // of the answer
}

// faults are what is wrong with an answer, in words for the model that gave it.
type faults struct {
	grave []string // the answer cannot be used
	minor []string // it can, but the model should try to do better
}

func (f *faults) fail(format string, args ...any) {
	f.grave = append(f.grave, fmt.Sprintf(format, args...))
}

func (f *faults) mind(format string, args ...any) {
	f.minor = append(f.minor, fmt.Sprintf(format, args...))
}
func (f faults) all() []string { return slices.Concat(f.grave, f.minor) }

// ask puts a question to the model and gives an answer that has the right shape and
// in which check finds no grave faults. An answer with faults, or one that was cut
// off, is sent back once with what is wrong with it. When the second one is worse,
// the first is taken if it can be used; else that is an error that is not tried
// again, for it would cost as much each time.
func ask[T any](ctx context.Context, a *Agents, q question, check func(T) faults) (answer T, tr trace, err error) {
	shape, err := shapeOf[T](q.schema)
	if err != nil {
		return answer, tr, err
	}
	messages, err := render(q.prompt, q.inputs)
	if err != nil {
		return answer, tr, err
	}
	tr.Prompt = q.prompt
	var wrong faults
	var usable *T // the first answer, when its faults are minor
	var by string // the model that gave it
	for try := range 2 {
		resp, err := a.complete(ctx, llm.Request{
			Messages: messages, Passages: q.passages, Schema: shape.schema,
			Inputs: q.inputs, MaxTokens: q.maxTokens,
		})
		tr.Calls++
		tr.Usage = tr.Usage.Add(resp.Usage)
		if err != nil && usable != nil && ctx.Err() == nil {
			break
		}
		if err != nil {
			return answer, tr, err
		}
		tr.Model = resp.Model
		switch resp.Finish {
		case llm.Refusal:
			if usable != nil {
				tr.Model = by
				return *usable, tr, nil
			}
			return answer, tr, fault.New(fault.Invalid, "The language model refused to write this: %s", cut(resp.Text, 300))
		case llm.Length:
			wrong = faults{grave: []string{"The answer was cut off because it was too long. Write less."}}
		default:
			answer, wrong = read(shape, resp.Text, check)
		}
		if len(wrong.grave) == 0 && (len(wrong.minor) == 0 || try > 0) {
			return answer, tr, nil
		}
		if len(wrong.grave) == 0 {
			first := answer
			usable, by = &first, resp.Model
		}
		messages = append(messages[:len(messages):len(messages)],
			llm.Message{Role: llm.Assistant, Text: cut(resp.Text, maxSentBack)},
			llm.Message{Role: llm.User, Text: "Your answer cannot be used:\n- " + strings.Join(wrong.all(), "\n- ") + "\nAnswer again, whole and corrected."})
	}
	if usable != nil {
		tr.Model = by
		return *usable, tr, nil
	}
	return answer, tr, fault.New(fault.Invalid,
		"The language model %s gave no usable %s, not even after it was told what was wrong: %s Resume the job to try again, or use another model.",
		tr.Model, q.schema, cut(wrong.grave[0], 300))
}

// maxSentBack bounds how much of a wrong answer is sent back, in characters: a
// model that loops must not be paid for its loop twice.
const maxSentBack = 40_000

func (a *Agents) complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, a.deadline())
	defer cancel()
	resp, err := a.Model.Complete(ctx, req)
	if err != nil && ctx.Err() != nil {
		return resp, llm.Interrupted(ctx.Err())
	}
	if err == nil && resp.Usage == (llm.Usage{}) { // unknown costs are counted, never taken for nothing
		resp.Usage = llm.Usage{Input: llm.EstimateTokens(req), Output: llm.EstimateText(resp.Text)}
	}
	return resp, err
}

// shape is the form that an answer must have.
type shape struct {
	schema   *llm.Schema
	resolved *jsonschema.Resolved
}

// shapeOf infers a closed schema from a Go type: every property is required and no
// other is allowed, as strict structured output demands.
func shapeOf[T any](name string) (shape, error) {
	s, err := jsonschema.For[T](nil)
	if err != nil {
		return shape{}, err
	}
	plainArrays(s)
	text, err := json.Marshal(s)
	if err != nil {
		return shape{}, err
	}
	resolved, err := s.Resolve(nil)
	return shape{&llm.Schema{Name: name, JSON: text}, resolved}, err
}

// plainArrays takes "or null" off the types of lists: an empty list says the same.
func plainArrays(s *jsonschema.Schema) {
	if len(s.Types) == 2 && s.Types[0] == "null" && s.Types[1] == "array" {
		s.Types, s.Type = nil, "array"
	}
	if s.Items != nil {
		plainArrays(s.Items)
	}
	for _, p := range s.Properties {
		plainArrays(p)
	}
}

// read takes an answer apart and says what is wrong with it.
func read[T any](sh shape, text string, check func(T) faults) (answer T, wrong faults) {
	text = unfenced(text)
	var instance any
	if err := json.Unmarshal([]byte(text), &instance); err != nil {
		wrong.fail("It is not JSON: %v.", err)
		return answer, wrong
	}
	if err := sh.resolved.Validate(instance); err != nil {
		wrong.fail("It does not match the JSON schema: %s.", cut(err.Error(), 600))
		return answer, wrong
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		wrong.fail("It does not match the JSON schema: %v.", err)
		return answer, wrong
	}
	return answer, check(answer)
}

// unfenced takes off the Markdown fence that some models put around JSON.
func unfenced(s string) string {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(s, "```"); ok {
		_, rest, _ = strings.Cut(rest, "\n")
		s = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "```"))
	}
	return s
}

// cut shortens a text to at most n characters.
func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n]) + "…"
}
