package chat

import (
	"encoding/json"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/llm"
)

// completion is a whole answer.
// https://platform.openai.com/docs/api-reference/chat/object
type completion struct {
	ID      string             `json:"id"`
	Object  string             `json:"object" enum:"chat.completion"`
	Created int64              `json:"created" doc:"Seconds since 1970"`
	Model   string             `json:"model" doc:"Who answered"`
	Choices []completionChoice `json:"choices"`
	Usage   completionUsage    `json:"usage"`
}

type completionChoice struct {
	Index        int              `json:"index"`
	Message      completionAnswer `json:"message"`
	LogProbs     onlyNull         `json:"logprobs"`
	FinishReason string           `json:"finish_reason" enum:"stop,length,tool_calls,content_filter"`
}

type completionAnswer struct {
	Role        string                  `json:"role" enum:"assistant"`
	Content     *string                 `json:"content"`
	Refusal     *string                 `json:"refusal"`
	Annotations []string                `json:"annotations"`
	ToolCalls   []completionToolCall    `json:"tool_calls,omitempty"`
	Citations   []conversation.Citation `json:"citations,omitempty" doc:"Of an answer in a session: where [1] in the text can be checked"`
}

// completionChunk is a part of an answer, as chunks writes it.
type completionChunk struct {
	ID      string            `json:"id"`
	Object  string            `json:"object" enum:"chat.completion.chunk"`
	Created int64             `json:"created"`
	Model   string            `json:"model" doc:"Who answers, as far as that is known yet"`
	Choices []completionDelta `json:"choices" doc:"Empty in the chunk that counts the tokens"`
	Usage   *completionUsage  `json:"usage,omitempty" doc:"In the last chunk, when it was asked for"`
}

type completionDelta struct {
	Index int `json:"index"`
	Delta struct {
		Role      string                  `json:"role,omitempty"`
		Content   string                  `json:"content,omitempty"`
		Refusal   *string                 `json:"refusal,omitempty"`
		ToolCalls []completionCallPart    `json:"tool_calls,omitempty"`
		Citations []conversation.Citation `json:"citations,omitempty" doc:"With the last part of an answer in a session"`
	} `json:"delta"`
	LogProbs     onlyNull `json:"logprobs"`
	FinishReason *string  `json:"finish_reason" doc:"In the last part: stop, length, tool_calls or content_filter"`
}

type completionCallPart struct {
	Index    int    `json:"index"`
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Function struct {
		Name      string `json:"name,omitempty"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

type completionUsage struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	Total      int64 `json:"total_tokens"`
}

func usageOf(u llm.Usage) completionUsage {
	return completionUsage{int64(u.Input), int64(u.Output), int64(u.Input + u.Output)}
}

// MarshalJSON gives null.
func (onlyNull) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// MarshalJSON leaves the index out, which only a stream's parts have.
func (c completionToolCall) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID       string             `json:"id"`
		Type     string             `json:"type"`
		Function completionFuncCall `json:"function"`
	}{c.ID, "function", c.Function})
}

// gathered puts the pieces of an answer together.
type gathered struct {
	text, refusal []byte
	calls         []completionToolCall
}

func (g *gathered) add(p llm.Piece) {
	if p.Refusal {
		g.refusal = append(g.refusal, p.Text...)
	} else {
		g.text = append(g.text, p.Text...)
	}
	for _, c := range p.ToolCalls {
		for len(g.calls) <= c.Index {
			g.calls = append(g.calls, completionToolCall{Type: "function"})
		}
		call := &g.calls[c.Index]
		call.ID += c.ID
		call.Function.Name += c.Name
		call.Function.Arguments += c.Arguments
	}
}

// answer gives the message; its content is null when there is something in its place.
func (g *gathered) answer() completionAnswer {
	a := completionAnswer{Role: "assistant", Annotations: []string{}, ToolCalls: g.calls}
	if len(g.refusal) > 0 {
		a.Refusal = new(string(g.refusal))
	}
	if len(g.text) > 0 || a.Refusal == nil && len(g.calls) == 0 {
		a.Content = new(string(g.text))
	}
	return a
}

// reasonOf says in OpenAI's words why an answer ended. Who refuses has said so in the
// refusal, and stopped; without one, it was the server's filter.
func reasonOf(f llm.Finish, refused bool) string {
	switch {
	case f == llm.Refusal && refused:
		return "stop"
	case f == llm.Refusal:
		return "content_filter"
	}
	return string(f)
}
