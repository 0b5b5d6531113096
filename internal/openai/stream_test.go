package openai_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/openai"
	"lectern.dev/lectern/internal/openai/openaitest"
)

// recorded is a stream of about 4 kB as OpenAI sends it.
var recorded = openaitest.Reply{Pieces: []string{
	"The ", "index ", "is ", "a ", "tree. ", "Ünï", "cödé ", "👩‍🚀 ", "\"quoted\"\\", "\n\ndata: [DONE]\n\n", "event: done", "\u2028", " end.",
}}.Stream("small")

// Wherever a stream is cut, what was said is kept and the answer is not called whole.
func TestCutAtEveryByte(t *testing.T) {
	t.Parallel()
	whole := listen(t.Context(), over(t, text(recorded)))
	if whole.err != nil || whole.resp.Finish != llm.Stop {
		t.Fatal(whole.err)
	}
	var ends []int // of the events that say something
	for at, event := range strings.SplitAfter(recorded, "\n\n") {
		end := len(event)
		if at > 0 {
			end += ends[at-1]
		}
		ends = append(ends, end)
	}
	broken := errors.New("connection reset by peer")
	for name, ending := range map[string]error{"closed": io.EOF, "cut": io.ErrUnexpectedEOF, "reset": broken} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for cut := range len(recorded) {
				h := listen(t.Context(), over(t, says(func(context.Context) io.Reader {
					return io.MultiReader(strings.NewReader(recorded[:cut]), iotest.ErrReader(ending))
				})))
				h.check(t)
				said := strings.HasSuffix(recorded[:cut], "[DONE]") || strings.HasSuffix(recorded[:cut], "[DONE]\n")
				if ending == io.EOF && said && cut > len(recorded)-3 {
					if h.err != nil || h.text != whole.text {
						t.Errorf("cut at %d, behind [DONE]: %v", cut, h.err)
					}
					continue
				}
				if !fault.Is(h.err, fault.Unavailable) || !llm.MayBeUsed(h.err) {
					t.Fatalf("cut at %d of %d: %v", cut, len(recorded), h.err)
				}
				n := 0 // events that were there
				for n < len(ends) && ends[n] <= cut {
					n++
				}
				if want := strings.Join(texts(whole.pieces)[:min(max(0, n-1), len(whole.pieces))], ""); h.text != want && ending != io.EOF {
					t.Fatalf("cut at %d: %q; want %q", cut, h.text, want)
				}
				if !strings.HasPrefix(whole.text, h.text) {
					t.Fatalf("cut at %d: %q is not how the answer begins", cut, h.text)
				}
			}
		})
	}
}

func texts(pieces []llm.Piece) []string {
	out := make([]string, len(pieces))
	for i, p := range pieces {
		out[i] = p.Text
	}
	return out
}

// The same over connections, in both versions of HTTP.
func TestCutConnections(t *testing.T) {
	t.Parallel()
	reply := openaitest.Reply{Text: "One two three four."}
	length := len(reply.Stream("small"))
	for name, start := range map[string]func(testing.TB, ...openaitest.Reply) *openaitest.Server{"HTTP/1.1": openaitest.New, "HTTP/2": openaitest.NewTLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reply := reply // each cuts its own
			s := start(t)
			server, err := openai.New(openai.Config{BaseURL: s.URL + "/v1", Model: "small", Client: s.Client()})
			if err != nil {
				t.Fatal(err)
			}
			for cut := 1; cut < length; cut += 17 {
				reply.CutAt = cut
				s.Then(reply)
				h := listen(t.Context(), openai.Model{Server: server})
				h.check(t)
				if !fault.Is(h.err, fault.Unavailable) || !llm.MayBeUsed(h.err) || !strings.HasPrefix(reply.Text, h.text) {
					t.Fatalf("cut at %d of %d: %q, %v", cut, length, h.text, h.err)
				}
			}
			reply.CutAt = 0
			s.Then(reply)
			if h := listen(t.Context(), openai.Model{Server: server}); h.err != nil || h.text != reply.Text {
				t.Errorf("%q, %v", h.text, h.err)
			}
		})
	}
}

