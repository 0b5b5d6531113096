package chat

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/llm"
)

func TestCompletion(t *testing.T) {
	t.Parallel()
	usage := llm.Usage{Input: 11, Output: 7}
	for name, c := range map[string]struct {
		model says
		want  string // the choice
	}{
		"text": {
			says{[]llm.Piece{{Text: "Hé"}, {Text: "llo 🦉"}}, llm.Response{Model: "m-1", Usage: usage, Finish: llm.Stop}, nil},
			`{"index":0,"message":{"role":"assistant","content":"Héllo 🦉","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}`,
		},
		"cut": {
			says{[]llm.Piece{{Text: "H"}}, llm.Response{Model: "m-1", Usage: usage, Finish: llm.Length}, nil},
			`{"index":0,"message":{"role":"assistant","content":"H","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"length"}`,
		},
		"nothing": {
			says{nil, llm.Response{Model: "m-1", Usage: usage, Finish: llm.Stop}, nil},
			`{"index":0,"message":{"role":"assistant","content":"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}`,
		},
		"refusal": {
			says{[]llm.Piece{{Text: "No.", Refusal: true}}, llm.Response{Model: "m-1", Usage: usage, Finish: llm.Refusal}, nil},
			`{"index":0,"message":{"role":"assistant","content":null,"refusal":"No.","annotations":[]},"logprobs":null,"finish_reason":"stop"}`,
		},
		"refusal in the middle": {
			says{[]llm.Piece{{Text: "We"}, {Text: "ll. "}, {Text: "No.", Refusal: true}}, llm.Response{Model: "m-1", Usage: usage, Finish: llm.Refusal}, nil},
			`{"index":0,"message":{"role":"assistant","content":"Well. ","refusal":"No.","annotations":[]},"logprobs":null,"finish_reason":"stop"}`,
		},
		"filter": {
			says{[]llm.Piece{{Text: "x"}}, llm.Response{Model: "m-1", Usage: usage, Finish: llm.Refusal}, nil},
			`{"index":0,"message":{"role":"assistant","content":"x","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"content_filter"}`,
		},
		"tools": {
			says{
				[]llm.Piece{
					{ToolCalls: []llm.ToolCallPiece{{Index: 0, ID: "call_1", Name: "look"}}},
					{ToolCalls: []llm.ToolCallPiece{{Index: 0, Arguments: `{"a":`}, {Index: 1, ID: "call_2", Name: "see", Arguments: "{}"}}},
					{ToolCalls: []llm.ToolCallPiece{{Index: 0, Arguments: `1}`}}},
				},
				llm.Response{Model: "m-1", Usage: usage, Finish: llm.ToolCalls},
				nil,
			},
			`{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"annotations":[],"tool_calls":[` +
				`{"id":"call_1","type":"function","function":{"name":"look","arguments":"{\"a\":1}"}},{"id":"call_2","type":"function","function":{"name":"see","arguments":"{}"}}]},` +
				`"logprobs":null,"finish_reason":"tool_calls"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := complete(stateless(c.model), `{`+hello+`}`)
			got := strict[struct {
				ID, Object, Model string
				Created           int64
				Choices           []json.RawMessage
				Usage             completionUsage
			}](t, w.Body.String())
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" || !strings.HasPrefix(got.ID, "chatcmpl-") ||
				got.Object != "chat.completion" || got.Model != "m-1" || got.Created == 0 || got.Usage != (completionUsage{11, 7, 18}) {
				t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
			}
			if diff := cmp.Diff(c.want, string(got.Choices[0])); diff != "" || len(got.Choices) != 1 {
				t.Error(diff)
			}
			streamsTheSame(t, c.model, w.Body.String())
		})
	}
}

// streamsTheSame: put together, the chunks of a stream are the answer that is sent whole.
func streamsTheSame(t *testing.T, model says, whole string) {
	t.Helper()
	want := strict[completion](t, whole)
	for _, usage := range []bool{false, true} {
		body := `{` + hello + `,"stream":true}`
		if usage {
			body = `{` + hello + `,"stream":true,"stream_options":{"include_usage":true}}`
		}
		w := complete(stateless(model), body)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") {
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		events := dataOf(t, w.Body.String())
		if events[len(events)-1] != "[DONE]" {
			t.Fatalf("it ends with %q", events[len(events)-1])
		}
		var g gathered
		reason, counted := "", 0
		for i, data := range events[:len(events)-1] {
			c := strict[completionChunk](t, data)
			if usage != strings.Contains(data, `"usage":`) || c.Object != "chat.completion.chunk" || c.Model == "" || c.ID == "" {
				t.Errorf("%s", data)
			}
			if len(c.Choices) == 0 {
				if counted++; c.Usage == nil || *c.Usage != want.Usage || i != len(events)-2 {
					t.Errorf("the usage is %s", data)
				}
				continue
			}
			if d := c.Choices[0].Delta; i == 0 && d.Role != "assistant" || i > 0 && d.Role != "" || reason != "" {
				t.Errorf("chunk %d is %s", i, data)
			} else {
				g.add(llm.Piece{Text: d.Content})
				if d.Refusal != nil {
					g.add(llm.Piece{Text: *d.Refusal, Refusal: true})
				}
				for _, p := range d.ToolCalls {
					g.add(llm.Piece{ToolCalls: []llm.ToolCallPiece{{Index: p.Index, ID: p.ID, Name: p.Function.Name, Arguments: p.Function.Arguments}}})
				}
			}
			if c.Choices[0].FinishReason != nil {
				reason = *c.Choices[0].FinishReason
			}
		}
		if diff := cmp.Diff(want.Choices[0].Message, g.answer()); diff != "" || reason != want.Choices[0].FinishReason || usage != (counted == 1) {
			t.Errorf("%s%q, %d usages", diff, reason, counted)
		}
	}
}

// Pieces that come at once are sent at once, and the order stays.
func TestPiecesAreSentTogether(t *testing.T) {
	t.Parallel()
	var pieces []llm.Piece
	for i := range 1000 {
		pieces = append(pieces, llm.Piece{Text: string(rune('a' + i%26))})
	}
	w := &counted{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(`{`+hello+`,"stream":true}`))
	stateless(says{pieces, llm.Response{Model: "m", Finish: llm.Stop}, nil}).ServeHTTP(w, r)
	var text strings.Builder
	events := dataOf(t, w.Body.String())
	for _, data := range events[:len(events)-1] {
		text.WriteString(strict[completionChunk](t, data).Choices[0].Delta.Content)
	}
	if len(text.String()) != 1000 || !strings.HasPrefix(text.String(), "abc") || text.String()[999] != 'l' || w.writes > 200 {
		t.Errorf("%d bytes in %d writes", text.Len(), w.writes)
	}
}

// counted counts the writes of an answer.
type counted struct {
	*httptest.ResponseRecorder
	writes int
}

func (c *counted) Write(b []byte) (int, error) {
	c.writes++
	return c.ResponseRecorder.Write(b)
}

// What an answer in a session rests on comes with its message, or its last part.
func TestCompletionCites(t *testing.T) {
	t.Parallel()
	want := []conversation.Citation{{N: 1, Name: "owls.md"}}
	for _, stream := range []bool{false, true} {
		w := httptest.NewRecorder()
		err := respond(t.Context(), w, &completionRequest{Stream: stream}, newCompletion("x", "m"), func(_ context.Context, emit func(llm.Piece) error) (ending, error) {
			return ending{model: "m", finish: llm.Stop, citations: want}, emit(llm.Piece{Text: "By ear [1]."})
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []conversation.Citation
		if stream {
			events := dataOf(t, w.Body.String())
			got = strict[completionChunk](t, events[len(events)-2]).Choices[0].Delta.Citations
		} else {
			got = strict[completion](t, w.Body.String()).Choices[0].Message.Citations
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stream %t: %s", stream, diff)
		}
	}
}
