package render

import (
	"context"
	"errors"
	"net/http"
	"runtime"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/espeak"
	"lectern.dev/lectern/internal/ffmpeg"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/gcp/gcs"
	"lectern.dev/lectern/internal/gcp/tasks"
	"lectern.dev/lectern/internal/openai"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/speech"
	"lectern.dev/lectern/internal/speech/traced"
)

// Build makes the production handler; every wrong setting is reported at once.
func Build(ctx context.Context) (http.Handler, error) {
	var c Config
	if err := edge.Load(ctx, &c); err != nil {
		return nil, err
	}
	work, err1 := c.Worker.Open(ctx, map[queue.Target]tasks.Function{queue.Render: {URL: c.RenderURL, Deadline: tasks.Longest}})
	bucket, err2 := gcs.Open(ctx, gcs.Config{Bucket: c.Bucket})
	ledger, err3 := c.Budget.Open(work.DB)
	tracing, err4 := c.Telemetry.Open(ctx, "render")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	speaker, err := NewSpeaker(c.OpenAI, ledger)
	if err != nil {
		return nil, err
	}
	studio := film.New(film.Deps{Bucket: bucket, Speaker: speaker, Encoder: ffmpeg.Encoder{}, TempDir: c.TempDir})
	return edge.Traced(edge.Tracing(tracing), New(Deps{Callers: work.Callers, DB: work.DB, Queue: work.Queue, Board: work.Board, Studio: studio, Meter: NewMeter(ledger)})), nil
}

// NewSpeaker gives the voice that the settings name: a server's, else espeak-ng's. Its
// sentences are paid for from the ledger; a voice without a price is refused.
func NewSpeaker(o OpenAI, ledger *budget.Ledger) (speech.Speaker, error) {
	paid := budget.Speaker{Speaker: espeak.Speaker{}, Ledger: ledger, Model: "espeak-ng"}
	if o.SpeechModel != "" {
		server, err := openai.New(openai.Config{BaseURL: o.BaseURL, APIKey: o.APIKey, SpeechModel: o.SpeechModel})
		if err != nil {
			return nil, err
		}
		paid.Speaker, paid.Model = openai.Speaker{Server: server}, o.SpeechModel
	}
	paid.Speaker = traced.Speaker{Speaker: paid.Speaker}
	_, err := ledger.Prices.Of(budget.Speech, paid.Model)
	return paid, err
}

// NewMeter pays for the time of an instance's processors.
func NewMeter(ledger *budget.Ledger) *budget.Meter {
	return &budget.Meter{Ledger: ledger, Renderer: "cloud-run", Processors: runtime.GOMAXPROCS(0)}
}