const (
	hi   = `data: {"model":"m-1","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}` + "\n\n"
	stop = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	done = "data: [DONE]\n\n"
)

func chunkOf(delta string) string {
	return `data: {"choices":[{"index":0,"delta":` + delta + `}]}` + "\n\n"
}

func TestStrangeStreams(t *testing.T) {
	t.Parallel()
	usage := `data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}` + "\n\n"
	for name, c := range map[string]struct {
		stream string
		text   string
		kind   fault.Kind // -1: no error
		finish llm.Finish
		usage  llm.Usage
		calls  []llm.ToolCall
	}{
		"whole":                     {stream: hi + stop + usage + done, text: "Hi", kind: -1, finish: llm.Stop, usage: llm.Usage{Input: 3, Output: 2}},
		"CR only":                   {stream: strings.ReplaceAll(hi+stop+done, "\n", "\r"), text: "Hi", kind: -1, finish: llm.Stop},
		"CR LF":                     {stream: strings.ReplaceAll(hi+stop+done, "\n", "\r\n"), text: "Hi", kind: -1, finish: llm.Stop},
		"byte order mark":           {stream: "\ufeff" + hi + stop + done, text: "Hi", kind: -1, finish: llm.Stop},
		"no space":                  {stream: strings.ReplaceAll(hi+stop+done, "data: ", "data:"), text: "Hi", kind: -1, finish: llm.Stop},
		"comments":                  {stream: ": processing\n\n" + hi + ":\n: \n\n" + stop + ": bye\n\n" + done, text: "Hi", kind: -1, finish: llm.Stop},
		"two lines of data":         {stream: strings.Replace(hi, `"choices"`, "\ndata: \"choices\"", 1) + stop + done, text: "Hi", kind: -1, finish: llm.Stop},
		"fields nobody knows":       {stream: "retry: 5\nid: 7\nfoo: bar\n" + hi + "id\n\n" + stop + done, text: "Hi", kind: -1, finish: llm.Stop},
		"no line break at the end":  {stream: hi + stop + "data: [DONE]", text: "Hi", kind: -1, finish: llm.Stop},
		"more after the end":        {stream: hi + stop + done + hi, text: "Hi", kind: -1, finish: llm.Stop},
		"no [DONE]":                 {stream: hi + stop, text: "Hi", kind: fault.Unavailable},
		"no [DONE], but usage":      {stream: hi + stop + usage, text: "Hi", kind: fault.Unavailable, usage: llm.Usage{Input: 3, Output: 2}},
		"no finish":                 {stream: hi + done, text: "Hi", kind: fault.Unavailable},
		"a finish nobody knows":     {stream: hi + strings.Replace(stop, "stop", "error", 1) + done, text: "Hi", kind: fault.Unavailable},
		"finished twice":            {stream: hi + strings.Replace(stop, "stop", "length", 1) + stop + done, text: "Hi", kind: -1, finish: llm.Length},
		"words after the finish":    {stream: stop + hi + done, text: "Hi", kind: -1, finish: llm.Stop},
		"filtered":                  {stream: hi + strings.Replace(stop, "stop", "content_filter", 1) + done, text: "Hi", kind: -1, finish: llm.Refusal},
		"nothing":                   {kind: fault.Unavailable},
		"nothing but [DONE]":        {stream: done, kind: fault.Unavailable},
		"no choices":                {stream: `data: {"choices":[]}` + "\n\n" + hi + stop + done, text: "Hi", kind: -1, finish: llm.Stop},
		"another choice":            {stream: hi + strings.Replace(strings.Replace(hi, `"index":0`, `"index":1`, 1), "Hi", "Ho", 1) + stop + done, text: "Hi", kind: -1, finish: llm.Stop},
		"null everywhere":           {stream: `data: {"model":null,"error":null,"usage":null,"choices":null}` + "\n\n" + hi + stop + done, text: "Hi", kind: -1, finish: llm.Stop},
		"usage in every chunk":      {stream: usage + hi + strings.Replace(usage, "2}", "9}", 1) + stop + done, text: "Hi", kind: -1, finish: llm.Stop, usage: llm.Usage{Input: 3, Output: 9}},
		"usage that is no number":   {stream: hi + stop + strings.Replace(usage, "3", `"many"`, 1) + done, text: "Hi", kind: -1, finish: llm.Stop},
		"usage below nothing":       {stream: hi + stop + strings.Replace(usage, "3", "-3", 1) + done, text: "Hi", kind: -1, finish: llm.Stop, usage: llm.Usage{Output: 2}},
		"an error in the middle":    {stream: hi + `data: {"error":{"message":"overloaded","type":"server_error","code":502}}` + "\n\n" + stop + done, text: "Hi", kind: fault.Unavailable},
		"an error as a string":      {stream: hi + `data: {"error":"broken"}` + "\n\n" + stop + done, text: "Hi", kind: fault.Unavailable},
		"an error by its event":     {stream: hi + "event: error\ndata: oops\n\n" + stop + done, text: "Hi", kind: fault.Unavailable},
		"no credit in the middle":   {stream: hi + `data: {"error":{"code":"insufficient_quota"}}` + "\n\n" + done, text: "Hi", kind: fault.Exhausted},
		"too much text":             {stream: `data: {"error":{"code":"context_length_exceeded"}}` + "\n\n" + done, kind: fault.Invalid},
		"garbage":                   {stream: hi + "data: {]\n\n" + stop + done, text: "Hi", kind: fault.Unavailable},
		"a number":                  {stream: hi + "data: 5\n\n" + stop + done, text: "Hi", kind: fault.Unavailable},
		"brackets all the way down": {stream: hi + "data: " + strings.Repeat("[", 1<<19) + strings.Repeat("]", 1<<19) + "\n\n" + stop + done, text: "Hi", kind: fault.Unavailable},
		"choices that are none":     {stream: hi + `data: {"choices":[5,null,"x",{"delta":7}],"usage":5,"model":{}}` + "\n\n" + stop + done, text: "Hi", kind: -1, finish: llm.Stop},
		"10 MB in a line":           {stream: hi + "data: " + strings.Repeat("x", 10<<20) + "\n\n" + stop + done, text: "Hi", kind: fault.Unavailable},
		"10 MB without a line":      {stream: hi + strings.Repeat("x", 10<<20), text: "Hi", kind: fault.Unavailable},
		"more than anybody says":    {stream: strings.Repeat(": nothing at all for a very long time\n\n", 1<<20) + hi + stop + done, kind: fault.Invalid},
		"an event of nearly 1 MiB":  {stream: chunkOf(`{"content":"`+strings.Repeat("x", 1<<19)+`"}`) + stop + done, text: strings.Repeat("x", 1<<19), kind: -1, finish: llm.Stop},
		"refusal":                   {stream: chunkOf(`{"refusal":"I will "}`) + chunkOf(`{"refusal":"not."}`) + stop + done, text: "I will not.", kind: -1, finish: llm.Refusal},
		"an emoji in two halves":    {stream: chunkOf("{\"content\":\"a\xf0\x9f\"}") + chunkOf("{\"content\":\"\x91\xa9b\"}") + stop + done, text: "a👩b", kind: -1, finish: llm.Stop},
		"an emoji in four":          {stream: chunkOf("{\"content\":\"\xf0\"}") + chunkOf("{\"content\":\"\x9f\"}") + chunkOf("{\"content\":\"\x91\"}") + chunkOf("{\"content\":\"\xa9\"}") + stop + done, text: "👩", kind: -1, finish: llm.Stop},
		"a pair in two halves":      {stream: chunkOf(`{"content":"a\ud83d"}`) + chunkOf(`{"content":"\uDC69b"}`) + stop + done, text: "a👩b", kind: -1, finish: llm.Stop},
		"half a pair":               {stream: chunkOf(`{"content":"a\ud83d"}`) + stop + done, text: "a\ufffd", kind: -1, finish: llm.Stop},
		"half a pair, then another": {stream: chunkOf(`{"content":"a\ud83d"}`) + chunkOf(`{"content":"b"}`) + stop + done, text: "a\ufffdb", kind: -1, finish: llm.Stop},
		"half a pair and a letter":  {stream: chunkOf(`{"content":"\ud83d\u0041\ud83d\ude00"}`) + stop + done, text: "\ufffdA😀", kind: -1, finish: llm.Stop},
		"what looks like half":      {stream: chunkOf(`{"content":"a\ufffd"}`) + chunkOf(`{"content":"\\ud83d"}`) + stop + done, text: `a` + "\ufffd" + `\ud83d`, kind: -1, finish: llm.Stop},
		"NUL and line separators":   {stream: chunkOf(`{"content":"a\u0000\u2028\r\n\n"}`) + stop + done, text: "a\x00\u2028\r\n\n", kind: -1, finish: llm.Stop},
		"calls": {
			stream: openaitest.Reply{ToolCalls: []openaitest.ToolCall{{ID: "c1", Name: "find", Arguments: `{"a":1}`}, {ID: "c2", Name: "open", Arguments: `{}`}}, NoUsage: true}.Stream("m"),
			kind:   -1, finish: llm.ToolCalls, calls: []llm.ToolCall{{ID: "c1", Name: "find", Arguments: `{"a":1}`}, {ID: "c2", Name: "open", Arguments: `{}`}},
		},
		"calls that are not counted": {
			stream: chunkOf(`{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"1"}},{"id":"b","function":{"name":"g","arguments":"2"}}]}`) +
				strings.Replace(stop, "stop", "tool_calls", 1) + done,
			kind: -1, finish: llm.ToolCalls, calls: []llm.ToolCall{{ID: "a", Name: "f", Arguments: "1"}, {ID: "b", Name: "g", Arguments: "2"}},
		},
		"a call far away": {
			stream: chunkOf(`{"tool_calls":[{"index":1000000000,"id":"a","function":{"name":"f","arguments":""}}]}`) + strings.Replace(stop, "stop", "tool_calls", 1) + done,
			kind:   -1, finish: llm.ToolCalls, calls: []llm.ToolCall{{ID: "a", Name: "f"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := listen(t.Context(), over(t, text(c.stream)))
			h.check(t)
			if c.kind == -1 && h.err != nil || c.kind >= 0 && (!fault.Is(h.err, c.kind) || !llm.MayBeUsed(h.err)) {
				t.Errorf("kind %v: %.300v", fault.KindOf(h.err), h.err)
			}
			if h.text != c.text {
				t.Errorf("text %.100q", h.text)
			}
			if h.resp.Finish != c.finish || h.resp.Usage != c.usage || !cmp.Equal(h.resp.ToolCalls, c.calls) {
				t.Errorf("finish %q, usage %+v, calls %+v", h.resp.Finish, h.resp.Usage, h.resp.ToolCalls)
			}
		})
	}
}

// What an answer says stands in no error, and so in no log.
func TestErrorsQuoteNoAnswer(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{strings.TrimSuffix(chunkOf(`{"content":"a secret"}`), "}\n\n") + "\n\n", `data: ["content","a secret"]` + "\n\n"} {
		h := listen(t.Context(), over(t, text(hi+broken+stop+done)))
		if h.err == nil || strings.Contains(h.err.Error(), "secret") {
			t.Errorf("%v", h.err)
		}
	}
}

// However a stream is made, and however its bytes come, the same is heard, and the
// truth is told about its end.
func FuzzStream(f *testing.F) {
	f.Add([]byte(recorded))
	f.Add([]byte(hi + stop + done))
	f.Add([]byte(strings.ReplaceAll(hi+stop+done, "\n", "\r")))
	f.Add([]byte(chunkOf("{\"content\":\"\xf0\x9f\"}") + chunkOf(`{"content":"\ud83d"}`) + stop + done))
	f.Add([]byte(openaitest.Reply{ToolCalls: []openaitest.ToolCall{{ID: "c1", Name: "find", Arguments: `{}`}}}.Stream("m")))
	f.Fuzz(func(t *testing.T, stream []byte) {
		h := listen(t.Context(), over(t, says(func(context.Context) io.Reader { return bytes.NewReader(stream) })))
		h.check(t)
		if h.err == nil && (!bytes.Contains(stream, []byte("[DONE]")) || !bytes.Contains(bytes.ToLower(stream), []byte("finish"))) {
			t.Error("called whole")
		}
		slow := listen(t.Context(), over(t, says(func(context.Context) io.Reader { return iotest.OneByteReader(bytes.NewReader(stream)) })))
		if slow.text != h.text || (slow.err == nil) != (h.err == nil) || !cmp.Equal(slow.resp.ToolCalls, h.resp.ToolCalls) {
			t.Errorf("byte by byte: %q, %v; at once: %q, %v", slow.text, slow.err, h.text, h.err)
		}
	})
}

// Before the first byte a call is repeated, within bounds; after it never.
func TestStreamsAreTriedAgain(t *testing.T) {
	t.Parallel()
	status := func(code int, header ...string) wire {
		return func(r *http.Request) (*http.Response, error) {
			h := http.Header{"Content-Type": {"application/json"}}
			for i := 0; i < len(header); i += 2 {
				h.Set(header[i], header[i+1])
			}
			return &http.Response{StatusCode: code, Request: r, Header: h, Body: io.NopCloser(strings.NewReader(`{"error":{"message":"no"}}`))}, nil
		}
	}
	fails := func(err error) wire { return func(*http.Request) (*http.Response, error) { return nil, err } }
	silent := wire(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	well := text(hi + stop + done)
	for name, c := range map[string]struct {
		wires []wire // the last one answers what is left
		calls int
		kind  fault.Kind // -1: no error
		used  bool
		wait  time.Duration // at least
	}{
		"429":                            {wires: []wire{status(429), well}, calls: 2, kind: -1, wait: 250 * time.Millisecond},
		"429 that says when":             {wires: []wire{status(429, "Retry-After", "7"), well}, calls: 2, kind: -1, wait: 7 * time.Second},
		"429 that says much later":       {wires: []wire{status(429, "Retry-After", "60"), well}, calls: 1, kind: fault.Unavailable},
		"500":                            {wires: []wire{status(500), well}, calls: 2, kind: -1},
		"502":                            {wires: []wire{status(502), well}, calls: 2, kind: -1},
		"503, twice":                     {wires: []wire{status(503), status(503), well}, calls: 3, kind: -1},
		"503 all the time":               {wires: []wire{status(503)}, calls: 3, kind: fault.Unavailable},
		"400":                            {wires: []wire{status(400)}, calls: 1, kind: fault.Invalid},
		"connection refused":             {wires: []wire{fails(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), well}, calls: 2, kind: -1},
		"connection refused for ever":    {wires: []wire{fails(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})}, calls: 3, kind: fault.Unavailable},
		"no headers":                     {wires: []wire{silent}, calls: 1, kind: fault.Unavailable, used: true, wait: time.Minute},
		"a page in HTML":                 {wires: []wire{status(200, "Content-Type", "text/html")}, calls: 3, kind: fault.Unavailable},
		"cut before the first token":     {wires: []wire{text(": wait\n\n"), well}, calls: 1, kind: fault.Unavailable, used: true},
		"an error before the first word": {wires: []wire{text(`data: {"error":{"message":"overloaded"}}` + "\n\n"), well}, calls: 1, kind: fault.Unavailable, used: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				asked, began := 0, time.Now()
				h := listen(t.Context(), over(t, func(r *http.Request) (*http.Response, error) {
					asked++
					return c.wires[min(asked, len(c.wires))-1](r)
				}))
				h.check(t)
				if asked != c.calls || h.resp.Tries.Calls != c.calls || h.resp.Tries.Retries != c.calls-1 {
					t.Errorf("%d calls, told: %+v", asked, h.resp.Tries)
				}
				if c.kind == -1 && h.err != nil || c.kind >= 0 && !fault.Is(h.err, c.kind) || llm.MayBeUsed(h.err) != c.used {
					t.Errorf("kind %v, used %t: %v", fault.KindOf(h.err), llm.MayBeUsed(h.err), h.err)
				}
				if took := time.Since(began); took < c.wait {
					t.Errorf("after %v", took)
				}
			})
		})
	}
}

