package openai

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/tidwall/gjson"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// answer puts together what a stream brings.
type answer struct {
	body    hearing
	emit    func(llm.Piece) error
	resp    llm.Response // without its text and the calls' arguments
	text    strings.Builder
	calls   []*call
	finish  string
	refusal bool
	half    string // of a character that two chunks share; see joined
}

type call struct {
	id, name  string
	arguments strings.Builder
}

// refused marks an error of who listens.
type refused struct{ error }

func (a *answer) take(data string) error {
	var c chunk
	if err := c.parse(data); err != nil {
		return err
	}
	if c.failed {
		return failed([]byte(data))
	}
	if c.model != "" && c.model != a.resp.Model {
		a.resp.Model = strings.Clone(c.model)
	}
	if c.usage != "" {
		a.count([]byte(c.usage))
	}
	if c.finish != "" && a.finish == "" {
		a.finish = strings.Clone(c.finish)
	}
	if err := a.give(llm.Piece{Text: a.joined(c.content, c.raw)}); err != nil {
		return err
	}
	if err := a.give(llm.Piece{Text: valid(c.refusal), Refusal: true}); err != nil {
		return err
	}
	var err error
	c.calls.ForEach(func(_, part gjson.Result) bool {
		id, function := valid(part.Get("id").Str), part.Get("function")
		err = a.give(llm.Piece{ToolCalls: []llm.ToolCallPiece{{
			Index: a.indexOf(int(part.Get("index").Num), id), ID: id, Name: valid(function.Get("name").Str), Arguments: valid(function.Get("arguments").Str),
		}}})
		return err == nil
	})
	return err
}

// valid replaces what is no UTF-8, which JSON may hold where nobody looks.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// give emits a piece that says something, and keeps it.
func (a *answer) give(p llm.Piece) error {
	if p.Text == "" && len(p.ToolCalls) == 0 {
		return nil
	}
	if err := a.emit(p); err != nil {
		return refused{err}
	}
	a.text.WriteString(p.Text)
	a.refusal = a.refusal || p.Refusal
	for _, t := range p.ToolCalls {
		for len(a.calls) <= t.Index {
			a.calls = append(a.calls, &call{})
		}
		c := a.calls[t.Index]
		if t.ID != "" {
			c.id = t.ID
		}
		c.name += t.Name
		c.arguments.WriteString(t.Arguments)
	}
	return nil
}

// indexOf gives the place of a call. Some servers count none of their calls: another
// id is another call. Nobody calls a thousand tools at once.
func (a *answer) indexOf(index int, id string) int {
	index = min(max(0, index), len(a.calls))
	if index < len(a.calls) && id != "" && a.calls[index].id != "" && a.calls[index].id != id {
		for i, c := range a.calls {
			if c.id == id {
				return i
			}
		}
		return len(a.calls)
	}
	return index
}

// count reads what was used. A server that counts strangely has still answered: then
// it is estimated.
func (a *answer) count(usage json.RawMessage) {
	var u struct {
		Input  int `json:"prompt_tokens"`
		Output int `json:"completion_tokens"`
	}
	if json.Unmarshal(usage, &u) == nil {
		a.resp.Usage = llm.Usage{Input: max(0, u.Input), Output: max(0, u.Output)}
	}
}

// end is what [DONE] leads to.
func (a *answer) end() error {
	if a.half != "" { // which never came
		if err := a.give(llm.Piece{Text: unquoted(a.half)}); err != nil {
			return err
		}
	}
	finish, known := finishes[a.finish]
	if !known {
		return errUnfinished()
	}
	if a.refusal {
		finish = llm.Refusal
	}
	a.resp.Finish = finish
	return nil
}

func (a *answer) response() llm.Response {
	a.resp.Text = a.text.String()
	for _, c := range a.calls {
		a.resp.ToolCalls = append(a.resp.ToolCalls, llm.ToolCall{ID: c.id, Name: c.name, Arguments: c.arguments.String()})
	}
	return a.resp
}

// failed is the error that a server tells in a stream it has begun, as an object or
// in any other way.
func failed(data []byte) error {
	var told struct {
		Error struct {
			Code any `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal(data, &told) // what is no object has no code
	said := errors.New(short(string(data)))
	switch told.Error.Code {
	case "insufficient_quota":
		return fault.Wrap(fault.Exhausted, said, "The account of the language model has no credit left.")
	case "context_length_exceeded":
		return fault.Wrap(fault.Invalid, said, "There is more text than the language model can take in.")
	}
	return fault.Wrap(fault.Unavailable, said, "The language model failed in the middle of its answer.")
}
