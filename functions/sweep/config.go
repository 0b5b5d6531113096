package sweep

import (
	"time"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/gcp/telemetry"
	"lectern.dev/lectern/internal/gcp/worker"
	"lectern.dev/lectern/internal/smtp"
)

// Config is what sweep reads from its environment. STORAGE_EMULATOR_HOST and
// FIRESTORE_EMULATOR_HOST work as everywhere.
type Config struct {
	Worker      worker.Settings
	Bucket      string        `env:"BUCKET, required"`          // name of the one bucket
	GenerateURL string        `env:"GENERATE_URL, required"`    // where functions/generate gets its tasks
	IngestURL   string        `env:"INGEST_URL, required"`      // where functions/ingest gets its tasks
	RenderURL   string        `env:"RENDER_URL, required"`      // where functions/render gets its tasks
	SegmentAge  time.Duration `env:"SEGMENT_AGE, default=720h"` // how long a film's segments are kept for the next render
	Budget      budget.Settings
	Mail        smtp.Config // writes to the owners of organisations
	Telemetry   telemetry.Settings
}
