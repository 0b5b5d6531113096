// Package livetest is what every live.Board must pass.
package livetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/live"
)

// patience is how long a change may take to be seen; generous, since emulators share the machine.
const patience = time.Minute

// Run tests the board that open gives; every call of open gives an empty one.
func Run(t *testing.T, open func(t *testing.T) live.Board) {
	for name, test := range map[string]func(*testing.T, live.Board){
		"the present state at once":   presentState,
		"changes in order":            changes,
		"the older version loses":     olderLoses,
		"concurrent versions":         concurrentVersions,
		"many watchers":               manyWatchers,
		"a slow watcher sees the end": slowWatcher,
		"the channel closes":          closes,
		"remove and come back":        removed,
		"documents do not mix":        apart,
		"odd ids":                     oddIDs,
		"too large":                   tooLarge,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func presentState(t *testing.T, b live.Board) {
	publish(t, b, "job_1", 3)
	d := await(t, watch(t, b, "job_1"), 3)
	if got := string(compact(t, d.Body)); got != `{"v":3}` || d.ID != "job_1" {
		t.Errorf("got %s %s", d.ID, got)
	}
}

func changes(t *testing.T, b live.Board) {
	news := watch(t, b, "job_1")
	for v := range int64(5) {
		publish(t, b, "job_1", v+1)
		await(t, news, v+1)
	}
}

func olderLoses(t *testing.T, b live.Board) {
	publish(t, b, "job_1", 5)
	publish(t, b, "job_1", 4)
	if err := b.Publish(t.Context(), live.Document{ID: "job_1", Version: 5, Body: json.RawMessage(`"other"`), Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if d := await(t, watch(t, b, "job_1"), 5); string(compact(t, d.Body)) != `{"v":5}` {
		t.Errorf("shown: %s", d.Body)
	}
}

func concurrentVersions(t *testing.T, b live.Board) {
	var group sync.WaitGroup
	for v := range int64(6) {
		group.Go(func() { publish(t, b, "job_1", v+1) })
	}
	group.Wait()
	await(t, watch(t, b, "job_1"), 6)
}

func manyWatchers(t *testing.T, b live.Board) {
	var all []<-chan live.Document
	for range 20 {
		all = append(all, watch(t, b, "job_1"))
	}
	publish(t, b, "job_1", 1)
	for _, news := range all {
		await(t, news, 1)
	}
}

func slowWatcher(t *testing.T, b live.Board) {
	news := watch(t, b, "job_1")
	for v := range int64(20) {
		publish(t, b, "job_1", v+1)
	}
	await(t, news, 20)
}

func closes(t *testing.T, b live.Board) {
	ctx, cancel := context.WithCancel(t.Context())
	news, err := b.Watch(ctx, "job_1")
	if err != nil {
		t.Fatal(err)
	}
	stays := watch(t, b, "job_1")
	cancel()
	deadline := time.After(patience)
	for open := true; open; {
		select {
		case _, open = <-news:
		case <-deadline:
			t.Fatal("the channel stays open")
		}
	}
	publish(t, b, "job_1", 1)
	await(t, stays, 1)
}

func removed(t *testing.T, b live.Board) {
	publish(t, b, "job_1", 7)
	for range 2 {
		if err := b.Remove(t.Context(), "job_1"); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, b, "job_1", 1)
	await(t, watch(t, b, "job_1"), 1)
}

func apart(t *testing.T, b live.Board) {
	news := watch(t, b, "job_1")
	publish(t, b, "job_2", 9)
	publish(t, b, "job_1", 1)
	if d := await(t, news, 1); d.ID != "job_1" {
		t.Errorf("heard of %s", d.ID)
	}
}

func oddIDs(t *testing.T, b live.Board) {
	for i, id := range []string{"a/b", "..", ".", "__x__", "ü %2F", strings.Repeat("x", 300)} {
		version := int64(i + 1)
		publish(t, b, id, version)
		if d := await(t, watch(t, b, id), version); d.ID != id {
			t.Errorf("%q came back as %q", id, d.ID)
		}
	}
}

func tooLarge(t *testing.T, b live.Board) {
	body := json.RawMessage(`"` + strings.Repeat("x", live.MaxBody) + `"`)
	if err := b.Publish(t.Context(), live.Document{ID: "job_1", Version: 1, Body: body}); !fault.Is(err, fault.TooLarge) {
		t.Errorf("got %v, want TooLarge", err)
	}
	if err := b.Publish(t.Context(), live.Document{Version: 1}); !fault.Is(err, fault.Invalid) {
		t.Errorf("no id: got %v, want Invalid", err)
	}
}

func publish(t *testing.T, b live.Board, id string, version int64) {
	t.Helper()
	err := b.Publish(t.Context(), live.Document{
		ID: id, Version: version, Body: fmt.Appendf(nil, `{"v":%d}`, version), Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Errorf("publish %s %d: %v", id, version, err)
	}
}

func watch(t *testing.T, b live.Board, id string) <-chan live.Document {
	t.Helper()
	news, err := b.Watch(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return news
}

// await reads until version comes; versions may be skipped but never go back.
func await(t *testing.T, news <-chan live.Document, version int64) live.Document {
	t.Helper()
	deadline := time.After(patience)
	last := int64(0)
	for {
		select {
		case d, open := <-news:
			if !open {
				t.Fatalf("closed before version %d", version)
			}
			if d.Version < last || d.Version > version {
				t.Fatalf("version %d after %d, waiting for %d", d.Version, last, version)
			}
			if last = d.Version; last == version {
				return d
			}
		case <-deadline:
			t.Fatalf("no version %d; last was %d", version, last)
		}
	}
}

func compact(t *testing.T, body json.RawMessage) []byte {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