// Nobody who is not trusted is told anything.
func TestStreamsWantATrustedServer(t *testing.T) {
	t.Parallel()
	s := openaitest.NewTLS(t)
	server, err := openai.New(openai.Config{BaseURL: s.URL + "/v1", Wait: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	h := listen(t.Context(), openai.Model{Server: server})
	if !fault.Is(h.err, fault.Unavailable) || llm.MayBeUsed(h.err) || len(s.Requests()) > 0 {
		t.Errorf("%v", h.err)
	}
}

// Over(t, …) lets a stream be silent for a minute.
func TestSilence(t *testing.T) {
	t.Parallel()
	many := make([]part, 3600)
	for i := range many {
		many[i] = part{time.Second, chunkOf(`{"content":"x "}`)}
	}
	for name, c := range map[string]struct {
		parts []part
		whole bool
		text  string
	}{
		"first token after 120 s":           {[]part{{120 * time.Second, hi + stop + done}}, false, ""},
		"first token after 120 s, comments": {[]part{{50 * time.Second, ": wait\n\n"}, {50 * time.Second, ": wait\n\n"}, {20 * time.Second, hi + stop + done}}, true, "Hi"},
		"a gap of 59 s":                     {[]part{{0, hi}, {59 * time.Second, stop + done}}, true, "Hi"},
		"a gap of 61 s":                     {[]part{{0, hi}, {61 * time.Second, stop + done}}, false, "Hi"},
		"a token a second for an hour":      {append(many, part{0, stop + done}), true, strings.Repeat("x ", 3600)},
		"a body that never ends":            {[]part{{0, hi + stop + done}, {time.Hour, ""}}, true, "Hi"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began, total := time.Now(), time.Duration(0)
				for _, p := range c.parts {
					total += p.after
				}
				h := listen(t.Context(), over(t, says(func(ctx context.Context) io.Reader { return &paced{ctx, c.parts} })))
				h.check(t)
				if h.text != c.text || (h.err == nil) != c.whole {
					t.Errorf("%q, %v", h.text, h.err)
				}
				if !c.whole && (!fault.Is(h.err, fault.Unavailable) || !strings.Contains(fault.Message(h.err), "nothing for too long")) {
					t.Errorf("%v", h.err)
				}
				if took := time.Since(began); took > min(total, 61*time.Second) && !c.whole || took > 2*time.Hour || name == "a body that never ends" && took > time.Second {
					t.Errorf("ended after %v", took)
				}
			})
		})
	}
}

