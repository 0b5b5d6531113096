package courses

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
)

// bodies are requests in which every text that people write is "§".
func bodies() map[string]any {
	evidence := []any{map[string]any{"passage": "§", "source": "§", "heading": "§", "quote": "§", "start": 0, "end": 1}}
	narration := []any{map[string]any{"text": "§", "reveals": 0, "evidence": evidence}}
	points := map[string]any{
		"kind": "points", "title": "§", "narration": narration, "points": []any{map[string]any{"text": "§", "evidence": evidence}},
	}
	code := map[string]any{"kind": "code", "title": "x", "points": []any{}, "narration": narration, "code": map[string]any{"language": "§", "text": "§", "evidence": evidence}}
	table := map[string]any{"kind": "table", "title": "x", "points": []any{}, "narration": narration, "table": map[string]any{
		"header": []any{"§"}, "rows": []any{[]any{"§"}}, "evidence": evidence,
	}}
	quote := map[string]any{"kind": "quote", "title": "x", "points": []any{}, "narration": narration, "quote": map[string]any{"text": "§", "attribution": "§", "evidence": evidence}}
	course := map[string]any{"title": "§", "summary": "§", "audience": "§", "language": "§"}
	lesson := map[string]any{"title": "§", "article": "§", "objectives": []any{"§"}, "citations": evidence}
	module := map[string]any{"title": "§", "summary": "§"}
	return map[string]any{
		"create-course": course, "update-course": course,
		"create-module": module, "update-module": module,
		"create-lesson": lesson, "update-lesson": lesson,
		"set-slides":       map[string]any{"items": []any{points, code, table, quote}},
		"update-slide":     points,
		"set-questions":    map[string]any{"items": []any{map[string]any{"prompt": "§", "choices": []any{"§", "x"}, "key": 1, "explanation": "§", "evidence": evidence}}},
		"add-source":       map[string]any{"name": "§.md", "content_type": "§", "size": 3},
		"start-generation": map[string]any{"title": "§", "audience": "§", "language": "§"},
	}
}

// elsewhere are texts that are ids, or that update-slide shares with set-slides.
var elsewhere = []string{
	"set-outline.modules[].id", "set-outline.modules[].lessons[]", "set-slides.items[].id", "set-questions.items[].id",
	"update-slide.id", "update-slide.code", "update-slide.table", "update-slide.quote",
}

// F90: whatever text comes, in any field of any operation, it is kept and shown
// exactly, or refused with a reason.
func TestEveryTextIsKeptExactlyOrRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	all, schemas := bodies(), edgetest.Sample{Schemas: r.api.OpenAPI().Components.Schemas}
	kept, refused := 0, 0
	for _, o := range edgetest.Operations(r.api.OpenAPI()) {
		schema := edgetest.BodySchema(o)
		if schema == nil {
			continue
		}
		encoded, err := json.Marshal(all[o.OperationID])
		if err != nil {
			t.Fatal(err)
		}
		places := strings.Count(string(encoded), "§")
		for _, at := range textsOf(schemas, o.OperationID, schema) {
			if !slices.ContainsFunc(elsewhere, func(known string) bool { return strings.HasPrefix(at, known) }) && !named(all[o.OperationID], strings.TrimPrefix(at, o.OperationID)) {
				t.Errorf("no text is tried at %s", at)
			}
		}
		for place := range places {
			ids := r.one() // the one before may have been changed or be at work
			path := edgetest.PathOf(o, ids)
			for name, text := range edgetest.Texts {
				if len(text) > 1<<19 && place > 0 {
					continue // once for an operation is enough of a megabyte
				}
				if o.OperationID == "start-generation" { // one at a time
					r.do("DELETE", "/v1/sources/"+ids["source"], nil)
					r.do("DELETE", "/v1/jobs/"+ids["job"], nil)
				}
				body := fill(string(encoded), place, text)
				a := r.do(o.Method, path, body)
				switch {
				case a.Code < 300:
					kept++
					want, ok := edgetest.Meant(text)
					if o.OperationID == "add-source" && place == 0 {
						continue // a content type is only a hint
					}
					if !ok {
						t.Fatalf("%s, %s: taken, though it is no text: %s", o.OperationID, name, a.Body)
					}
					if o.OperationID == "start-generation" {
						ids["job"] = edgetest.Into[struct{ Job struct{ ID string } }](a).Job.ID
						continue // what it was given is for the agents
					}
					if o.OperationID == "add-source" {
						want += ".md"
					}
					if !holds(edgetest.Into[any](a), want) {
						t.Errorf("%s, %s at %d: sent %q, got %.2000s", o.OperationID, name, place, want, a.Body)
					}
				case name == "plain":
					t.Errorf("%s at %d: plain text is refused, so nothing is tried: %s", o.OperationID, place, a.Body)
				case a.Code == 400 || a.Code == 422 || a.Code == 413:
					refused++
					if p := edgetest.Into[edge.Problem](a); p.Detail == "" || !utf8.ValidString(a.Body.String()) {
						t.Errorf("%s, %s: %s", o.OperationID, name, a.Body)
					}
				default:
					t.Errorf("%s, %s at %d: status %d: %.500s", o.OperationID, name, place, a.Code, a.Body)
				}
			}
		}
		delete(all, o.OperationID)
	}
	if len(all) > 0 || kept < 500 || refused < 300 {
		t.Errorf("kept %d, refused %d; of no operation: %v", kept, refused, all)
	}
}

// fill puts a text in one place, and "x" in all others.
func fill(body string, place int, text string) string {
	parts := strings.Split(body, "§")
	var out strings.Builder
	for i, part := range parts {
		out.WriteString(part)
		switch {
		case i == len(parts)-1:
		case i == place:
			out.WriteString(text)
		case strings.HasSuffix(part, `"language":"`):
			out.WriteString("en")
		case strings.HasSuffix(part, `"content_type":"`):
			out.WriteString("text/markdown")
		default:
			out.WriteString("x")
		}
	}
	return out.String()
}

// holds tells whether a JSON value has this text in it.
func holds(v any, text string) bool {
	switch v := v.(type) {
	case string:
		return v == text
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return holds(e, text) })
	case map[string]any:
		for _, e := range v {
			if holds(e, text) {
				return true
			}
		}
	}
	return false
}

// textsOf are the paths of a schema where people write what they like.
func textsOf(g edgetest.Sample, at string, s *huma.Schema) (found []string) {
	s = g.Resolve(s)
	for name, p := range s.Properties {
		found = append(found, textsOf(g, at+"."+name, p)...)
	}
	if s.Items != nil {
		found = append(found, textsOf(g, at+"[]", s.Items)...)
	}
	if s.Type == huma.TypeString && len(s.Enum) == 0 {
		found = append(found, at)
	}
	return found
}

// named tells whether a body has a text at a path such as ".items[].title".
func named(v any, path string) bool {
	switch v := v.(type) {
	case string:
		return path == "" && strings.Contains(v, "§")
	case []any:
		rest, ok := strings.CutPrefix(path, "[]")
		return ok && slices.ContainsFunc(v, func(e any) bool { return named(e, rest) })
	case map[string]any:
		for name, e := range v {
			if rest, ok := strings.CutPrefix(path, "."+name); ok && named(e, rest) {
				return true
			}
		}
	}
	return false
}
