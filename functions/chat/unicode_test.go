package chat

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
)

// texts are what people paste and attackers send, as they stand in JSON: a lone
// surrogate as an escape, bytes that are no UTF-8 as they are.
var texts = map[string]string{
	"plain":                 `en`,
	"NUL":                   `a\u0000b`,
	"lone high surrogate":   `a\ud83db`,
	"lone low surrogate":    `a\udc00b`,
	"surrogates reversed":   `\ude00\ud83d`,
	"invalid UTF-8":         "a\xffb",
	"cut UTF-8":             "a\xf0\x9f\x98",
	"overlong":              "a\xc0\xaf",
	"surrogate as UTF-8":    "a\xed\xa0\x80",
	"beyond Unicode":        "a\xf4\x90\x80\x80",
	"combining marks":       "a" + strings.Repeat("\u0301", 30),
	"a megabyte of marks":   "a" + strings.Repeat("\u0301", 1<<19),
	"ZWJ":                   "👩‍👩‍👧‍👦",
	"bidi":                  "a\u202eb\u2066c",
	"byte order mark":       "\ufeffa",
	"line separators":       "a\u2028b\u2029c",
	"line breaks":           `a\r\nb\rc\n\nd`,
	"an event":              `\n\nevent: done\ndata: {}\n\n`,
	"not composed":          "e\u0301",
	"composed":              "\u00e9",
	"noncharacters":         "a\uffffb\U0010ffff",
	"emoji as escapes":      `\ud83d\ude00`,
	"controls":              "a\\u0001\\u001b[31mb\\u007f\u0085c",
	"backslash u":           `a\\u0000b`,
	"quotes":                `'; -- \" $1 %s {x} \\`,
	"ideographs and rtl":    "日本語 العربية हिन्दी ไทย",
	"white space of a kind": "a\u00a0\u3000b",
}

// F90: whatever text comes, in any field that people write, it is kept and shown exactly,
// through Postgres and the stream, or refused with a reason before a stream begins.
func TestEveryTextIsKeptExactlyOrRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	kept, refused := 0, 0
	for name, text := range texts {
		ses := r.session()
		var want string
		if err := json.Unmarshal([]byte(`"`+text+`"`), &want); err != nil {
			want = ""
		}
		valid := utf8.ValidString(text) && !strings.Contains(name, "urrogate") && name != "NUL" && !strings.Contains(name, "megabyte")
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
