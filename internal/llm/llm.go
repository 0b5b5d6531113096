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
)

// Message is one turn.
type Message struct {
	Role Role
	Text string
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
}
