package edge

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"lectern.dev/lectern/internal/fault"
)

// Patch is a JSON merge patch of a T (RFC 7396): a member that is absent stays as
// it is, null removes an optional one, lists are replaced as a whole.
type Patch[T any] struct{ document json.RawMessage }

// UnmarshalJSON and MarshalJSON keep the document as it was sent.
func (p *Patch[T]) UnmarshalJSON(b []byte) error { return p.document.UnmarshalJSON(b) }

// MarshalJSON gives the document.
func (p Patch[T]) MarshalJSON() ([]byte, error) { return p.document.MarshalJSON() }

// Apply changes target.
func (p Patch[T]) Apply(target *T) error {
	present, err := json.Marshal(target)
	if err != nil {
		return err
	}
	var before, change any
	if err := json.Unmarshal(present, &before); err != nil {
		return err
	}
	if err := json.Unmarshal(p.document, &change); err != nil {
		return fault.Wrap(fault.Invalid, err, "The patch is not JSON.")
	}
	merged, err := json.Marshal(merge(before, change))
	if err != nil {
		return err
	}
	var after T // fresh: decoding over old lists would keep members of their elements
	if err := json.Unmarshal(merged, &after); err != nil {
		return fault.Wrap(fault.Invalid, err, "The patch does not fit.")
	}
	*target = after
	return nil
}

// merge is MergePatch of RFC 7396, section 2.
func merge(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, value := range changes {
		if value == nil {
			delete(object, name)
		} else {
			object[name] = merge(object[name], value)
		}
	}
	return object
}

// Schema is that of T with nothing required, and null taken where T can do without.
func (Patch[T]) Schema(r huma.Registry) *huma.Schema {
	t := reflect.TypeFor[T]()
	patch := patchOf(r, r.Schema(t, false, t.Name()))
	patch.Description = "A JSON merge patch (RFC 7396): what is absent stays as it is, null clears, lists are replaced."
	return patch
}

// patchOf is the schema of a patch of what whole describes, and of the objects in it.
func patchOf(r huma.Registry, whole *huma.Schema) *huma.Schema {
	patch := *whole
	patch.Required = nil
	required := map[string]bool{}
	for _, name := range whole.Required {
		required[name] = true
	}
	patch.Properties = map[string]*huma.Schema{}
	for name, property := range whole.Properties {
		p := *property
		if p.Ref != "" {
			p = *patchOf(r, r.SchemaFromRef(p.Ref))
		}
		p.Nullable = p.Nullable || !required[name]
		patch.Properties[name] = &p
	}
	return &patch
}
