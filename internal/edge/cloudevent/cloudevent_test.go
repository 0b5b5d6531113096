package cloudevent

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
)

var anyone = edge.CallersFunc(func(*http.Request) error { return nil })

func call(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// What is done with an error is edge's table: see the test of edge.Task.
func TestErrorsGoThroughTheTable(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]int{nil: 200, fault.New(fault.Unavailable, "x"): 503, fault.New(fault.Conflict, "x"): 200} {
		if w := call(Handler(anyone, nil, func(context.Context, event.Event) error { return err }), sampleEvent()); w.Code != want {
			t.Errorf("%v: %d, want %d", err, w.Code, want)
		}
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
		w := call(Handler(anyone, nil, func(_ context.Context, e event.Event) (err error) {
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
	h := Handler(anyone, nil, func(_ context.Context, e event.Event) error {
		called = true
		_, err := Finalized(e)
		return err
	})
	if w := call(h, httptest.NewRequest("POST", "/", strings.NewReader("{}"))); w.Code != 200 || called {
		t.Errorf("no CloudEvent: %d, handler called: %v", w.Code, called)
	}
	for _, body := range []string{"{", "{}", `{"name":"x","bucket":"b","generation":12}`, `{"name":"x","bucket":"b","generation":"0"}`} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header = sampleEvent().Header
		if w := call(h, r); w.Code != 200 {
			t.Errorf("%s: %d", body, w.Code)
		}
	}
}
