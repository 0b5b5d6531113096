package edge

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/fault"
)

var anyone = CallersFunc(func(*http.Request) error { return nil })

func TestDeliveriesAreRetriedOnlyWhenItCanHelp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"nil":         {nil, 200},
		"internal":    {errors.New("x"), 500},
		"unavailable": {fault.New(fault.Unavailable, "x"), 503},
		"invalid":     {fault.New(fault.Invalid, "x"), 200},
		"not found":   {fault.New(fault.NotFound, "x"), 200},
		"conflict":    {fault.New(fault.Conflict, "x"), 200},
		"exhausted":   {fault.New(fault.Exhausted, "x"), 200},
	} {
		w := call(t, Task(anyone, func(context.Context, []byte) error { return c.err }), httptest.NewRequest("POST", "/", nil))
		if w.Code != c.want {
			t.Errorf("task %s: %d, want %d", name, w.Code, c.want)
		}
		if c.want == 503 && w.Header().Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
}

// Who may not call reaches nothing, whatever they send.
func TestPrivateIsForItsCallers(t *testing.T) {
	t.Parallel()
	reached := false
	for kind, want := range map[fault.Kind]int{fault.Unauthenticated: 401, fault.Denied: 403, fault.Unavailable: 503} {
		refuse := CallersFunc(func(*http.Request) error { return fault.New(kind, "No.") })
		for _, h := range []http.Handler{
			Task(refuse, func(context.Context, []byte) error { reached = true; return nil }),
			Private(refuse, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })),
		} {
			for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
				if w := call(t, h, httptest.NewRequest(method, "/", strings.NewReader("{}"))); w.Code != want || reached {
					t.Errorf("%s: %d, want %d; reached: %v", method, w.Code, want, reached)
				}
			}
		}
	}
}

func TestTaskGetsItsBodyWithinTheLimitAndPanicsAreRetried(t *testing.T) {
	t.Parallel()
	var got string
	h := Task(anyone, func(_ context.Context, body []byte) error { got = string(body); return nil })
	call(t, h, httptest.NewRequest("POST", "/", strings.NewReader(`{"job":"job_1"}`)))
	if got != `{"job":"job_1"}` {
		t.Errorf("got %q", got)
	}
	got = ""
	if w := call(t, h, httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", maxDelivery+1)))); w.Code != 200 || got != "" {
		t.Errorf("an oversize task: %d and a body of %d bytes; want it given up", w.Code, len(got))
	}
	if w := call(t, h, httptest.NewRequest("GET", "/", nil)); w.Code != 405 {
		t.Errorf("GET: %d", w.Code)
	}
	if w := call(t, Task(anyone, func(context.Context, []byte) error { panic("x") }), httptest.NewRequest("POST", "/", nil)); w.Code != 500 {
		t.Errorf("panic: %d", w.Code)
	}
}
