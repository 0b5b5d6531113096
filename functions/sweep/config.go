package sweep

import (
	"time"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge/oidc"
)

// Config is what sweep reads from its environment. STORAGE_EMULATOR_HOST and
// FIRESTORE_EMULATOR_HOST work as everywhere.
type Config struct {
	DatabaseURL      string        `env:"DATABASE_URL, required"`         // postgres://user@host/database; with CLOUDSQL_INSTANCE the host is not used
	CloudSQLInstance string        `env:"CLOUDSQL_INSTANCE"`              // project:region:name; empty: DATABASE_URL is dialled
	Bucket           string        `env:"BUCKET, required"`               // name of the one bucket
	Project          string        `env:"GOOGLE_CLOUD_PROJECT, required"` // id of the project
	Location         string        `env:"LOCATION, required"`             // region of the queues, such as europe-west1
	GenerateURL      string        `env:"GENERATE_URL, required"`         // where functions/generate gets its tasks
	IngestURL        string        `env:"INGEST_URL, required"`           // where functions/ingest gets its tasks
	RenderURL        string        `env:"RENDER_URL, required"`           // where functions/render gets its tasks
	SegmentAge       time.Duration `env:"SEGMENT_AGE, default=720h"`      // how long a film's segments are kept for the next render
	TasksAccount     string        `env:"TASKS_SERVICE_ACCOUNT"`          // e-mail of who signs the queue's requests; empty: unsigned

	OIDC   oidc.Config // who may call this function
	Budget budget.Settings
	Mail   Mail
}

// Mail says how the owners of organisations are written to.
type Mail struct {
	Host     string `env:"SMTP_HOST"`              // the mail server; empty: letters are written to the log
	Port     int    `env:"SMTP_PORT, default=587"` // 465: TLS from the start; others: STARTTLS
	User     string `env:"SMTP_USER"`              // empty: the server asks for none
	Password string `env:"SMTP_PASSWORD"`          // secret
	From     string `env:"MAIL_FROM"`              // who writes: name@host, or "Name <name@host>"
}
