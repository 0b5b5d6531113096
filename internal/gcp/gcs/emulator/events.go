package emulator

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Events say who hears of new objects.
type Events struct {
	// URL gets each event as a POST; empty: nobody hears.
	URL string
	// Client makes the requests; nil: http.DefaultClient. See dispatch.Client for a handler in this process.
	Client *http.Client
	// FirstRetry is the pause after the first failed delivery; it doubles up to
	// 60 times itself. 0: one second (Eventarc: 10 s to 600 s).
	FirstRetry time.Duration
	// Plan decides, for tests, after which delays the copies of an event go out:
	// none loses it, two duplicate it, unequal ones reorder. nil: one, at once.
	Plan func(Event) []time.Duration
}

// Event is what Plan sees.
type Event struct {
	ID         string
	Object     string // key
	Generation int64
}

const (
	ackDeadline = 10 * time.Second // of Pub/Sub, which carries the events: the handler answers within it or gets it again
	retention   = 24 * time.Hour   // then an event is dropped
)

// deliverer sends events, at least once each and in no order.
type deliverer struct {
	events Events
	ctx    context.Context // ends with close
	cancel context.CancelFunc
	flying sync.WaitGroup
	mu     sync.Mutex // guards closed against flying.Add after Wait
	closed bool
}

func newDeliverer(events Events) *deliverer {
	if events.Client == nil {
		events.Client = http.DefaultClient
	}
	if events.FirstRetry == 0 {
		events.FirstRetry = time.Second
	}
	if events.Plan == nil {
		events.Plan = func(Event) []time.Duration { return []time.Duration{0} }
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &deliverer{events: events, ctx: ctx, cancel: cancel}
}

func (d *deliverer) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	d.flying.Wait()
}

func (d *deliverer) announce(o object) {
	if d.events.URL == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	event := o.event()
	for _, delay := range d.events.Plan(event) {
		d.flying.Go(func() { d.deliver(event, o, delay) })
	}
}

// deliver tries until the event is acknowledged.
func (d *deliverer) deliver(event Event, o object, delay time.Duration) {
	pause := d.events.FirstRetry
	for begin := time.Now(); time.Since(begin) < retention+delay; {
		select {
		case <-d.ctx.Done():
			return
		case <-time.After(delay):
		}
		err := d.post(event, o)
		if err == nil || d.ctx.Err() != nil {
			return
		}
		slog.Warn("an object event was not taken; it comes again", "object", event.Object, "error", err, "pause_seconds", pause.Seconds())
		delay, pause = pause, min(2*pause, 60*d.events.FirstRetry)
	}
}

// post sends the event in the binary mode of CloudEvents over HTTP.
func (d *deliverer) post(event Event, o object) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(d.ctx, ackDeadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.events.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"Content-Type":   "application/json",
		"Ce-Id":          event.ID,
		"Ce-Specversion": "1.0",
		"Ce-Type":        "google.cloud.storage.object.v1.finalized",
		"Ce-Source":      "//storage.googleapis.com/projects/_/buckets/" + o.text("bucket"),
		"Ce-Subject":     "objects/" + event.Object,
		"Ce-Time":        o.text("updated"),
		"Ce-Bucket":      o.text("bucket"),
	} {
		req.Header.Set(name, value)
	}
	res, err := d.events.Client.Do(req)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("it answered %s", res.Status)
	}
	return nil
}

// object is an object resource; its 64-bit numbers are strings, as in the real JSON.
type object map[string]any

func (o object) text(name string) string {
	s, _ := o[name].(string)
	return s
}

// event makes the resource look as the service sends it, and gives it an id.
func (o object) event() Event {
	generation, _ := strconv.ParseInt(o.text("generation"), 10, 64)
	maps.DeleteFunc(o, func(name string, _ any) bool { return name == "acl" || name == "timeDeleted" })
	o["id"] = fmt.Sprintf("%s/%s/%d", o.text("bucket"), o.text("name"), generation)
	return Event{ID: rand.Text(), Object: o.text("name"), Generation: generation}
}
