package finalize

import (
	"lectern.dev/lectern/internal/gcp/telemetry"
	"lectern.dev/lectern/internal/gcp/worker"
)

// Config is what finalize reads from its environment. STORAGE_EMULATOR_HOST and
// FIRESTORE_EMULATOR_HOST work as everywhere.
type Config struct {
	Worker    worker.Settings
	Bucket    string `env:"BUCKET, required"`     // name of the one bucket
	IngestURL string `env:"INGEST_URL, required"` // where functions/ingest gets its tasks: an upload starts one
	RenderURL string `env:"RENDER_URL, required"` // where functions/render gets its tasks: a course's job sends the next lesson
	Telemetry telemetry.Settings
}
