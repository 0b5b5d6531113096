package chat

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/openai/openaitest"
)

// post sends a completion with the key of one who may.
func (e endpoint) post(ctx context.Context, t *testing.T, body string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+e.key)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return nil
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// All that may be passed on reaches the model's server as it was sent, and nothing
// else does: not the caller's key, nor a header, nor another model.
func TestWhatReachesTheServer(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	res := e.post(t.Context(), t, `{"model":"lectern","messages":[{"role":"developer","content":"Be brief."},{"role":"user","name":"ann","content":"😀"},
		{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"a\":1}"}}]},
		{"role":"tool","tool_call_id":"c1","content":"42"}],
		"tools":[{"type":"function","function":{"name":"look","description":"d","parameters":{"type":"object","properties":{"a":{"const":1.50}}},"strict":true}}],
		"tool_choice":{"type":"function","function":{"name":"look"}},"parallel_tool_calls":false,
		"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"},"strict":true}},
		"stop":["\n","END"],"temperature":0.3,"top_p":1,"frequency_penalty":-2,"presence_penalty":2,"seed":12345678901,
		"logit_bias":{"50256":-100},"reasoning_effort":"low","verbosity":"high","max_completion_tokens":9,
		"user":"somebody","metadata":{"a":"b"},"store":true,"service_tier":"auto","safety_identifier":"s","prompt_cache_key":"k","n":1}`,
		"X-Forwarded-For", "10.0.0.1", "OpenAI-Organization", "org_theirs", "Cookie", "a=b")
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	sent := e.upstream.Requests()[0]
	var want map[string]any
	err := json.Unmarshal([]byte(`{"model":"small","messages":[{"role":"system","content":"Be brief."},{"role":"user","name":"ann","content":"😀"},
		{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"a\":1}"}}]},
		{"role":"tool","tool_call_id":"c1","content":"42"}],
		"tools":[{"type":"function","function":{"name":"look","description":"d","parameters":{"type":"object","properties":{"a":{"const":1.50}}},"strict":true}}],
		"tool_choice":{"type":"function","function":{"name":"look"}},"parallel_tool_calls":false,
		"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"},"strict":true}},
		"stop":["\n","END"],"temperature":0.3,"top_p":1,"frequency_penalty":-2,"presence_penalty":2,"seed":12345678901,
		"logit_bias":{"50256":-100},"reasoning_effort":"low","verbosity":"high","max_tokens":9,
		"stream":true,"stream_options":{"include_usage":true}}`), &want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, sent.Body); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"Authorization", "X-Forwarded-For", "Openai-Organization", "Cookie"} {
		if value := sent.Header.Get(name); strings.Contains(value, e.key) || value == "10.0.0.1" || value == "org_theirs" || value == "a=b" {
			t.Errorf("the caller's %s reaches the server", name)
		}
	}
}

// F47, of what is not kept: who goes away ends the answer, and what it came to is settled.
func TestWhoGoesEndsTheAnswer(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	for _, stream := range []string{"true", "false"} {
		before := len(e.upstream.Calls())
		ctx, leave := context.WithCancel(t.Context())
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			e.post(ctx, t, `{"model":"lectern","messages":[{"role":"user","content":"endless"}],"stream":`+stream+`}`)
		}()
		eventually(t, func() bool { return len(e.upstream.Calls()) > before && e.upstream.Open() == 1 })
		if stream == "true" {
			<-answered // its beginning
		}
		left := time.Now()
		leave()
		var c openaitest.Call
		eventually(t, func() bool { c = e.upstream.Calls()[before]; return !c.Ended.IsZero() })
		if !c.ByClient || c.Ended.Sub(left) > 30*time.Second {
			t.Errorf("stream %s: %+v", stream, c)
		}
		t.Logf("stream %s: the model's server was left %s after the client had gone", stream, c.Ended.Sub(left))
		eventually(t, func() bool {
			var open, settled int
			if err := e.db.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE state = 'reserved'), count(*) FILTER (WHERE state = 'settled') FROM ledger`).Scan(&open, &settled); err != nil {
				t.Fatal(err)
			}
			return open == 0 && settled == before+1
		})
	}
}
