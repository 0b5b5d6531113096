package matrix

import (
	"net/url"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/account"
)

// whole is a request for the operation that nothing is wrong with, about what
// belongs to h.
func (w *world) whole(t *testing.T, o operation, h *tenant) request {
	t.Helper()
	r := request{method: o.Method, path: w.path(t, o, h.ids), body: w.bodyOf(o, h)}
	query := url.Values{}
	for _, p := range o.Parameters {
		if p.In == "query" && p.Required {
			query.Set(p.Name, text(w.document.resolve(p.Schema)))
		}
	}
	if len(query) > 0 {
		r.path += "?" + query.Encode()
	}
	return r
}

func (w *world) path(t *testing.T, o operation, ids map[string]string) string {
	t.Helper()
	path := o.Path
	for name, id := range ids {
		path = strings.ReplaceAll(path, "{"+name+"}", id)
	}
	if strings.Contains(path, "{") {
		t.Fatalf("%s: nothing is known to put into %s", o.ID, path)
	}
	return path
}

// bodyOf is a valid body. Where the schema alone does not say what is valid, it is
// given here.
func (w *world) bodyOf(o operation, h *tenant) any {
	s := o.body()
	if s == nil {
		return nil
	}
	if special, ok := bodies[o.ID]; ok {
		return special(h)
	}
	return w.document.value(s)
}

var bodies = map[string]func(h *tenant) any{
	"set-outline": func(h *tenant) any {
		return map[string]any{"modules": []any{map[string]any{"id": h.ids["module"], "lessons": []any{h.ids["lesson"]}}}}
	},
	"set-slides":        func(*tenant) any { return map[string]any{"items": []any{slide("x")}} },
	"create-credential": func(*tenant) any { return map[string]any{"label": "x", "scopes": []any{account.Chat}} },
	"sign-up":           func(h *tenant) any { return newcomer(h.name + "@example.com") },
	"update-slide":      func(*tenant) any { return map[string]any{"title": "x"} },
	"set-questions":     func(*tenant) any { return map[string]any{"items": []any{question("x")}} },
	"create-session": func(h *tenant) any {
		return map[string]any{"course": h.ids["course"], "lesson": h.ids["lesson"], "task": "tutor", "title": "x"}
	},
	"send-message": func(h *tenant) any {
		return map[string]any{"content": "x", "parent": h.ids["answer"], "task": "tutor", "max_tokens": 10}
	},
	"create-task": func(*tenant) any {
		return map[string]any{"task": "socratic", "title": "x", "instructions": "x"}
	},
	"create-completion": func(*tenant) any {
		return map[string]any{"model": "lectern", "messages": []any{map[string]any{"role": "user", "content": "x"}}}
	},
}

// unknown are ids of the same form that nothing has.
func unknown(ids map[string]string) map[string]string {
	out := map[string]string{}
	for name, id := range ids {
		last := byte('0')
		if id[len(id)-1] == last {
			last = '1'
		}
		out[name] = id[:len(id)-1] + string(last)
	}
	return out
}

func newcomer(email string) map[string]any {
	return map[string]any{"email": email, "password": wellKnown["password"], "name": "Somebody", "organization": "Somewhere"}
}
