package render_test

import (
	"net/http"
	"strings"
	"testing"

	"lectern.dev/lectern/functions/render"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// Sentences and time are paid for; without budget the film waits, unharmed, and what
// was spoken already is not spoken again.
func TestFilmsArePaidFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write(t, "What a package is", "What it carries")
	db := pgtest.As(t, h.db, postgres.System)
	ledger, err := budget.Settings{
		Prices:     `{"hum": {"kind": "speech", "input": 10, "output": 0}, "studio": {"kind": "render", "input": 1}}`,
		HardMicros: 500,
	}.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	studio := film.New(film.Deps{
		Bucket: h.bucket, Speaker: budget.Speaker{Speaker: h.speaker, Ledger: ledger, Model: "hum"}, Encoder: h.encoder, TempDir: t.TempDir(),
	})
	h.Handler = render.New(render.Deps{
		Callers: edgetest.Anyone, DB: db, Queue: h.queue, Board: &live.Memory{}, Studio: studio,
		Meter: &budget.Meter{Ledger: ledger, Renderer: "studio", Processors: 2},
	})
	task := h.order(t)
	state := func(want job.State) {
		t.Helper()
		if j, err := job.Get(t.Context(), h.db, organization, task.Job); err != nil || j.State != want {
			t.Errorf("%+v, %v", j, err)
		}
	}
	if status := h.deliver(t, task); status != http.StatusOK {
		t.Errorf("the task of a job that waits is answered with %d", status)
	}
	state(job.Waiting)
	if step, _ := h.step(t, task); step != "queued" {
		t.Error(step)
	}
	said := len(h.speaker.Spoken())
	kept, err := h.bucket.List(t.Context(), "segments/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.SetLimits(t.Context(), organization, budget.Limits{Hard: 10_000}, "user_root"); err != nil {
		t.Fatal(err)
	}
	runner := &job.Runner{DB: db, Queue: h.queue, Board: &live.Memory{}}
	if n, err := runner.ResumeWaiting(t.Context(), ledger.Holds); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if status := h.deliver(t, task); status != http.StatusOK {
		t.Error(status)
	}
	if step, _ := h.step(t, task); step != "delivered" {
		t.Error(step)
	}
	characters := int64(0)
	for _, text := range h.speaker.Spoken() {
		characters += int64(len(text))
	}
	m, err := ledger.Month(t.Context(), organization)
	if err != nil || m.Reserved != 0 || m.Use[2].Input != characters || m.Use[3].Input == 0 || m.Spent != 10*characters+m.Use[3].Input {
		t.Errorf("%d sentences before, %d in all, %d characters: %+v, %v", said, len(h.speaker.Spoken()), characters, m, err)
	}
	// A sentence that was kept is not spoken, or paid, again. Two slides say the same
	// two sentences at the same time.
	spoken := 0
	for _, object := range kept {
		if strings.HasSuffix(object.Key, ".wav") {
			spoken++
		}
	}
	if again := len(h.speaker.Spoken()) - said; again > 2*(2-spoken) {
		t.Errorf("%d sentences were kept, and %d spoken then: %q", spoken, again, h.speaker.Spoken())
	}
}
