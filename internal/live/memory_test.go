package live_test

import (
	"errors"
	"testing"

	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/live/livetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	livetest.Run(t, func(*testing.T) live.Board { return new(live.Memory) })
}

func TestMemoryFails(t *testing.T) {
	t.Parallel()
	var m live.Memory
	down := errors.New("down")
	m.Fail(down)
	if err := m.Publish(t.Context(), live.Document{ID: "job_1", Version: 1}); !errors.Is(err, down) {
		t.Errorf("publish: %v", err)
	}
	if _, err := m.Watch(t.Context(), "job_1"); !errors.Is(err, down) {
		t.Errorf("watch: %v", err)
	}
}