// A listener that is slow is not a silent server.
func TestASlowListenerIsNotSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		resp, err := over(t, text(hi+stop+done)).Stream(t.Context(), llm.Request{}, func(llm.Piece) error {
			time.Sleep(time.Hour)
			return nil
		})
		if err != nil || resp.Text != "Hi" {
			t.Errorf("%+v, %v", resp, err)
		}
	})
}

// Who does not want the answer any more has the server stop at once.
func TestTheServerSeesTheEnd(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, ...openaitest.Reply) *openaitest.Server{"HTTP/1.1": openaitest.New, "HTTP/2": openaitest.NewTLS} {
		for when, reply := range map[string]openaitest.Reply{
			"before the first token": {Stall: openaitest.Forever},
			"in the middle":          {Text: "a b c d", StallAt: 2, Stall: openaitest.Forever},
			"before the headers":     {Hang: true},
		} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				s := start(t, reply)
				server, err := openai.New(openai.Config{BaseURL: s.URL + "/v1", Client: s.Client()})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan heard)
				go func() { ended <- listen(ctx, openai.Model{Server: server}) }()
				for s.Open() == 0 {
					time.Sleep(time.Millisecond)
				}
				cancelled := time.Now()
				cancel()
				h := <-ended
				if !fault.Is(h.err, fault.Unavailable) {
					t.Errorf("%v", h.err)
				}
				for s.Open() > 0 && time.Since(cancelled) < time.Minute {
					time.Sleep(time.Millisecond)
				}
				call := s.Calls()[0]
				if s.Open() > 0 || !call.ByClient {
					t.Fatalf("the server goes on: %+v", call)
				}
				t.Logf("the server saw it after %v", call.Ended.Sub(cancelled))
			})
		}
	}
}

