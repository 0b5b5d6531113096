package edge

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestHostileBodiesAreRefused(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a name twice":        `{"title":"a","title":"b"}`,
		"a name twice, coded": `{"title":"a","\u0074itle":"b"}`,
		"another case":        `{"Title":"a"}`,
		"10,000 lists":        `{"title":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`,
		"10,000 objects":      strings.Repeat(`{"title":`, 10_000) + `1` + strings.Repeat("}", 10_000),
		"open lists":          strings.Repeat("[", 500_000),
		"65 lists":            `{"title":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
		"a huge number":       `{"title":1e999}`,
		"a long number":       `{"title":` + strings.Repeat("9", 100_000) + `}`,
		"null":                `null`,
		"a list":              `[]`,
		"a number":            `7`,
		"two values":          `{"title":"a"}{"title":"b"}`,
		"a comment":           `{"title":"a"/**/}`,
		"a byte order mark":   "\ufeff" + `{"title":"a"}`,
		"NaN":                 `{"title":NaN}`,
		"UTF-16":              "{\x00}\x00",
	} {
		w := send(t, "PUT", "/v1/things/1", body)
		if w.Code != 400 && w.Code != 422 {
			t.Errorf("%s: %d %.200s", name, w.Code, w.Body)
		}
		problemIn(t, w)
	}
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/cbor", "application/xml", "x", "text/plain; application/json", "\x00"} {
		r := httptest.NewRequest("PUT", "/v1/things/1", strings.NewReader(`{"title":"a"}`))
		r.Header.Set("Authorization", "x")
		r.Header.Set("Content-Type", contentType)
		if w := call(t, testAPI(), r); w.Code != 415 {
			t.Errorf("%q: %d %s", contentType, w.Code, w.Body)
		}
	}
	for _, method := range []string{"TRACE", "CONNECT", "PROPFIND", "SURPRISE", "get", "HEAD", strings.Repeat("A", 5000)} {
		r := httptest.NewRequest("PUT", "/v1/things/1", nil)
		r.Method = method
		if w := call(t, testAPI(), r); w.Code != 405 || w.Header().Get("Allow") == "" {
			t.Errorf("%.20s: %d", method, w.Code)
		}
	}
}

// Names are counted alike in the text and in what it means, so that only a name that
// stands twice makes a difference.
func TestOnlyNamesThatStandTwiceAreRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var value func(depth int) string
		value = func(depth int) string {
			text, _ := json.Marshal(rapid.StringOf(rapid.SampledFrom([]rune(`{}[]:",\ é😀`))).Draw(rt, "text"))
			kind := rapid.IntRange(0, 3).Draw(rt, "kind")
			if depth == 0 || kind < 2 {
				return string(text)
			}
			var parts []string
			for i := range rapid.IntRange(0, 4).Draw(rt, "members") {
				if kind == 2 {
					parts = append(parts, value(depth-1))
				} else {
					name, _ := json.Marshal(fmt.Sprint(i, string(text)))
					parts = append(parts, string(name)+" : "+value(depth-1))
				}
			}
			if kind == 2 {
				return "[" + strings.Join(parts, ",") + "]"
			}
			return "{" + strings.Join(parts, " ,\n") + "}"
		}
		text := value(5)
		var v any
		if err := strictJSON.Unmarshal([]byte(text), &v); err != nil {
			rt.Fatalf("%s: %v", text, err)
		}
		if err := strictJSON.Unmarshal([]byte(`{"a:":`+text+`,"b":1,"a:":2}`), &v); err == nil {
			rt.Fatalf("a name stands twice beside %s", text)
		}
	})
}

func TestDepthIsBounded(t *testing.T) {
	t.Parallel()
	for depth, taken := range map[int]bool{maxDepth: true, maxDepth + 1: false} {
		var v any
		err := strictJSON.Unmarshal([]byte(strings.Repeat("[", depth)+`"[[{{"`+strings.Repeat("]", depth)), &v)
		if (err == nil) != taken {
			t.Errorf("%d levels: %v", depth, err)
		}
	}
}
