package chat

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// completionRequest is the body of a chat completion. What is not declared here is
// refused by name, as OpenAI refuses it.
// https://platform.openai.com/docs/api-reference/chat/create
type completionRequest struct {
	Model    string              `json:"model" minLength:"1" maxLength:"200" doc:"One that GET /v1/models lists"`
	Messages []completionMessage `json:"messages" minItems:"1" maxItems:"2048"`

	Stream              bool                  `json:"stream,omitempty" doc:"Answer with server-sent events"`
	StreamOptions       passed[streamOptions] `json:"stream_options,omitempty"`
	MaxTokens           int                   `json:"max_tokens,omitempty" minimum:"1" maximum:"131072" doc:"The older name of max_completion_tokens"`
	MaxCompletionTokens int                   `json:"max_completion_tokens,omitempty" minimum:"1" maximum:"131072" doc:"How long the answer may be"`
	N                   int                   `json:"n,omitempty" minimum:"1" maximum:"1" doc:"One answer a request"`
	LogProbs            bool                  `json:"logprobs,omitempty" enum:"false" doc:"Probabilities are not told"`
	TopLogProbs         int                   `json:"top_logprobs,omitempty" minimum:"0" maximum:"0" doc:"Probabilities are not told"`
	Modalities          []modality            `json:"modalities,omitempty" maxItems:"1" doc:"Answers are text"`

	ForModel
	WithoutEffect
}

// ForModel are the fields that the model's server is given as they are.
type ForModel struct {
	Tools             passed[[]completionTool] `json:"tools,omitempty" maxItems:"128" doc:"What the model may have called, by who asks"`
	ToolChoice        toolChoice               `json:"tool_choice,omitempty"`
	ParallelToolCalls passed[bool]             `json:"parallel_tool_calls,omitempty"`
	ResponseFormat    passed[responseFormat]   `json:"response_format,omitempty"`
	Stop              stopSequences            `json:"stop,omitempty" doc:"Where the answer ends: up to four texts"`
	Temperature       passed[float64]          `json:"temperature,omitempty" minimum:"0" maximum:"2"`
	TopP              passed[float64]          `json:"top_p,omitempty" minimum:"0" maximum:"1"`
	FrequencyPenalty  passed[float64]          `json:"frequency_penalty,omitempty" minimum:"-2" maximum:"2"`
	PresencePenalty   passed[float64]          `json:"presence_penalty,omitempty" minimum:"-2" maximum:"2"`
	Seed              passed[int64]            `json:"seed,omitempty"`
	LogitBias         passed[map[string]bias]  `json:"logit_bias,omitempty"`
	ReasoningEffort   passed[string]           `json:"reasoning_effort,omitempty" pattern:"^[a-z]{1,20}$" example:"low"`
	Verbosity         passed[string]           `json:"verbosity,omitempty" enum:"low,medium,high"`
}

// WithoutEffect are fields that clients send and that change no answer here: nothing
// is stored, and who asks is told by the key.
type WithoutEffect struct {
	User                 string            `json:"user,omitempty" maxLength:"512" doc:"Without effect: who asks is told by the key"`
	SafetyIdentifier     string            `json:"safety_identifier,omitempty" maxLength:"512" doc:"Without effect"`
	PromptCacheKey       string            `json:"prompt_cache_key,omitempty" maxLength:"512" doc:"Without effect"`
	PromptCacheRetention string            `json:"prompt_cache_retention,omitempty" maxLength:"32" doc:"Without effect"`
	ServiceTier          string            `json:"service_tier,omitempty" maxLength:"32" doc:"Without effect"`
	Metadata             map[string]string `json:"metadata,omitempty" doc:"Without effect"`
	Store                bool              `json:"store,omitempty" doc:"Without effect: nothing is stored, except in a session"`
}

type (
	modality string
	bias     float64
)

// Schema says that it is text.
func (modality) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{"text"}}
}

// Schema bounds it.
func (bias) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Minimum: new(-100.0), Maximum: new(100.0)}
}

type streamOptions struct {
	IncludeUsage       bool `json:"include_usage,omitempty" doc:"End with a chunk that counts the tokens"`
	IncludeObfuscation bool `json:"include_obfuscation,omitempty" doc:"Without effect"`
}

