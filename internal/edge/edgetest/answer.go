package edgetest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// Request makes a request; body is marshalled unless it is a string, headers come in
// pairs.
func Request(t testing.TB, method, path string, body any, headers ...string) *http.Request {
	t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	q := httptest.NewRequest(method, path, reader)
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	return q
}

// Answer is a response that has been read to its end.
type Answer struct {
	*httptest.ResponseRecorder
	t testing.TB
}

// Send has a handler answer.
func Send(t testing.TB, h http.Handler, q *http.Request) Answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q)
	return Answer{w, t}
}

// Want fails unless the status is this one.
func (a Answer) Want(status int) Answer {
	a.t.Helper()
	if a.Code != status {
		a.t.Fatalf("status %d, want %d: %.2000s", a.Code, status, a.Body)
	}
	return a
}

// WantThrottled fails unless who asks is told to come again, within an hour.
func (a Answer) WantThrottled() {
	a.t.Helper()
	a.Want(http.StatusTooManyRequests)
	if seconds, err := strconv.Atoi(a.Header().Get("Retry-After")); err != nil || seconds < 1 || seconds > 3600 {
		a.t.Fatalf("Retry-After: %q", a.Header().Get("Retry-After"))
	}
}

// Into decodes the body.
func Into[T any](a Answer) T {
	a.t.Helper()
	return Decode[T](a.t, a.Body.String())
}

// Decode reads a value from JSON.
func Decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %.2000s", err, text)
	}
	return v
}
