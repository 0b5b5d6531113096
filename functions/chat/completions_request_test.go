package chat

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/llm"
)

// All that is not ours to give away stays ours, whatever the fields are called; the
// others reach the model as they were sent.
func TestWhatTheModelIsAsked(t *testing.T) {
	t.Parallel()
	fake := &llm.Fake{}
	passed := `{"tools":[{"type":"function","function":{"name":"look","description":"d","parameters":{"type":"object","properties":{"a":{"const":1e400}}},"strict":true}}],` +
		`"tool_choice":{"type":"function","function":{"name":"look"}},"parallel_tool_calls":false,` +
		`"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"},"strict":true}},` +
		`"stop":["\n","END"],"temperature":0.30,"top_p":1,"frequency_penalty":-2,"presence_penalty":2.0,"seed":9007199254740993,` +
		`"logit_bias":{"50256":-100},"reasoning_effort":"low","verbosity":"high"}`
	passed = strings.Replace(passed, "1e400", "1", 1)
	body := `{"model":"lectern","messages":[` +
		`{"role":"developer","content":"Be brief."},{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},` +
		`{"role":"user","name":"ann","content":"😀"},` +
		`{"role":"assistant","content":null,"refusal":null,"annotations":[],"audio":null,"function_call":null,"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}}]},` +
		`{"role":"tool","tool_call_id":"c1","content":"42"},{"role":"assistant","content":"","refusal":"No."},{"role":"assistant","refusal":"No."}],` +
		`"max_completion_tokens":9,"n":1,"user":"u","metadata":{"a":"b"},"store":true,"service_tier":"auto","logprobs":false,"modalities":["text"],` +
		`"stream":false,"stream_options":null,"safety_identifier":"s","prompt_cache_key":"k","top_logprobs":null,` + passed[1:]
	if w := complete(stateless(fake), body); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	got := fake.Requests()[0]
	want := llm.Request{MaxTokens: 9, Messages: []llm.Message{
		{Role: llm.System, Text: "Be brief."},
		{Role: llm.System, Text: "a\nb"},
		{Role: llm.User, Name: "ann", Text: "😀"},
		{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: "c1", Name: "look", Arguments: "{}"}}},
		{Role: llm.Tool, ToolCallID: "c1", Text: "42"},
		{Role: llm.Assistant},
		{Role: llm.Assistant, Text: "No."},
	}}
	if err := json.Unmarshal([]byte(passed), &want.Extra); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Every field that is declared is either passed on, or one of those that say what we
// do: a new one has to be placed on purpose.
func TestEveryFieldIsPlaced(t *testing.T) {
	t.Parallel()
	api := newServer(Deps{Gate: anybody{}, Model: says{}}).api()
	schema := api.OpenAPI().Components.Schemas.Map()["CompletionRequest"]
	ours := []string{
		"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "logprobs", "top_logprobs", "modalities",
		"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier", "metadata", "store",
	}
	theirs := []string{
		"tools", "tool_choice", "parallel_tool_calls", "response_format", "stop", "temperature", "top_p", "frequency_penalty", "presence_penalty",
		"seed", "logit_bias", "reasoning_effort", "verbosity",
	}
	for name := range schema.Properties {
		if slices.Contains(ours, name) == slices.Contains(theirs, name) {
			t.Errorf("%s is not placed", name)
		}
	}
	if len(schema.Properties) != len(ours)+len(theirs) {
		t.Errorf("%d fields are declared", len(schema.Properties))
	}
	var in completionRequest
	if err := json.Unmarshal([]byte(`{"model":"a","messages":[{}],"n":1,"user":"u","store":true,"metadata":{},"stream":true,"max_tokens":1,"headers":{"a":"b"},"extra_body":{"model":"x"},"tools":null,"tool_choice":null,"stop":null,"temperature":null}`), &in); err != nil {
		t.Fatal(err)
	}
	if extra, err := in.extra(); err != nil || len(extra) > 0 {
		t.Errorf("%v %v", extra, err)
	}
}
