package matrix

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/account"
)

// junk is what programs and attackers send in the place of anything.
var junk = []any{
	nil, true, -1, 3.7, json.RawMessage("1e400"), json.RawMessage("99999999999999999999"), "", "a\x00b",
	"\u202ez\u0301\U0001F600", "'; DROP TABLE users; --", "../../etc/passwd", strings.Repeat("\u0301", 5000),
	[]any{},
	[]any{nil},
	map[string]any{},
	map[string]any{"__proto__": map[string]any{}},
}

// wholes are bodies that are wrong as a whole.
var wholes = []string{
	"", "null", "true", "[]", `""`, "{", "{}{}", "\x00", "\xff\xfe", `{"a":"\ud83d"}`, "{\"\xff\":1}",
	strings.Repeat("[", 10_000), strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000),
	strings.Repeat(" ", 2<<20), "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--",
}

var contentTypes = []string{"", "text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-16", "\\"}

var texts = []string{"", "0", "-1", "1e99", "99999999999999999999", "x\x00", "\xff", "%00", "é", "' OR 1=1 --", "../..", strings.Repeat("y", 3000)}

// F85: whatever is sent, the answer is a sentence about it and never our fault.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	operations := w.operations(t)
	as := w.signedIn(t, account.Local.User)
	for _, o := range operations {
		t.Run(o.ID, func(t *testing.T) {
			for _, r := range w.hostile(t, o) {
				if o.Policy.Who != "everyone" && !strings.Contains(o.Path, "sign-out") {
					r.as = as
				}
				w.survives(t, o, r)
			}
		})
	}
	for _, method := range []string{"TRACE", "OPTIONS", "PROPFIND", "HEAD", "QUERY"} {
		for path := range w.document.Paths {
			if a := w.ask(t, request{method: method, path: w.path(t, operation{ID: path, Path: path}, w.operator.ids), as: as}); a.status/100 == 5 {
				t.Errorf("%s %s: %d: %.300s", method, path, a.status, a.body)
			}
		}
	}
}

func (w *world) survives(t *testing.T, o operation, r request) {
	t.Helper()
	a := w.ask(t, r)
	if a.status >= 500 {
		t.Errorf("%s %.200s with %v %.200v %.100s: %d: %.300s", o.ID, r.path, r.header, r.body, deref(r.raw), a.status, a.body)
	}
	if a.status >= 400 {
		isProblem(t, o, a)
	}
}

func (w *world) hostile(t *testing.T, o operation) (all []request) {
	t.Helper()
	good := w.whole(t, o, &w.operator)
	for name := range w.operator.ids {
		if !strings.Contains(o.Path, "{"+name+"}") {
			continue
		}
		for _, text := range texts {
			r := good
			r.path = strings.Replace(o.Path, "{"+name+"}", url.PathEscape(text), 1)
			r.path = w.path(t, operation{ID: o.ID, Path: r.path}, w.operator.ids)
			all = append(all, r)
		}
	}
	path, _, _ := strings.Cut(good.path, "?")
	for _, p := range o.Parameters {
		for _, text := range texts {
			r := good
			switch {
			case p.In == "query":
				r.path = path + "?" + url.Values{p.Name: {text}}.Encode()
			case p.In == "header" && !strings.ContainsAny(text, "\x00"):
				r.header = map[string]string{p.Name: text}
			default:
				continue
			}
			all = append(all, r)
		}
	}
	if o.body() == nil {
		return all
	}
	for _, at := range append(objects(good.body, nil), leaves(good.body, nil)...) {
		for _, thing := range junk {
			r := good
			r.body = with(good.body, at, thing)
			all = append(all, r)
		}
	}
	for _, text := range wholes {
		r := good
		r.body, r.raw = nil, &text
		all = append(all, r)
	}
	encoded, _ := json.Marshal(good.body)
	for _, kind := range contentTypes {
		r := good
		text := string(encoded)
		r.body, r.raw, r.header = nil, &text, map[string]string{"Content-Type": kind}
		all = append(all, r)
	}
	if members, ok := good.body.(map[string]any); ok && len(members) > 0 { // each twice
		text := strings.TrimSuffix(string(encoded), "}") + "," + string(encoded[1:])
		r := good
		r.body, r.raw = nil, &text
		all = append(all, r)
	}
	return all
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
