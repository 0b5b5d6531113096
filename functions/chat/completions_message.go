package chat

import (
	"lectern.dev/lectern/internal/llm"
)

// completionMessage is a message of any role. It takes all that our own answers have,
// since clients send them back as they got them.
type completionMessage struct {
	Role       string               `json:"role" enum:"system,developer,user,assistant,tool"`
	Content    textContent          `json:"content,omitempty" doc:"A text or a list of text parts; null beside tool_calls"`
	Name       string               `json:"name,omitempty" pattern:"^[^\\s<|\\\\/>]{1,64}$" example:"ann"`
	ToolCalls  []completionToolCall `json:"tool_calls,omitempty" maxItems:"128" doc:"Of an assistant"`
	ToolCallID string               `json:"tool_call_id,omitempty" maxLength:"256" doc:"Of a tool: which call it answers"`
	Refusal    string               `json:"refusal,omitempty" doc:"Of an assistant who did not answer"`

	Annotations  []map[string]any `json:"annotations,omitempty" doc:"Without effect"`
	Citations    []map[string]any `json:"citations,omitempty" doc:"Without effect"`
	Audio        onlyNull         `json:"audio,omitempty"`
	FunctionCall onlyNull         `json:"function_call,omitempty"`
}

type completionToolCall struct {
	Index    int                `json:"index,omitempty" minimum:"0" doc:"Without effect"`
	ID       string             `json:"id" maxLength:"256"`
	Type     string             `json:"type,omitempty" enum:"function"`
	Function completionFuncCall `json:"function"`
}

type completionFuncCall struct {
	Name      string `json:"name" maxLength:"64"`
	Arguments string `json:"arguments" doc:"JSON, as far as the model kept to it"`
}

// message gives it as the model is shown it. A developer is who other servers call
// system.
func (m *completionMessage) message(param string) (llm.Message, error) {
	text, said, err := m.Content.text(param + ".content")
	if err != nil {
		return llm.Message{}, err
	}
	out := llm.Message{Text: text, Name: m.Name}
	switch m.Role {
	case "system", "developer":
		out.Role = llm.System
	case "user":
		out.Role = llm.User
	case "tool":
		out.Role, out.ToolCallID = llm.Tool, m.ToolCallID
		if m.ToolCallID == "" {
			return out, wrong(param+".tool_call_id", "a message of a tool says which call it answers")
		}
	case "assistant":
		out.Role = llm.Assistant
		if !said && m.Refusal != "" {
			out.Text, said = m.Refusal, true
		}
		for _, c := range m.ToolCalls {
			out.ToolCalls = append(out.ToolCalls, llm.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: c.Function.Arguments})
		}
		said = said || len(m.ToolCalls) > 0
	}
	if !said {
		return out, wrong(param+".content", "expected a text or a list of text parts")
	}
	if m.Role != "assistant" && len(m.ToolCalls) > 0 {
		return out, wrong(param+".tool_calls", "only an assistant calls tools")
	}
	return out, nil
}
