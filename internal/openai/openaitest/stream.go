package openaitest

import (
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"strings"
)

// stream gives the reply as server-sent events, at the pace of the script.
func (r Reply) stream(w http.ResponseWriter, req *http.Request, request Request) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	r.head(w, -1)
	model, _ := request.Body["model"].(string)
	options, _ := request.Body["stream_options"].(map[string]any)
	out := &cutting{w: w, flush: http.NewResponseController(w).Flush, left: r.CutAt}
	said := 0
	for event := range r.events(model, options["include_usage"] == true) {
		if event.said {
			pause := r.Every
			if said == 0 {
				pause = 0
			}
			if said == r.StallAt {
				pause = max(pause, r.Stall)
			}
			if said == r.StallAt && r.Until != nil {
				select {
				case <-r.Until:
				case <-req.Context().Done():
					return
				}
			}
			if said++; !wait(req, pause) {
				return
			}
		}
		if out.write(event.text) != nil {
			return
		}
	}
}

// Stream is the bytes of the reply as a stream.
func (r Reply) Stream(model string) string {
	var out strings.Builder
	for event := range r.events(model, true) {
		out.WriteString(event.text)
	}
	return out.String()
}

type event struct {
	text string
	said bool // it holds words, and comes at the pace of the script
}

// events are the reply as OpenAI sends it: the role, the pieces, why it ended, what
// it cost, and [DONE].
func (r Reply) events(model string, usage bool) iter.Seq[event] {
	prefix := `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":` + quoted(model) +
		`,"service_tier":"default","system_fingerprint":"fp_1","choices":[`
	rest := "]"
	if usage {
		rest += `,"usage":null`
	}
	rest += "}\n\n"
	choice := func(delta, finish string) string {
		return prefix + `{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":` + finish + `}` + rest
	}
	return func(yield func(event) bool) {
		ok := yield(event{choice(`{"role":"assistant","content":"","refusal":null}`, "null"), false})
		for _, delta := range r.deltas() {
			said := choice(delta, "null")
			for range max(1, r.Repeat) {
				ok = ok && yield(event{said, true})
			}
		}
		if finish, told := r.finish().(string); told {
			ok = ok && yield(event{choice("{}", quoted(finish)), false})
		}
		if usage && !r.NoUsage {
			counted, _ := json.Marshal(r.usage())
			ok = ok && yield(event{prefix + `],"usage":` + string(counted) + "}\n\n", false})
		}
		if !r.NoDone && ok {
			yield(event{"data: [DONE]\n\n", false})
		}
	}
}

func (r Reply) deltas() []string {
	if r.Refusal != "" {
		return []string{`{"refusal":` + quoted(r.Refusal) + `}`}
	}
	var out []string
	pieces := r.Pieces
	if r.Repeat > 0 {
		pieces = []string{r.text()}
	}
	if len(pieces) == 0 && r.text() != "" {
		pieces = strings.SplitAfter(r.text(), " ")
	}
	for _, p := range pieces {
		out = append(out, `{"content":`+quoted(p)+`}`)
	}
	for i, c := range r.ToolCalls {
		half := len(c.Arguments) / 2
		index := quoted(i)
		out = append(out,
			`{"tool_calls":[{"index":`+index+`,"id":`+quoted(c.ID)+`,"type":"function","function":{"name":`+quoted(c.Name)+`,"arguments":""}}]}`,
			`{"tool_calls":[{"index":`+index+`,"function":{"arguments":`+quoted(c.Arguments[:half])+`}}]}`,
			`{"tool_calls":[{"index":`+index+`,"function":{"arguments":`+quoted(c.Arguments[half:])+`}}]}`)
	}
	return out
}

func quoted(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test's own value
	}
	return string(out)
}

// cutting breaks the connection after so many bytes.
type cutting struct {
	w     io.Writer
	flush func() error
	left  int // 0: never
}

func (c *cutting) write(s string) error {
	cut := c.left > 0 && len(s) >= c.left
	if cut {
		s = s[:c.left]
	}
	c.left = max(0, c.left-len(s))
	if _, err := io.WriteString(c.w, s); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return err
	}
	if cut {
		panic(http.ErrAbortHandler)
	}
	return nil
}
