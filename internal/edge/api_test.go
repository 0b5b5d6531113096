package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/fault"
)

type thing struct {
	Title string `json:"title" maxLength:"5"`
}

// door lets in who says anything but the two words.
type door struct{}

func (door) Admit(r *http.Request, _ Policy) (context.Context, error) {
	switch r.Header.Get("Authorization") {
	case "", "wrong":
		return nil, fault.New(fault.Unauthenticated, "Sign in first.")
	case "weak":
		return nil, fault.New(fault.Denied, "This API credential may not do that.")
	}
	return r.Context(), nil
}

func (door) Hold(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}

func testAPI() http.Handler {
	api := NewAPI("Things", "All about things.", door{})
	type in struct {
		ID   string `path:"thing"`
		Body thing
	}
	type out struct{ Body thing }
	Register(api, Policy{Role: "learner", Scope: "things:write"}, huma.Operation{OperationID: "put-thing", Method: http.MethodPut, Path: "/v1/things/{thing}", Summary: "Put a thing"},
		func(_ context.Context, i *in) (*out, error) {
			if i.ID == "none" {
				return nil, fault.New(fault.NotFound, "There is no such thing.")
			}
			return &out{i.Body}, nil
		})
	RegisterStream(api, Policy{Role: "learner"}, huma.Operation{OperationID: "watch-thing", Method: http.MethodGet, Path: "/v1/things/{thing}/events", Summary: "Watch a thing"},
		map[string]any{"done": thing{}}, func(_ context.Context, i *struct {
			ID string `path:"thing"`
		},
		) (Producer, error) {
			if i.ID == "none" {
				return nil, fault.New(fault.NotFound, "There is no such thing.")
			}
			return func(_ context.Context, send func(Message) error) error {
				return send(Message{ID: "7", Event: "done", Data: thing{"a\nb"}})
			}, nil
		})
	return HTTP(api, Options{})
}

func send(t *testing.T, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "x")
	return call(t, testAPI(), r)
}

func TestAPITellsEveryErrorAsAProblem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"PUT", "/v1/things/1", `{"title":"abc"}`, 200},
		{"PUT", "/v1/things/none", `{"title":"abc"}`, 404},
		{"PUT", "/v1/things/1", `{"title":"too long"}`, 422},
		{"PUT", "/v1/things/1", `{"title":"a","more":1}`, 422},
		{"PUT", "/v1/things/1", `{`, 400},
		{"PUT", "/v1/things/1", ``, 400},
		{"PUT", "/v1/things/1", "{\"title\":\"\xff\"}", 400},
		{"PUT", "/v1/things/1", `{"title":"\ud83d"}`, 400},
		{"PUT", "/v1/things/1", `{"title":"` + strings.Repeat("x", 2<<20) + `"}`, 413},
		{"PUT", "/v1/things/1?surprise=1", `{"title":"a"}`, 422},
		{"PATCH", "/v1/things/1", `{}`, 405},
		{"GET", "/nowhere", "", 404},
		{"GET", "/v1/things/none/events", "", 404},
	} {
		w := send(t, c.method, c.path, c.body)
		if w.Code != c.want {
			t.Errorf("%s %s %.20s: %d, want %d: %.200s", c.method, c.path, c.body, w.Code, c.want, w.Body)
		}
		if c.want != 200 {
			problemIn(t, w)
		}
	}
	if w := call(t, testAPI(), httptest.NewRequest("PUT", "/v1/things/1", strings.NewReader(`{"title":"a"}`))); w.Code != 401 {
		t.Errorf("without a caller: %d", w.Code)
	}
	w := send(t, "PUT", "/v1/things/1", `{"title":"too long"}`)
	if p := problemIn(t, w); len(p.Errors) != 1 || p.Errors[0].Location != "body.title" || strings.Contains(w.Body.String(), "too long") {
		t.Errorf("%s", w.Body)
	}
}

// Huma's errors each hold the object they are about, and print it whole: thousands of
// wrong fields would cost their square.
func TestThousandsOfWrongFields(t *testing.T) {
	t.Parallel()
	fields := []string{`"title":"a"`}
	for i := range 20_000 {
		fields = append(fields, fmt.Sprintf(`"more%d":1`, i))
	}
	w := send(t, "PUT", "/v1/things/1", "{"+strings.Join(fields, ",")+"}")
	if p := problemIn(t, w); w.Code != 422 || len(p.Errors) != maxFields || w.Body.Len() > 100_000 {
		t.Errorf("%d, %d fields, %d bytes", w.Code, len(p.Errors), w.Body.Len())
	} else if logged := p.cause("", nil).Error(); strings.Count(logged, "unexpected") != maxLogged {
		t.Errorf("the log has %.500s", logged)
	}
}

