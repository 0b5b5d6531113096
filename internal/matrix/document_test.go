package matrix

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// document is what the tests read of an OpenAPI 3.1 document.
type document struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

// operation is a row of the matrix.
type operation struct {
	Method      string  `json:"-"`
	Path        string  `json:"-"`
	ID          string  `json:"operationId"`
	Policy      *policy `json:"x-lectern-policy"`
	Parameters  []param `json:"parameters"`
	RequestBody *struct {
		Content map[string]struct {
			Schema *schema `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Content map[string]json.RawMessage `json:"content"`
	} `json:"responses"`
}

// policy is who may call it, in the document's words.
type policy struct {
	Who   string `json:"who"` // "everyone", or nothing
	Role  string `json:"role"`
	Scope string `json:"scope"`
}

type param struct {
	Name     string  `json:"name"`
	In       string  `json:"in"`
	Required bool    `json:"required"`
	Schema   *schema `json:"schema"`
}

// schema is what a valid value is made of.
type schema struct {
	Ref        string             `json:"$ref"`
	Type       any                `json:"type"` // a name, or a list with "null"
	Enum       []any              `json:"enum"`
	Examples   []any              `json:"examples"`
	Format     string             `json:"format"`
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Items      *schema            `json:"items"`
	ReadOnly   bool               `json:"readOnly"`
	MinItems   int                `json:"minItems"`
	MinLength  int                `json:"minLength"`
	Minimum    float64            `json:"minimum"`
}

var methods = []string{"get", "post", "put", "patch", "delete"} // deletions come last

// operations reads the document that the public function serves for the whole API.
func (w *world) operations(t *testing.T) []operation {
	t.Helper()
	a := w.ask(t, request{method: http.MethodGet, path: "/openapi.json"})
	if err := json.Unmarshal([]byte(a.body), &w.document); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d, %v: %.300s", a.status, err, a.body)
	}
	var all []operation
	for _, method := range methods {
		for _, path := range slices.Sorted(maps.Keys(w.document.Paths)) {
			encoded, ok := w.document.Paths[path][method]
			if !ok {
				continue
			}
			o := operation{Method: strings.ToUpper(method), Path: path}
			if err := json.Unmarshal(encoded, &o); err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			if o.Policy == nil {
				t.Errorf("%s %s declares no policy", o.Method, o.Path)
				continue
			}
			all = append(all, o)
		}
	}
	return all
}

// body is the schema of the JSON that the operation takes; nil: none.
func (o operation) body() *schema {
	if o.RequestBody == nil {
		return nil
	}
	return o.RequestBody.Content["application/json"].Schema
}

func (d *document) resolve(s *schema) *schema {
	for s != nil && s.Ref != "" {
		s = d.Components.Schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
	}
	return s
}

func (s *schema) is(kind string) bool {
	if list, ok := s.Type.([]any); ok {
		return slices.Contains(list, any(kind))
	}
	return s.Type == kind
}

// value gives a value that the schema takes, with every property that may be sent:
// what is optional is a way in, too.
func (d *document) value(s *schema) any {
	s = d.resolve(s)
	switch {
	case s == nil:
		return map[string]any{}
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.is("object"):
		o := map[string]any{}
		for name, property := range s.Properties {
			if !property.ReadOnly {
				o[name] = d.value(property)
				if text, ok := wellKnown[name]; ok && d.resolve(property).is("string") {
					o[name] = text
				}
			}
		}
		return o
	case s.is("array"):
		return []any{d.value(s.Items)}
	case s.is("string"):
		return text(s)
	case s.is("integer"), s.is("number"):
		return max(1, s.Minimum)
	}
	return true
}

// wellKnown are texts that their schema alone does not describe.
var wellKnown = map[string]string{
	"language": "en", "email": "somebody@example.com", "password": "nine brown owls at dusk", "role": "learner",
}

func text(s *schema) string {
	switch s.Format {
	case "date-time":
		return "2099-01-01T00:00:00Z"
	case "email":
		return "somebody@example.com"
	case "uri":
		return "https://example.com/"
	}
	return strings.Repeat("x", max(1, s.MinLength))
}

// leaf is a place in a body where a text stands.
type leaf []string // names of members; "0" is the first of a list

// leaves finds the texts of a value.
func leaves(v any, at leaf) []leaf {
	switch v := v.(type) {
	case map[string]any:
		var all []leaf
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, leaves(v[name], append(slices.Clone(at), name))...)
		}
		return all
	case []any:
		if len(v) > 0 {
			return leaves(v[0], append(slices.Clone(at), "0"))
		}
	case string:
		return []leaf{at}
	}
	return nil
}

// objects finds the objects of a value: the places where a further field fits.
func objects(v any, at leaf) []leaf {
	switch v := v.(type) {
	case map[string]any:
		all := []leaf{at}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, objects(v[name], append(slices.Clone(at), name))...)
		}
		return all
	case []any:
		if len(v) > 0 {
			return objects(v[0], append(slices.Clone(at), "0"))
		}
	}
	return nil
}

// with gives a copy of v that has another value at a place.
func with(v any, at leaf, value any) any {
	if len(at) == 0 {
		return value
	}
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		out[at[0]] = with(out[at[0]], at[1:], value)
		return out
	case []any:
		out := slices.Clone(v)
		out[0] = with(out[0], at[1:], value)
		return out
	}
	return v
}
