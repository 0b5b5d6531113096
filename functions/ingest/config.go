package ingest

import "lectern.dev/lectern/internal/edge/oidc"

// Config is what ingest reads from its environment. Poppler's pdfinfo and pdftohtml
// are found in PATH; STORAGE_EMULATOR_HOST and FIRESTORE_EMULATOR_HOST work as everywhere.
type Config struct {
	DatabaseURL      string `env:"DATABASE_URL, required"`         // postgres://user@host/database; with CLOUDSQL_INSTANCE the host is not used
	CloudSQLInstance string `env:"CLOUDSQL_INSTANCE"`              // project:region:name; empty: DATABASE_URL is dialled
	Bucket           string `env:"BUCKET, required"`               // name of the one bucket
	Project          string `env:"GOOGLE_CLOUD_PROJECT, required"` // id of the project
	Location         string `env:"LOCATION, required"`             // region of the queues, such as europe-west1
	IngestURL        string `env:"INGEST_URL, required"`           // where this function gets its tasks
	TasksAccount     string `env:"TASKS_SERVICE_ACCOUNT"`          // e-mail of who signs the queue's requests; empty: unsigned
	TempDir          string `env:"TEMP_DIR"`                       // where a document lies while it is read, at most 50 MB; empty: the system's

	OIDC oidc.Config // who may call this function
}
