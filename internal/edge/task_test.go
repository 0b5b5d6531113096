package edge

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"lectern.dev/lectern/internal/fault"
)

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
		w := call(t, Task(func(context.Context, []byte) error { return c.err }), httptest.NewRequest("POST", "/", nil))
		if w.Code != c.want {
			t.Errorf("task %s: %d, want %d", name, w.Code, c.want)
		}
		w = call(t, Event(func(context.Context, event.Event) error { return c.err }), sampleEvent())
		if w.Code != c.want {
			t.Errorf("event %s: %d, want %d", name, w.Code, c.want)
		}
		if c.want == 503 && w.Header().Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
}

func TestTaskGetsItsBodyWithinTheLimitAndPanicsAreRetried(t *testing.T) {
	t.Parallel()
	var got string
	h := Task(func(_ context.Context, body []byte) error { got = string(body); return nil })
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
	if w := call(t, Task(func(context.Context, []byte) error { panic("x") }), httptest.NewRequest("POST", "/", nil)); w.Code != 500 {
		t.Errorf("panic: %d", w.Code)
	}
}

const objectJSON = `{"kind":"storage#object","id":"demo-media/uploads/u1/a.jpg/1729000000123456","name":"uploads/u1/a.jpg","bucket":"demo-media","generation":"1729000000123456","metageneration":"1","contentType":"image/jpeg","timeCreated":"2026-11-22T03:00:00.123Z","updated":"2026-11-22T03:00:00.123Z","storageClass":"STANDARD","size":"352","md5Hash":"xrX0h3SqCoeoKidv+GvlBw==","metadata":{"ride":"r1"},"crc32c":"AAAAAA==","etag":"CMCVs5KxkYkDEAE="}`

// sampleEvent is what Eventarc delivers for Cloud Storage, header by header.
func sampleEvent() (r *http.Request) {
	r = httptest.NewRequest("POST", "/", strings.NewReader(objectJSON))
	for k, v := range map[string]string{
		"Content-Type": "application/json", "ce-id": "9876543210", "ce-specversion": "1.0",
		"ce-type":   "google.cloud.storage.object.v1.finalized",
		"ce-source": "//storage.googleapis.com/projects/_/buckets/demo-media", "ce-subject": "objects/uploads/u1/a.jpg",
		"ce-time": "2026-11-22T03:00:00.123456Z", "ce-bucket": "demo-media",
	} {
		r.Header.Set(k, v)
	}
	return r
}

func TestEventReadsBothModes(t *testing.T) {
	t.Parallel()
	structured := httptest.NewRequest("POST", "/", strings.NewReader(`{"specversion":"1.0","id":"1","source":"//storage","type":"`+FinalizedType+`","datacontenttype":"application/json","data":`+objectJSON+`}`))
	structured.Header.Set("Content-Type", "application/cloudevents+json")
	for name, r := range map[string]*http.Request{"binary": sampleEvent(), "structured": structured} {
		var got ObjectFinalized
		w := call(t, Event(func(_ context.Context, e event.Event) (err error) {
			got, err = Finalized(e)
			return err
		}), r)
		if w.Code != 200 || got.Bucket != "demo-media" || got.Name != "uploads/u1/a.jpg" ||
			got.Generation != 1729000000123456 || got.Size != 352 || got.Metadata["ride"] != "r1" {
			t.Errorf("%s: %d %+v", name, w.Code, got)
		}
	}
}

func TestPoisonEventsAreAcknowledged(t *testing.T) {
	t.Parallel()
	called := false
	h := Event(func(_ context.Context, e event.Event) error {
		called = true
		_, err := Finalized(e)
		return err
	})
	if w := call(t, h, httptest.NewRequest("POST", "/", strings.NewReader("{}"))); w.Code != 200 || called {
		t.Errorf("no CloudEvent: %d, handler called: %v", w.Code, called)
	}
	for _, body := range []string{"{", "{}", `{"name":"x","bucket":"b","generation":12}`, `{"name":"x","bucket":"b","generation":"0"}`} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header = sampleEvent().Header
		if w := call(t, h, r); w.Code != 200 {
			t.Errorf("%s: %d", body, w.Code)
		}
	}
}
