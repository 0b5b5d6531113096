package edge

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The paths that everything takes may allocate so much and no more: what one of them
// allocates is paid for with every request, word and task. Who needs more says here why;
// a measured figure, with the race detector, and its fifth are allowed.
func TestAllocationsOfEveryPath(t *testing.T) { // not parallel: all of the process counts
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(Logger(io.Discard, slog.LevelInfo, "demo"))
	discarded := discard{http.Header{}}

	task := Task(anyone, func(context.Context, []byte) error { return nil })
	get := healthz(http.NotFoundHandler())
	within(t, "a request that nothing is done for", 12, func() { get.ServeHTTP(discarded, httptest.NewRequest("GET", "/nothing", nil)) })
	within(t, "a task that does nothing", 70, func() {
		task.ServeHTTP(discarded, httptest.NewRequest("POST", "/", strings.NewReader(`{"job":"job_1"}`)))
	})
	Stream(&deadlines{discard: discarded}, httptest.NewRequest("GET", "/", nil), func(_ context.Context, send func(Message) error) error {
		word := Message{ID: "msg_06fz3qk8v0g1m2n4p5r6s7t8.17", Event: "delta", Data: json.RawMessage(`{"text":"some words of an answer"}`)}
		within(t, "a word of a stream", 0, func() { _ = send(word) })
		return nil
	})
}

// within runs f a hundred times, and again where something else of the process was counted.
func within(t *testing.T, what string, measured float64, f func()) {
	t.Helper()
	ceiling := measured + max(1, measured/5)
	least := testing.AllocsPerRun(100, f)
	for range 4 {
		if least > ceiling {
			least = min(least, testing.AllocsPerRun(100, f))
		}
	}
	if t.Logf("%s: %.0f allocations", what, least); least > ceiling {
		t.Errorf("%s allocates %.0f times, and did %.0f times when it was measured: find out what is new (go test -bench -memprofile), or write the new figure here and say why it is worth it", what, least, measured)
	}
}
