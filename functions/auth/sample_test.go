package auth

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"pgregory.net/rapid"
)

func status(code int) string { return strconv.Itoa(code) }

func bodySchema(o *huma.Operation) *huma.Schema {
	if o.RequestBody == nil {
		return nil
	}
	return o.RequestBody.Content["application/json"].Schema
}

// sample makes JSON values for a schema: valid ones, or with rapid any that are
// mostly of the right form and wrong somewhere.
type sample struct {
	registry huma.Registry
	t        *rapid.T
}

func (g sample) resolve(s *huma.Schema) *huma.Schema {
	for s.Ref != "" {
		s = g.registry.SchemaFromRef(s.Ref)
	}
	return s
}

// valid gives the smallest value that the schema takes.
func (g sample) valid(s *huma.Schema) any {
	s = g.resolve(s)
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type == huma.TypeObject:
		o := map[string]any{}
		for _, name := range s.Required {
			o[name] = g.valid(s.Properties[name])
		}
		return o
	case s.Type == huma.TypeArray:
		list := []any{}
		for range minimum(s.MinItems) {
			list = append(list, g.valid(s.Items))
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
	map[string]any{"id": "user_1", "organization_id": "org_other"},
}

// value gives a value that is right in most places.
func (g sample) value(s *huma.Schema) any {
	if g.chance(12) {
		return rapid.SampledFrom(junk).Draw(g.t, "junk")
	}
	s = g.resolve(s)
	switch {
	case len(s.Enum) > 0:
		return rapid.SampledFrom(s.Enum).Draw(g.t, "enum")
	case s.Type == huma.TypeObject:
		o := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			if slices.Contains(s.Required, name) != g.chance(5) {
				o[name] = g.value(s.Properties[name])
			}
		}
		if g.chance(15) {
			o[fmt.Sprint("extra", len(o))] = rapid.SampledFrom(junk).Draw(g.t, "extra")
		}
		return o
	case s.Type == huma.TypeArray:
		list := []any{}
		for range rapid.IntRange(minimum(s.MinItems), minimum(s.MinItems)+2).Draw(g.t, "length") {
			list = append(list, g.value(s.Items))
		}
		return list
	case s.Type == huma.TypeString:
		return rapid.SampledFrom([]string{"Owls", "ann@example.com", "new@example.com", "nine owls on a fence", "日本語", "e\u0301", "a\nb"}).Draw(g.t, "text")
	case s.Type == huma.TypeInteger, s.Type == huma.TypeNumber:
		return rapid.IntRange(-1, 3).Draw(g.t, "number")
	}
	return rapid.Bool().Draw(g.t, "flag")
}

func (g sample) chance(oneIn int) bool { return rapid.IntRange(1, oneIn).Draw(g.t, "chance") == 1 }
