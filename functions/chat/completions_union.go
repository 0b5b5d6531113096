package chat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Some fields take values of more than one form. Their schemas are for the document
// alone; they are checked here, since "matches none of two schemas" helps nobody.
type (
	textContent   json.RawMessage // a text, or a list of text parts
	toolChoice    json.RawMessage // a word, or a function
	stopSequences json.RawMessage // a text, or up to four
	onlyNull      json.RawMessage // what answers have and is always null
)

// union is the schema of a value of one of several forms.
func union(forms ...any) *huma.Schema {
	return &huma.Schema{Extensions: map[string]any{"anyOf": forms}}
}

type form = map[string]any

var (
	aText = form{"type": "string"}
	aNull = form{"type": "null"}
)

// UnmarshalJSON and its like keep what was sent.
func (c *textContent) UnmarshalJSON(b []byte) error { return (*json.RawMessage)(c).UnmarshalJSON(b) }

// UnmarshalJSON keeps what was sent.
func (c *toolChoice) UnmarshalJSON(b []byte) error { return (*json.RawMessage)(c).UnmarshalJSON(b) }

// UnmarshalJSON keeps what was sent.
func (s *stopSequences) UnmarshalJSON(b []byte) error { return (*json.RawMessage)(s).UnmarshalJSON(b) }

// UnmarshalJSON takes anything: the schema has been checked.
func (onlyNull) UnmarshalJSON([]byte) error { return nil }

// Schema shows both forms.
func (textContent) Schema(huma.Registry) *huma.Schema {
	return union(aText, aNull, form{"type": "array", "minItems": 1, "items": form{
		"type": "object", "additionalProperties": false, "required": []string{"type"}, "properties": form{
			"type": form{"enum": []string{"text", "refusal"}}, "text": aText, "refusal": aText,
		},
	}})
}

// Schema shows both forms.
func (toolChoice) Schema(huma.Registry) *huma.Schema {
	return union(form{"enum": toolChoices}, aNull, form{
		"type": "object", "additionalProperties": false, "required": []string{"type", "function"}, "properties": form{
			"type": form{"const": "function"},
			"function": form{"type": "object", "additionalProperties": false, "required": []string{"name"}, "properties": form{
				"name": form{"type": "string", "minLength": 1, "maxLength": 64},
			}},
		},
	})
}

// Schema shows both forms.
func (stopSequences) Schema(huma.Registry) *huma.Schema {
	return union(aText, aNull, form{"type": "array", "minItems": 1, "maxItems": 4, "items": aText})
}

// Schema says so.
func (onlyNull) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Enum: []any{nil}} }

var toolChoices = []string{"none", "auto", "required"}

func absent(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" }

func (c toolChoice) check() error {
	var word string
	switch {
	case absent(c):
		return nil
	case json.Unmarshal(c, &word) == nil:
		if slices.Contains(toolChoices, word) {
			return nil
		}
	default:
		var named struct {
			Type     string `json:"type"`
			Function struct {
				Name string `json:"name"`
			} `json:"function"`
		}
		if strictly(c, &named) == nil && named.Type == "function" && named.Function.Name != "" && len(named.Function.Name) <= 64 {
			return nil
		}
	}
	return wrong("tool_choice", `expected "none", "auto", "required" or {"type":"function","function":{"name":…}}`)
}

func (s stopSequences) check() error {
	var one string
	var several []string
	if absent(s) || json.Unmarshal(s, &one) == nil {
		return nil
	}
	if json.Unmarshal(s, &several) != nil || len(several) == 0 || len(several) > 4 || strings.Contains(string(s), "null") && slices.Contains(nulls(s), true) {
		return wrong("stop", "expected a text or a list of one to four")
	}
	return nil
}

// nulls tells which elements of a list are null, which decode as empty texts.
func nulls(list []byte) []bool {
	var elements []any
	_ = json.Unmarshal(list, &elements)
	are := make([]bool, len(elements))
	for i, e := range elements {
		are[i] = e == nil
	}
	return are
}

// part is an element of a message's content.
type part struct {
	Type    string  `json:"type"`
	Text    *string `json:"text"`
	Refusal *string `json:"refusal"`
}

// text joins the parts of a content; ok is false when there is none.
func (c textContent) text(param string) (text string, ok bool, err error) {
	if absent(c) {
		return "", false, nil
	}
	if json.Unmarshal(c, &text) == nil {
		return text, true, nil
	}
	var raw []json.RawMessage
	if json.Unmarshal(c, &raw) != nil || len(raw) == 0 {
		return "", false, wrong(param, "expected a text or a list of text parts")
	}
	texts := make([]string, len(raw))
	for i := range raw {
		if texts[i], err = partText(raw[i], fmt.Sprintf("%s[%d]", param, i)); err != nil {
			return "", false, err
		}
	}
	return strings.Join(texts, "\n"), true, nil
}

func partText(raw []byte, param string) (string, error) {
	var p part
	var kind struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(raw, &kind) != nil {
		return "", wrong(param, "expected an object with a type")
	}
	err := strictly(raw, &p)
	switch {
	case kind.Type != "text" && kind.Type != "refusal":
		return "", wrong(param+".type", "only text parts are taken here")
	case err != nil:
		return "", wrong(param, "expected a type and its text, and nothing else")
	case kind.Type == "text" && p.Text != nil && p.Refusal == nil:
		return *p.Text, nil
	case kind.Type == "refusal" && p.Refusal != nil && p.Text == nil:
		return *p.Refusal, nil
	}
	return "", wrong(param+"."+kind.Type, "expected a text")
}

// strictly decodes an object that has no other members.
func strictly(raw []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
