package chat

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/backup"
)

// anybody is a gate that lets everybody in but who has a bad key.
type anybody struct{}

func (anybody) Admit(r *http.Request, _ edge.Policy) (context.Context, error) {
	switch r.Header.Get("Authorization") {
	case "Bearer bad":
		return nil, fault.New(fault.Unauthenticated, "The API credential is wrong.")
	case "Bearer forbidden":
		return nil, fault.New(fault.Denied, "This API credential may not do that.")
	}
	return account.With(r.Context(), account.Principal{Organization: "org_1", User: "cred_1", Scopes: []string{account.Chat}}), nil
}

func (anybody) Hold(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}

// stateless is the handler without a database: what has no session needs none.
func stateless(model llm.Streamer) http.Handler {
	return New(Deps{Model: model, Gate: anybody{}})
}

// says is a model that streams pieces and ends in a way.
type says struct {
	pieces []llm.Piece
	end    llm.Response
	err    error
}

func (says) Name() string { return "small" }

func (m says) Complete(context.Context, llm.Request) (llm.Response, error) {
	panic("completions are streamed")
}

func (m says) Stream(ctx context.Context, _ llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	for _, p := range m.pieces {
		if err := emit(p); err != nil {
			return m.end, err
		}
	}
	return m.end, m.err
}

func call(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func complete(h http.Handler, body string, header ...string) *httptest.ResponseRecorder {
	return call(h, http.MethodPost, "/v1/chat/completions", body, header...)
}

const hello = `"model":"lectern","messages":[{"role":"user","content":"Hello"}]`

// strict decodes JSON that holds nothing but what T declares.
func strict[T any](t *testing.T, text string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// dataOf gives the events of a stream, which are data alone.
func dataOf(t *testing.T, stream string) (all []string) {
	t.Helper()
	for event := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok || strings.Contains(data, "\n") {
			t.Fatalf("no event of data alone: %q", event)
		}
		all = append(all, data)
	}
	return all
}

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
			says{[]llm.Piece{{Text: "Well. "}, {Text: "No.", Refusal: true}}, llm.Response{Model: "m-1", Usage: usage, Finish: llm.Refusal}, nil},
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

// F41: an answer that breaks off is never reported complete, and what went before the
// first piece is told with a status.
func TestCompletionBreaksOff(t *testing.T) {
	t.Parallel()
	down := fault.New(fault.Unavailable, "The connection to the language model broke.")
	broken := stateless(says{[]llm.Piece{{Text: "Hel"}, {Text: "lo"}}, llm.Response{Text: "Hello"}, down})
	w := complete(broken, `{`+hello+`,"stream":true,"stream_options":{"include_usage":true}}`)
	events := dataOf(t, w.Body.String())
	last := strict[apiError](t, events[len(events)-1])
	if last.Error.Message != down.Message || last.Error.Type != "server_error" {
		t.Errorf("it ends with %+v", last)
	}
	if text := w.Body.String(); !strings.Contains(text, "lo") || strings.Contains(text, "[DONE]") || strings.Contains(text, `"finish_reason":"`) {
		t.Errorf("it is told as complete, or not as far as it came: %s", text)
	}
	for _, h := range []http.Handler{broken, stateless(says{err: down})} {
		if w := complete(h, `{`+hello+`}`); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	}
	if w := complete(stateless(says{err: down}), `{`+hello+`,"stream":true}`); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a stream that never began is %d: %s", w.Code, w.Body)
	}
}

func TestCompletionErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, key string
		err       error
		status    int
		want      string // type, param and code
		retry     string
	}{
		"no JSON":          {body: `{`, status: 400, want: "invalid_request_error  "},
		"twice":            {body: `{` + hello + `,"model":"x"}`, status: 400, want: "invalid_request_error  "},
		"no messages":      {body: `{"model":"lectern"}`, status: 400, want: "invalid_request_error messages "},
		"empty messages":   {body: `{"model":"lectern","messages":[]}`, status: 400, want: "invalid_request_error messages "},
		"role":             {body: `{"model":"lectern","messages":[{"role":"function","content":"x"}]}`, status: 400, want: "invalid_request_error messages[0].role "},
		"image":            {body: `{"model":"lectern","messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:"}}]}]}`, status: 400, want: "invalid_request_error messages[0].content[1].type "},
		"no content":       {body: `{"model":"lectern","messages":[{"role":"user","content":null}]}`, status: 400, want: "invalid_request_error messages[0].content "},
		"number":           {body: `{"model":"lectern","messages":[{"role":"user","content":1}]}`, status: 400, want: "invalid_request_error messages[0].content "},
		"who calls":        {body: `{"model":"lectern","messages":[{"role":"user","content":"x","tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}}]}]}`, status: 400, want: "invalid_request_error messages[0].tool_calls "},
		"no parts":         {body: `{"model":"lectern","messages":[{"role":"user","content":[]}]}`, status: 400, want: "invalid_request_error messages[0].content "},
		"part's members":   {body: `{"model":"lectern","messages":[{"role":"user","content":[{"type":"text","text":"x","more":1}]}]}`, status: 400, want: "invalid_request_error messages[0].content[0] "},
		"two in a part":    {body: `{"model":"lectern","messages":[{"role":"user","content":[{"type":"text","text":"x","refusal":"y"}]}]}`, status: 400, want: "invalid_request_error messages[0].content[0].text "},
		"no call":          {body: `{"model":"lectern","messages":[{"role":"tool","content":"1"}]}`, status: 400, want: "invalid_request_error messages[0].tool_call_id "},
		"n":                {body: `{` + hello + `,"n":2}`, status: 400, want: "invalid_request_error n "},
		"logprobs":         {body: `{` + hello + `,"logprobs":true}`, status: 400, want: "invalid_request_error logprobs "},
		"both bounds":      {body: `{` + hello + `,"max_tokens":1,"max_completion_tokens":1}`, status: 400, want: "invalid_request_error max_tokens "},
		"too long":         {body: `{` + hello + `,"max_tokens":10000000}`, status: 400, want: "invalid_request_error max_tokens "},
		"temperature":      {body: `{` + hello + `,"temperature":3}`, status: 400, want: "invalid_request_error temperature "},
		"stops":            {body: `{` + hello + `,"stop":["a","b","c","d","e"]}`, status: 400, want: "invalid_request_error stop "},
		"stop null":        {body: `{` + hello + `,"stop":["a",null]}`, status: 400, want: "invalid_request_error stop "},
		"no stops":         {body: `{` + hello + `,"stop":[]}`, status: 400, want: "invalid_request_error stop "},
		"choice of more":   {body: `{` + hello + `,"tool_choice":{"type":"function","function":{"name":"x"},"more":1}}`, status: 400, want: "invalid_request_error tool_choice "},
		"choice of what":   {body: `{` + hello + `,"tool_choice":{"type":"custom","function":{"name":"x"}}}`, status: 400, want: "invalid_request_error tool_choice "},
		"choice of nobody": {body: `{` + hello + `,"tool_choice":{"type":"function","function":{"name":""}}}`, status: 400, want: "invalid_request_error tool_choice "},
		"long choice":      {body: `{` + hello + `,"tool_choice":{"type":"function","function":{"name":"` + strings.Repeat("x", 65) + `"}}}`, status: 400, want: "invalid_request_error tool_choice "},
		"choice":           {body: `{` + hello + `,"tool_choice":"some"}`, status: 400, want: "invalid_request_error tool_choice "},
		"web search":       {body: `{` + hello + `,"tools":[{"type":"web_search"}]}`, status: 400, want: "invalid_request_error tools[0].function "},
		"unknown":          {body: `{` + hello + `,"prediction":{}}`, status: 400, want: "invalid_request_error prediction "},
		"model":            {body: `{"model":"gpt-9","messages":[{"role":"user","content":"x"}]}`, status: 404, want: "invalid_request_error model model_not_found"},
		"too large":        {body: `{` + hello + `,"user":"` + strings.Repeat("x", 1<<20) + `"}`, status: 413, want: "invalid_request_error  request_too_large", retry: "false"},
		"bad key":          {body: `{` + hello + `}`, key: "Bearer bad", status: 401, want: "invalid_request_error  invalid_api_key"},
		"scope":            {body: `{` + hello + `}`, key: "Bearer forbidden", status: 403, want: "invalid_request_error  permission_denied"},
		"budget":           {body: `{` + hello + `}`, err: fault.New(fault.PaymentRequired, "The budget is spent."), status: 402, want: "insufficient_quota  insufficient_quota", retry: "false"},
		"limit":            {body: `{` + hello + `}`, err: &fault.Error{Kind: fault.Exhausted, Message: "Too much.", RetryAfter: 3e9}, status: 429, want: "requests  rate_limit_exceeded"},
		"internal":         {body: `{` + hello + `}`, err: context.DeadlineExceeded, status: 500, want: "server_error  "},
		"panic":            {body: `{` + hello + `,"user":"panic"}`, err: nil, status: 500, want: "server_error  "},
		"model says no":    {body: `{` + hello + `}`, err: fault.New(fault.Invalid, "The language model did not accept the request."), status: 400, want: "invalid_request_error  "},
		"a session's page": {body: `{` + hello + `}`, err: fault.New(fault.Conflict, "x"), status: 409, want: "invalid_request_error  conflict", retry: "false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var model llm.Streamer = says{err: c.err}
			if name == "panic" {
				model = nil
			}
			w := complete(stateless(model), c.body, "Authorization", c.key, "Sec-Fetch-Site", "same-origin")
			e := strict[apiError](t, w.Body.String()).Error
			got := e.Type + " "
			if e.Param != nil {
				got += *e.Param
			}
			got += " "
			if e.Code != nil {
				got += *e.Code
			}
			if w.Code != c.status || got != c.want || e.Message == "" || w.Header().Get("X-Should-Retry") != c.retry || w.Header().Get("X-Request-Id") == "" {
				t.Errorf("%d %q %v: %s", w.Code, got, w.Header(), w.Body)
			}
			if name == "limit" && w.Header().Get("Retry-After") != "3" {
				t.Errorf("%v", w.Header())
			}
		})
	}
}

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