type hiddenParameters struct {
	Organization string `query:"organization"`
}

// Huma passes over what an embedded type hides: its parameters would not be bound,
// nor checked. Such an operation is not registered.
func TestParametersAreNotHidden(t *testing.T) {
	t.Parallel()
	defer func() {
		if told, ok := recover().(string); !ok || !strings.Contains(told, "hiddenParameters of list") {
			t.Errorf("%v", told)
		}
	}()
	Register(NewAPI("x", "x", door{}), Policy{Everyone: true}, huma.Operation{OperationID: "list", Method: "GET", Path: "/v1/things"},
		func(context.Context, *struct{ hiddenParameters }) (*struct{}, error) { return nil, nil })
}

func TestOpenAPIDeclaresWhatCanHappen(t *testing.T) {
	t.Parallel()
	w := call(t, testAPI(), httptest.NewRequest("GET", "/openapi.json", nil))
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Responses map[string]struct{ Content map[string]any }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatalf("%v %q", err, doc.OpenAPI)
	}
	responses := doc.Paths["/v1/things/{thing}"]["put"].Responses
	for _, status := range []string{"200", "400", "401", "403", "404", "409", "413", "415", "422", "429", "500", "503"} {
		if _, ok := responses[status]; !ok {
			t.Errorf("%s is not declared", status)
		}
	}
	if _, ok := responses["404"].Content["application/problem+json"]; !ok {
		t.Error("errors are not declared as problems")
	}
	if _, ok := doc.Paths["/v1/things/{thing}/events"]["get"].Responses["200"].Content["text/event-stream"]; !ok {
		t.Error("the stream is not declared")
	}
	page := call(t, testAPI(), httptest.NewRequest("GET", "/docs", nil))
	if page.Code != 200 || !strings.Contains(page.Body.String(), "put-thing") || strings.Contains(page.Body.String(), "<script") {
		t.Errorf("docs: %d %.300s", page.Code, page.Body)
	}
}

func TestStreamWritesEvents(t *testing.T) {
	t.Parallel()
	w := send(t, "GET", "/v1/things/1/events", "")
	want := "retry: 1000\n\nid: 7\nevent: done\ndata: {\"title\":\"a\\nb\"}\n\n"
	if w.Body.String() != want || w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("%q %q", w.Body, w.Header())
	}
}

// Whatever text is in an event, a client reads back exactly it and no other event.
func TestEventsCannotBeForged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{
			"\n", "\r", "\r\n", "\n\nevent: done\ndata: 1\n\n", "\u2028", "\x00", "id: 3", ":", "é", "😀", "data",
		})).Draw(t, "parts"), "")
		b, err := Message{Event: "progress", Data: text}.encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		lines := slices.DeleteFunc(strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' || r == '\r' }), func(s string) bool { return s == "" })
		if len(lines) != 2 || lines[0] != "event: progress" {
			t.Fatalf("%q is read as %q", text, lines)
		}
		var got string
		if err := json.Unmarshal([]byte(strings.TrimPrefix(lines[1], "data: ")), &got); err != nil || got != text {
			t.Fatalf("sent %q, read %q (%v)", text, got, err)
		}
	})
	for _, name := range []string{"a\nb", "a\rb", "a\x00b"} {
		if _, err := (Message{Event: name}).encode(nil); err == nil {
			t.Errorf("the name %q was taken", name)
		}
		if _, err := (Message{ID: name}).encode(nil); err == nil {
			t.Errorf("the id %q was taken", name)
		}
	}
}

func TestLoneSurrogatesAreFound(t *testing.T) {
	t.Parallel()
	for text, lone := range map[string]bool{
		`"\ud83d\ude00"`: false, `"\ud83d"`: true, `"\ude00"`: true, `"\ud83dx"`: true, `"\ud83d\u0041"`: true,
		`"\\ud83d"`: false, `"\\\ud83d"`: true, `"\u0041"`: false, `"\ud83d\ud83d\ude00"`: true, `"plain"`: false, `"\`: false,
		`"\uD83D\uDE00\uD83D\uDE00"`: false,
	} {
		if hasLoneSurrogate([]byte(text)) != lone {
			t.Errorf("%s: want %v", text, lone)
		}
	}
}

// The examples of RFC 7396, appendix A, that begin with an object.
func TestPatchMergesByTheRFC(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		var target any
		if err := json.Unmarshal([]byte(c[0]), &target); err != nil {
			t.Fatal(err)
		}
		if err := (Patch[any]{json.RawMessage(c[1])}).Apply(&target); err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(target); string(got) != c[2] {
			t.Errorf("%s with %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}