type completionTool struct {
	Type     string             `json:"type" enum:"function"`
	Function completionFunction `json:"function"`
}

type completionFunction struct {
	Name        string         `json:"name" pattern:"^[a-zA-Z0-9_-]{1,64}$"`
	Description string         `json:"description,omitempty"`
	Parameters  map[string]any `json:"parameters,omitempty" doc:"A JSON Schema"`
	Strict      bool           `json:"strict,omitempty"`
}

type responseFormat struct {
	Type       string        `json:"type" enum:"text,json_object,json_schema"`
	JSONSchema *formatSchema `json:"json_schema,omitempty"`
}

type formatSchema struct {
	Name        string         `json:"name" pattern:"^[a-zA-Z0-9_-]{1,64}$"`
	Description string         `json:"description,omitempty"`
	Schema      map[string]any `json:"schema,omitempty" doc:"A JSON Schema"`
	Strict      bool           `json:"strict,omitempty"`
}

// passed is a T as it was sent, to be passed on without a change.
type passed[T any] json.RawMessage

// UnmarshalJSON keeps what was sent.
func (p *passed[T]) UnmarshalJSON(b []byte) error { return (*json.RawMessage)(p).UnmarshalJSON(b) }

// MarshalJSON gives it back.
func (p passed[T]) MarshalJSON() ([]byte, error) { return json.RawMessage(p).MarshalJSON() }

// Schema is that of T.
func (passed[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), false, "")
}

// TransformSchema gives clients and tests an example of a whole request.
func (completionRequest) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Examples = []any{map[string]any{"model": ownName, "messages": []any{map[string]any{"role": "user", "content": "What is a barn owl?"}}}}
	return s
}

// question gives the request as the model is asked it.
func (in *completionRequest) question() (llm.Request, error) {
	if in.MaxTokens > 0 && in.MaxCompletionTokens > 0 {
		return llm.Request{}, wrong("max_tokens", "it cannot be sent together with max_completion_tokens")
	}
	req := llm.Request{MaxTokens: max(in.MaxTokens, in.MaxCompletionTokens)}
	for i := range in.Messages {
		m, err := in.Messages[i].message(fmt.Sprintf("messages[%d]", i))
		if err != nil {
			return llm.Request{}, err
		}
		req.Messages = append(req.Messages, m)
	}
	extra, err := in.extra()
	req.Extra = extra
	return req, err
}

// extra is what the model's server is given besides. What is not named here never
// reaches it: neither another model nor other headers, answers or messages.
func (in *completionRequest) extra() (map[string]json.RawMessage, error) {
	if err := in.ToolChoice.check(); err != nil {
		return nil, err
	}
	if err := in.Stop.check(); err != nil {
		return nil, err
	}
	extra := map[string]json.RawMessage{}
	for name, value := range map[string][]byte{
		"tools": in.Tools, "tool_choice": in.ToolChoice, "parallel_tool_calls": in.ParallelToolCalls,
		"response_format": in.ResponseFormat, "stop": in.Stop, "temperature": in.Temperature, "top_p": in.TopP,
		"frequency_penalty": in.FrequencyPenalty, "presence_penalty": in.PresencePenalty, "seed": in.Seed,
		"logit_bias": in.LogitBias, "reasoning_effort": in.ReasoningEffort, "verbosity": in.Verbosity,
	} {
		if len(value) > 0 && string(value) != "null" {
			extra[name] = value
		}
	}
	return extra, nil
}

// usageWanted tells whether a stream ends with its usage.
func (in *completionRequest) usageWanted() bool {
	var o streamOptions
	_ = json.Unmarshal(in.StreamOptions, &o) // its form has been checked; absent, it is empty
	return o.IncludeUsage
}

// wrong is the error of one parameter.
func wrong(param, format string, args ...any) error {
	reason := fmt.Sprintf(format, args...)
	err := fault.New(fault.Invalid, "The request does not have the form that is expected here.")
	err.Fields = []fault.Field{{Location: param, Message: strings.TrimSuffix(reason, ".")}}
	return err
}
