package chat

import (
	"strings"
	"testing"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
)

// F90: whatever text comes, in any field that people write, it is kept and shown exactly,
// through Postgres and the stream, or refused with a reason before a stream begins.
func TestEveryTextIsKeptExactlyOrRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	kept, refused := 0, 0
	for name, text := range edgetest.Texts {
		ses := r.session()
		want, valid := edgetest.Meant(text)
		valid = valid && len(text) < 1<<19
		r.model.says(words(want)) // the model says it, too
		for _, try := range []struct{ method, path, body string }{
			{"POST", "/v1/chat/sessions/" + ses + "/messages", `{"content": "§"}`},
			{"POST", "/v1/chat/sessions", `{"title": "§"}`},
			{"PATCH", "/v1/chat/sessions/" + ses, `{"title": "§"}`},
			{"POST", "/v1/chat/tasks", `{"task": "own", "title": "§", "instructions": "x"}`},
			{"POST", "/v1/chat/tasks", `{"task": "own", "title": "x", "instructions": "§"}`},
		} {
			a := r.do(try.method, try.path, strings.Replace(try.body, "§", text, 1))
			switch {
			case a.Code < 300 && !valid:
				t.Errorf("%s %s: %s is taken, though it is no text", try.method, try.path, name)
			case a.Code < 300 && strings.HasSuffix(try.path, "/messages"):
				kept++
				all := told(t, a.Body)
				if got := last(t, all); got.Content != want || textOf(t, all) != want {
					t.Errorf("%s: the model said %q, told %q, kept %q", name, want, textOf(t, all), got.Content)
				}
				rows := edgetest.Into[edge.List[conversation.Message]](r.do("GET", try.path, nil).Want(200)).Items
				if rows[0].Content != want {
					t.Errorf("%s: sent %q, kept %q", name, want, rows[0].Content)
				}
			case a.Code < 300:
				kept++
				if !strings.Contains(unescaped(t, a.Body.String()), want) {
					t.Errorf("%s %s: sent %q, shown %s", try.method, try.path, want, a.Body)
				}
			case a.Code != 400 && a.Code != 413 && a.Code != 422 || valid:
				t.Errorf("%s %s: %s gets %d: %.300s", try.method, try.path, name, a.Code, a.Body)
			default:
				refused++
			}
		}
	}
	if kept < 60 || refused < 40 {
		t.Errorf("kept %d, refused %d", kept, refused)
	}
}

// textOf is text, under a name that a variable does not hide.
func textOf(t testing.TB, all []event) string { return text(t, all) }

// unescaped joins the texts of a JSON object.
func unescaped(t testing.TB, body string) string {
	t.Helper()
	var all []string
	for _, v := range edgetest.Decode[map[string]any](t, body) {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return strings.Join(all, "\x00")
}
