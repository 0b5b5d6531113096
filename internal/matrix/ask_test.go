package matrix

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// request is one try.
type request struct {
	method, path string
	as           string  // Authorization; "": nobody
	body         any     // JSON; nil: none
	raw          *string // a body as it is
	header       map[string]string
}

// answer is what came back, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// ask sends a request to the public server. Of a stream it reads the beginning.
func (w *world) ask(t *testing.T, r request) answer {
	t.Helper()
	return ask(t, w.URL(), r)
}

func ask(t *testing.T, base string, r request) answer {
	t.Helper()
	var body io.Reader
	if r.body != nil {
		encoded, err := json.Marshal(r.body)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(encoded)
	}
	if r.raw != nil {
		body = strings.NewReader(*r.raw)
	}
	q, err := http.NewRequestWithContext(t.Context(), r.method, base+r.path, body)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	if r.as != "" {
		q.Header.Set("Authorization", r.as)
	}
	for name, value := range r.header {
		q.Header.Set(name, value)
	}
	res, err := client.Do(q)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	defer func() { _ = res.Body.Close() }()
	a := answer{status: res.StatusCode, header: res.Header}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		first := make([]byte, 4096)
		n, _ := res.Body.Read(first)
		a.body = string(first[:n])
		return a
	}
	all, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	a.body = string(all)
	return a
}

// must is ask for what prepares a test.
func (w *world) must(t *testing.T, r request) answer {
	t.Helper()
	a := w.ask(t, r)
	if a.status/100 != 2 {
		t.Fatalf("%s %s: %d: %s", r.method, r.path, a.status, a.body)
	}
	return a
}

// anonymized is the body without what differs between any two answers.
func (a answer) anonymized() string {
	var p map[string]any
	if json.Unmarshal([]byte(a.body), &p) != nil {
		return a.body
	}
	delete(p, "request_id")
	encoded, _ := json.Marshal(p)
	return string(encoded)
}

func idOf(t *testing.T, a answer) string {
	t.Helper()
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || made.ID == "" {
		t.Fatalf("no id: %v: %.300s", err, a.body)
	}
	return made.ID
}