func TestStreamedRequestOnTheWire(t *testing.T) {
	t.Parallel()
	s := openaitest.New(t)
	req := hello
	req.Messages = append(append([]llm.Message{}, hello.Messages...),
		llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: "c1", Name: "find", Arguments: `{"a":1}`}}},
		llm.Message{Role: llm.Tool, Text: "found", ToolCallID: "c1"},
		llm.Message{Role: llm.User, Text: "Thanks", Name: "Ada"},
	)
	req.Extra = map[string]json.RawMessage{
		"tools": json.RawMessage(`[{"type":"function","function":{"name":"find"}}]`), "temperature": json.RawMessage(`0.5`), "stop": json.RawMessage(`["END"]`),
		"model": json.RawMessage(`"dear"`), "messages": json.RawMessage(`[]`), "stream": json.RawMessage(`false`), "n": json.RawMessage(`9`),
		"max_tokens": json.RawMessage(`100000`), "response_format": json.RawMessage(`{"type":"text"}`), "messages.0.content": json.RawMessage(`"forged"`),
	}
	if _, err := (openai.Model{Server: connect(t, s)}).Stream(t.Context(), req, func(llm.Piece) error { return nil }); err != nil {
		t.Fatal(err)
	}
	r := s.Requests()[0]
	want := map[string]any{
		"model": "small", "stream": true, "stream_options": map[string]any{"include_usage": true}, "max_tokens": 50.0,
		"temperature": 0.5, "stop": []any{"END"}, "tools": []any{map[string]any{"type": "function", "function": map[string]any{"name": "find"}}},
		"messages.0.content": "forged", // a name as any other
	}
	for name, value := range want {
		if !cmp.Equal(r.Body[name], value) {
			t.Errorf("%s: %s", name, cmp.Diff(value, r.Body[name]))
		}
	}
	if r.Body["n"] != nil || r.Header.Get("Accept") != "text/event-stream" || r.Header.Get("Accept-Encoding") != "identity" {
		t.Errorf("n %v, header %v", r.Body["n"], r.Header)
	}
	if format, _ := r.Body["response_format"].(map[string]any); format["type"] != "json_schema" {
		t.Errorf("response_format: %v", format)
	}
	messages, _ := r.Body["messages"].([]any)
	last := messages[len(messages)-3:]
	if diff := cmp.Diff([]any{
		map[string]any{"role": "assistant", "tool_calls": []any{map[string]any{"id": "c1", "type": "function", "function": map[string]any{"name": "find", "arguments": `{"a":1}`}}}},
		map[string]any{"role": "tool", "content": "found", "tool_call_id": "c1"},
		map[string]any{"role": "user", "content": "Thanks", "name": "Ada"},
	}, last); diff != "" {
		t.Error(diff)
	}
}

// A connection serves one stream after the other.
func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // in whose time the end of a body is never late
		dialled, connections := make(pipes), 0
		s := &http.Server{Handler: &openaitest.Script{}}
		go func() { _ = s.Serve(dialled) }()
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			connections++
			ours, theirs := net.Pipe()
			dialled <- theirs
			return ours, nil
		}}
		defer close(dialled)
		defer transport.CloseIdleConnections()
		server, err := openai.New(openai.Config{BaseURL: "http://models.test/v1", Client: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if h := listen(t.Context(), openai.Model{Server: server}); h.err != nil {
				t.Fatal(h.err)
			}
		}
		if connections != 1 {
			t.Errorf("%d connections for 20 streams", connections)
		}
	})
}

// What one event of a stream costs, in CPU time: the machine may be busy with others.
func BenchmarkChunk(b *testing.B) {
	const n = 1000
	m := over(b, text(openaitest.Reply{Pieces: strings.Split(strings.Repeat("word |", n), "|")[:n]}.Stream("small")))
	b.ReportAllocs()
	began := cpu()
	for b.Loop() {
		if _, err := m.Stream(b.Context(), llm.Request{}, func(llm.Piece) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu()-began)/float64(b.N*n), "cpu-ns/event")
}

func cpu() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
