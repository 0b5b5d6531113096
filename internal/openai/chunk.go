package openai

import (
	"encoding/json"
	"fmt"

	"github.com/tidwall/gjson"
)

// chunk is what is read of one.
// https://platform.openai.com/docs/api-reference/chat-streaming
type chunk struct {
	model   string
	failed  bool   // it tells an error
	usage   string // JSON; empty: none
	finish  string
	content string
	raw     string // content as it stands in the JSON, between its quotes
	refusal string
	calls   gjson.Result // parts of calls of tools
}

// parse reads a chunk. Decoding by reflection, as the SDK does it, takes several times
// as long, and a server does this for every token of every stream.
func (c *chunk) parse(data string) error {
	*c = chunk{}
	valid := gjson.Valid
	if len(data) > 10_000 { // in which brackets could be nested deeper than its recursion should go
		valid = func(s string) bool { return json.Valid([]byte(s)) }
	}
	if !valid(data) {
		return fmt.Errorf("no JSON: %s", beginning(data))
	}
	top := gjson.Parse(data)
	if !top.IsObject() {
		return fmt.Errorf("no object: %s", beginning(data))
	}
	top.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "model":
			c.model = value.Str
		case "error":
			c.failed = value.Type != gjson.Null
		case "usage":
			if value.IsObject() {
				c.usage = value.Raw
			}
		case "choices":
			value.ForEach(func(_, choice gjson.Result) bool {
				if choice.Get("index").Num == 0 { // one is asked for
					c.choice(choice)
				}
				return true
			})
		}
		return true
	})
	return nil
}

// beginning tells a log what came, and nothing of an answer's words.
func beginning(data string) string {
	return fmt.Sprintf("%d bytes, beginning with %.12q", len(data), data)
}

func (c *chunk) choice(choice gjson.Result) {
	choice.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "finish_reason":
			c.finish = value.Str
		case "delta":
			value.ForEach(func(key, value gjson.Result) bool {
				switch key.Str {
				case "content":
					if value.Type == gjson.String {
						c.content, c.raw = value.Str, value.Raw[1:len(value.Raw)-1]
					}
				case "refusal":
					c.refusal = value.Str
				case "tool_calls":
					c.calls = value
				}
				return true
			})
		}
		return true
	})
}
