package courses

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"testing"

	"lectern.dev/lectern/internal/edge"
)

// A read may allocate so much and no more: who needs more says here why. A measured
// figure and its fifth are allowed.
func TestAllocationsOfARead(t *testing.T) { // not parallel: all of the process counts
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(edge.Logger(io.Discard, slog.LevelInfo, "demo"))
	h, _, paths := counted(t)
	for name, measured := range map[string]float64{"nothing": 64, "course": 252, "lesson": 212, "job": 132} {
		read := func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", paths[name], nil)) }
		ceiling := measured * 1.2
		least := testing.AllocsPerRun(100, read)
		for range 4 { // the pool's own work is counted with it
			if least > ceiling {
				least = min(least, testing.AllocsPerRun(100, read))
			}
		}
		if t.Logf("%s: %.0f allocations", name, least); least > ceiling {
			t.Errorf("to read %s allocates %.0f times, and did %.0f times when it was measured: find out what is new (go test -bench Get/%s -memprofile), or write the new figure here and say why it is worth it", name, least, measured, name)
		}
	}
}
