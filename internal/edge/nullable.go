package edge

import (
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// allowNull makes the document tell what decoding does: a member of a body that may
// be absent may be null as well, and means the same.
func allowNull(api *huma.OpenAPI, op huma.Operation) {
	item := api.Paths[op.Path]
	for _, added := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
		if added == nil || added.Method != op.Method || added.RequestBody == nil {
			continue
		}
		for _, content := range added.RequestBody.Content {
			optionalIsNullable(api.Components.Schemas, content.Schema, map[*huma.Schema]bool{})
		}
	}
}

func optionalIsNullable(registry huma.Registry, s *huma.Schema, seen map[*huma.Schema]bool) {
	for s != nil && s.Ref != "" {
		s = registry.SchemaFromRef(s.Ref)
	}
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	for name, property := range s.Properties {
		optionalIsNullable(registry, property, seen)
		if property.Ref != "" || property.Type == "" || property.Nullable || slices.Contains(s.Required, name) {
			continue
		}
		property.Nullable = true
		if len(property.Enum) > 0 {
			property.Enum = append(property.Enum, nil)
		}
	}
	optionalIsNullable(registry, s.Items, seen)
}
