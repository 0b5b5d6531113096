// Package cloudevent serves CloudEvents. It lies apart from edge because the
// CloudEvents SDK is large, and one function of all receives events.
package cloudevent

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/trail"
)

// FinalizedType is the type of the event that Cloud Storage sends when an object
// is complete.
const FinalizedType = "google.cloud.storage.object.v1.finalized"

// ObjectFinalized is the data of such an event: the object as Cloud Storage's JSON
// API shows it, whose 64-bit numbers are strings.
// https://cloud.google.com/storage/docs/json_api/v1/objects
type ObjectFinalized struct {
	Bucket         string            `json:"bucket"`
	Name           string            `json:"name"`
	Generation     int64             `json:"generation,string"` // rises with every overwrite of the name
	Metageneration int64             `json:"metageneration,string"`
	ContentType    string            `json:"contentType"`
	Size           int64             `json:"size,string"` // bytes
	CRC32C         string            `json:"crc32c"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	TimeCreated    time.Time         `json:"timeCreated"`
}

// Finalized reads the object out of an event; Invalid when the event is another one.
func Finalized(e event.Event) (ObjectFinalized, error) {
	var o ObjectFinalized
	if e.Type() != FinalizedType {
		return o, fault.New(fault.Invalid, "The event %q is not %q.", e.Type(), FinalizedType)
	}
	if err := e.DataAs(&o); err != nil {
		return o, fault.Wrap(fault.Invalid, err, "The event holds no Cloud Storage object.")
	}
	if o.Bucket == "" || o.Name == "" || o.Generation <= 0 {
		return o, fault.New(fault.Invalid, "The event names no bucket, object or generation.")
	}
	return o, nil
}

// Handler serves CloudEvents in binary and structured mode. The platform delivers
// an event again, for 24 hours, unless it is answered 2xx, so errors behave as in
// edge.Task: only Internal and Unavailable are delivered again.
//
// An event of the platform's own comes with headers that know nothing of the work that
// caused it: whence, unless nil, finds the trail in what the event is about.
func Handler(callers edge.Callers, whence func(ctx context.Context, e event.Event) trail.Trail, handle func(ctx context.Context, e event.Event) error) http.Handler {
	return edge.Delivery(callers, func(r *http.Request, body []byte) error {
		r.Body = io.NopCloser(bytes.NewReader(body))
		e, err := cehttp.NewEventFromHTTPRequest(r)
		if err == nil {
			err = e.Validate()
		}
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "The delivery is not a CloudEvent.")
		}
		var t trail.Trail
		if whence != nil {
			t = whence(r.Context(), *e)
		}
		return handle(edge.Follow(r.Context(), t), *e)
	})
}
