// Package edgetest makes requests from the document of an API, right ones and wrong
// ones, for the tests of every function that serves one.
package edgetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"pgregory.net/rapid"
)

// Operations gives every operation of a document, in a fixed order.
func Operations(document *huma.OpenAPI) (all []*huma.Operation) {
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		p := document.Paths[path]
		for _, o := range []*huma.Operation{p.Get, p.Post, p.Put, p.Patch, p.Delete} {
			if o != nil {
				all = append(all, o)
			}
		}
	}
	return all
}

// BodySchema gives what an operation takes as its body; nil: nothing.
func BodySchema(o *huma.Operation) *huma.Schema {
	if o.RequestBody == nil {
		return nil
	}
	return o.RequestBody.Content["application/json"].Schema
}

// PathOf fills an operation's path with ids, by the names that paths use.
func PathOf(o *huma.Operation, ids map[string]string) string {
	path := o.Path
	for name, id := range ids {
		path = strings.ReplaceAll(path, "{"+name+"}", id)
	}
	return path
}

// Described tells what an operation lacks to be understood; "" is nothing.
func Described(o *huma.Operation) string {
	if o.Summary == "" || o.Description == "" || o.OperationID == "" {
		return o.Method + " " + o.Path + " has no name, summary or description"
	}
	return ""
}

// Keyed tells whether an operation takes an Idempotency-Key.
func Keyed(o *huma.Operation) bool {
	return slices.ContainsFunc(o.Parameters, func(p *huma.Param) bool { return p.Name == "Idempotency-Key" })
}

// Required gives an operation the query parameters that it requires, each with this
// value: "" or a "?" and the query.
func Required(o *huma.Operation, value string) string {
	q := url.Values{}
	for _, p := range o.Parameters {
		if p.In == "query" && p.Required {
			q.Set(p.Name, value)
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// Sample makes JSON values for the schemas of a document: valid ones, or with T any
// that are mostly of the right form and wrong somewhere.
type Sample struct {
	Schemas huma.Registry
	T       *rapid.T // nil: Valid only
	Texts   []string // what stands for text that is right

	Parameters []string // what may be right as one, for Throw
}

// Resolve follows a schema's references.
func (g Sample) Resolve(s *huma.Schema) *huma.Schema {
	for s.Ref != "" {
		s = g.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// Valid gives the smallest value that the schema takes.
func (g Sample) Valid(s *huma.Schema) any {
	s = g.Resolve(s)
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type == huma.TypeObject:
		o := map[string]any{}
		for _, name := range s.Required {
			o[name] = g.Valid(s.Properties[name])
		}
		return o
	case s.Type == huma.TypeArray:
		list := []any{}
		for range minimum(s.MinItems) {
			list = append(list, g.Valid(s.Items))
		}
		return list
	case s.Type == huma.TypeString:
		return strings.Repeat("x", minimum(s.MinLength))
	case s.Type == huma.TypeInteger, s.Type == huma.TypeNumber:
		return max(1, int(value(s.Minimum)))
	}
	return true
}

func minimum(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

func value(f *float64) float64 {
	if f == nil {
		return 0
	}
	return *f
}

// junk is what programs and attackers send in the place of anything.
var junk = []any{
	nil, true, -1, 0, 3.7, 1e300, 9007199254740993, "", " ", "x", "\x00", "a\x00b", "😀", "\u202e", "<script>alert(1)</script>", "'; DROP TABLE users; --",
	"%s%n${x}{{y}}", strings.Repeat("é", 400), strings.Repeat("z", 5000),
	[]any{},
	[]any{nil},
	map[string]any{},
	map[string]any{"__proto__": map[string]any{}},
	[]any{[]any{[]any{[]any{}}}},
	map[string]any{"id": "crs_1", "organization_id": "org_other"},
}

// ValidBody gives an operation the smallest body that it takes; nil: none.
func (g Sample) ValidBody(o *huma.Operation) any {
	if schema := BodySchema(o); schema != nil {
		return g.Valid(schema)
	}
	return nil
}

// Value gives a value that is right in most places.
func (g Sample) Value(s *huma.Schema) any {
	if g.chance(12) {
		return rapid.SampledFrom(junk).Draw(g.T, "junk")
	}
	s = g.Resolve(s)
	switch {
	case len(s.Enum) > 0:
		return rapid.SampledFrom(s.Enum).Draw(g.T, "enum")
	case s.Type == huma.TypeObject:
		o := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			if slices.Contains(s.Required, name) != g.chance(5) {
				o[name] = g.Value(s.Properties[name])
			}
		}
		if g.chance(15) {
			o[fmt.Sprint("extra", len(o))] = rapid.SampledFrom(junk).Draw(g.T, "extra")
		}
		return o
	case s.Type == huma.TypeArray:
		list := []any{}
		for range rapid.IntRange(minimum(s.MinItems), minimum(s.MinItems)+2).Draw(g.T, "length") {
			list = append(list, g.Value(s.Items))
		}
		return list
	case s.Type == huma.TypeString:
		return rapid.SampledFrom(g.Texts).Draw(g.T, "text")
	case s.Type == huma.TypeInteger, s.Type == huma.TypeNumber:
		return rapid.IntRange(-1, 3).Draw(g.T, "number")
	}
	return rapid.Bool().Draw(g.T, "flag")
}

func (g Sample) chance(oneIn int) bool { return rapid.IntRange(1, oneIn).Draw(g.T, "chance") == 1 }

// Path fills an operation's path with ids, by the names that paths use; some are
// replaced by what is no id.
func (g Sample) Path(o *huma.Operation, ids map[string]string) string {
	path := o.Path
	for name, id := range ids {
		if rapid.IntRange(0, 9).Draw(g.T, "wrong id") == 0 {
			id = url.PathEscape(rapid.SampledFrom([]string{"x", "%00", "..", "é", "' OR 1=1 --", "\xff", strings.Repeat("a", 300), id + "0", " "}).Draw(g.T, "id"))
		}
		path = strings.ReplaceAll(path, "{"+name+"}", id)
	}
	return path
}

// Body gives the text of a body for an operation, sometimes cut off; nil where it
// takes none.
func (g Sample) Body(o *huma.Operation) any {
	schema := BodySchema(o)
	if schema == nil {
		return nil
	}
	encoded, err := json.Marshal(g.Value(schema))
	if err != nil {
		g.T.Fatal(err)
	}
	text := string(encoded)
	if rapid.IntRange(0, 9).Draw(g.T, "cut") == 0 {
		text = text[:rapid.IntRange(0, len(text)).Draw(g.T, "at")]
	}
	return text
}
