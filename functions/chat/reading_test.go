package chat

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tmaxmax/go-sse"

	"lectern.dev/lectern/internal/edge/edgetest"
)

// reading is a stream over a real connection.
type reading struct {
	*http.Response
	t      testing.TB
	events chan event // closed at its end
	leave  context.CancelFunc
}

// open begins to read a stream of the handler at base.
func open(t testing.TB, base, method, path string, body any, headers ...string) *reading {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	q := edgetest.Request(t, method, base+path, body, headers...).WithContext(ctx)
	q.RequestURI = ""
	response, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	r := &reading{response, t, make(chan event), cancel}
	t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != 200 {
		return r
	}
	go func() {
		defer close(r.events)
		for e, err := range sse.Read(response.Body, nil) {
			if err != nil {
				return
			}
			select {
			case r.events <- event{e.LastEventID, e.Type, e.Data}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return r
}

// next gives the next event; ok is false when the stream has ended.
func (r *reading) next() (e event, ok bool) {
	r.t.Helper()
	select {
	case e, ok = <-r.events:
		return e, ok
	case <-time.After(time.Minute):
		r.t.Fatal("no event within a minute")
	}
	return e, ok
}

// until reads up to the first event of a name, that one included.
func (r *reading) until(name string) (all []event) {
	r.t.Helper()
	for {
		e, ok := r.next()
		if !ok {
			r.t.Fatalf("the stream ended before %s: %+v", name, all)
		}
		all = append(all, e)
		if e.name == name {
			return all
		}
	}
}

// rest reads to the end.
func (r *reading) rest() (all []event) {
	r.t.Helper()
	for {
		e, ok := r.next()
		if !ok {
			return all
		}
		all = append(all, e)
	}
}

// listen serves the handler over TCP.
func (r *rig) listen() string {
	server := httptest.NewServer(r.Handler)
	r.t.Cleanup(server.Close)
	r.t.Cleanup(server.CloseClientConnections)
	return server.URL
}
