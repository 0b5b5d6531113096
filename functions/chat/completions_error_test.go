package chat

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

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

// A status that OpenAI's API does not have is told as a failure of the server.
func TestUnknownErrors(t *testing.T) {
	t.Parallel()
	status, body := inOpenAIsWords(&edge.Problem{Status: http.StatusTeapot, Detail: "No coffee."}, http.Header{})
	if e := body.(apiError).Error; status != http.StatusTeapot || e.Type != "server_error" || e.Message != "No coffee." {
		t.Errorf("%d %+v", status, e)
	}
}
