package ingest

import (
	"lectern.dev/lectern/internal/gcp/telemetry"
	"lectern.dev/lectern/internal/gcp/worker"
)

// Config is what ingest reads from its environment. Poppler's pdfinfo and pdftohtml
// are found in PATH; STORAGE_EMULATOR_HOST and FIRESTORE_EMULATOR_HOST work as everywhere.
type Config struct {
	Worker    worker.Settings
	Bucket    string `env:"BUCKET, required"`     // name of the one bucket
	IngestURL string `env:"INGEST_URL, required"` // where this function gets its tasks
	TempDir   string `env:"TEMP_DIR"`             // where a document lies while it is read, at most 50 MB; empty: the system's
	Telemetry telemetry.Settings
}