func TestModelList(t *testing.T) {
	t.Parallel()
	h := stateless(says{})
	if w := call(h, "GET", "/v1/models", ""); w.Body.String() != `{"object":"list","data":[{"id":"lectern","object":"model","created":0,"owned_by":"lectern"},{"id":"small","object":"model","created":0,"owned_by":"lectern"}]}`+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, c := range []struct {
		second llm.Streamer
		want   []string
	}{{&llm.Fake{}, []string{"lectern", "small", "fake"}}, {says{}, []string{"lectern", "small"}}} {
		two := stateless(backup.New(says{}, c.second, backup.Options{}))
		var names []string
		for _, m := range strict[modelList](t, call(two, "GET", "/v1/models", "").Body.String()).Data {
			names = append(names, m.ID)
			if w := call(two, "GET", "/v1/models/"+m.ID, ""); w.Code != 200 {
				t.Errorf("%s: %d %s", m.ID, w.Code, w.Body)
			}
		}
		if !slices.Equal(names, c.want) {
			t.Errorf("%q, not %q", names, c.want)
		}
	}
	if w := call(h, "GET", "/v1/models/small", ""); w.Code != 200 || strict[modelInfo](t, w.Body.String()).ID != "small" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, name := range []string{"nobody", "x%2Fy", "a%00", strings.Repeat("y", 3000)} {
		if w := call(h, "GET", "/v1/models/"+name, ""); w.Code != 404 || *strict[apiError](t, w.Body.String()).Error.Code != "model_not_found" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := call(h, "GET", "/v1/models", "", "Authorization", "Bearer bad"); w.Code != 401 || *strict[apiError](t, w.Body.String()).Error.Code != "invalid_api_key" ||
		!strings.Contains(w.Body.String(), "Send an API credential") {
		t.Errorf("%d %s", w.Code, w.Body)
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
