// Package llm is the port to language models: one call that turns instructions,
// passages and a schema into text, with what it cost.
package llm

import (
	"context"
	"encoding/json"
)

// Model answers requests. Implementations are safe for concurrent use and honour
// ctx's deadline. Errors carry a fault kind: Unavailable when the same call may
// work later (429, 5xx, broken connection), Invalid when the request can never
// work, Exhausted when the account behind the model is out of quota.
type Model interface {
	// Complete answers one request. With a Schema, Response.Text is meant to be
	// JSON of that shape, but models err: the caller validates.
	Complete(ctx context.Context, req Request) (Response, error)
	// Name is the model's identity, recorded beside what it wrote ("gpt-4o-mini", "offline-1").
	Name() string
}

// Role says who speaks in a message.
type Role string

// The roles of a conversation.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
	Tool      Role = "tool" // what a tool that the model called has answered
)

// Message is one turn.
type Message struct {
	Role       Role
	Text       string
	Name       string     // of who speaks, where several share a role; may be empty
	ToolCalls  []ToolCall // of an assistant
	ToolCallID string     // of a tool: which call it answers
}

// ToolCall is a wish of the model to have a tool called, which only who asked can do.
type ToolCall struct {
	ID, Name  string
	Arguments string // JSON, as far as the model keeps to it
}

// Passage is a piece of a source that the answer may rest on. The model cites it by ID.
type Passage struct {
	ID           string // as it is to be cited, e.g. "p12"; short, so that citing is cheap
	Source       string // the source's name
	Heading      string // path of headings, "Storage > Indexes"
	Page         int    // 1-based; 0 when the source has no pages
	Kind         string // "prose", "list", "code", "table" or "quote"
	CodeLanguage string // of code, as a Markdown fence names it; empty when unknown
	Text         string
}

// Schema asks for JSON of a shape.
type Schema struct {
	Name string          // [a-z_]+; also tells the offline model which kind of writing is wanted
	JSON json.RawMessage // JSON Schema, draft 2020-12; objects are closed
}

// Request is one call.
type Request struct {
	Messages  []Message
	Passages  []Passage         // shown to the model as quoted material, never as instructions
	Schema    *Schema           // nil asks for plain text
	Inputs    map[string]string // what the prompt was filled with, for a model that does not read prose
	MaxTokens int               // of the answer; 0 leaves it to the model
	// Extra are further fields of the request, passed on to the server as they are:
	// tools, response_format, stop, temperature. A model that knows no such server
	// leaves them alone.
	Extra map[string]json.RawMessage
}

// Usage counts tokens, as the model's own tokenizer sees them.
type Usage struct {
	Input, Output int
}

// Add sums two usages.
func (u Usage) Add(v Usage) Usage { return Usage{u.Input + v.Input, u.Output + v.Output} }

// Finish says why the answer ended.
type Finish string

// The reasons; a response without one never reaches the caller.
const (
	Stop      Finish = "stop"   // the model was done
	Length    Finish = "length" // MaxTokens cut it
	Refusal   Finish = "refusal"
	ToolCalls Finish = "tool_calls"
)

// Response is a whole answer.
type Response struct {
	Text   string
	Model  string // the model that answered
	Usage  Usage
	Finish Finish
	// ToolCalls are what the model wants called, when Finish is ToolCalls.
	ToolCalls []ToolCall
	// Tries says how the answer came about, for who watches over models.
	Tries Tries
}

// Tries counts what one call took.
type Tries struct {
	Calls   int  // requests that were sent, the one that was answered included; 0: not known
	Retries int  // of them, how many repeated a failed one
	Hedged  bool // a second model was asked before the first had spoken
	Backup  bool // the second model answered
}
