package generate

import (
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/gcp/telemetry"
	"lectern.dev/lectern/internal/gcp/worker"
)

// Config is what generate reads from its environment. FIRESTORE_EMULATOR_HOST works
// as everywhere. Without OPENAI_API_KEY and OPENAI_BASE_URL the built-in offline
// model writes.
type Config struct {
	Worker      worker.Settings
	GenerateURL string `env:"GENERATE_URL, required"` // where this function gets its tasks: a plan sends the lessons
	OpenAI      OpenAI
	Budget      budget.Settings
	Telemetry   telemetry.Settings
}

// OpenAI says which language model writes: OpenAI's or that of any server with its API.
type OpenAI struct {
	APIKey  string `env:"OPENAI_API_KEY"`  // of the server below; secret
	BaseURL string `env:"OPENAI_BASE_URL"` // the model's server, with /v1; empty: OpenAI's own
	Model   string `env:"OPENAI_MODEL"`    // who writes; empty: gpt-4o-mini

	BackupAPIKey  string `env:"BACKUP_API_KEY"`  // of the backup's server; secret
	BackupBaseURL string `env:"BACKUP_BASE_URL"` // the backup's server, with /v1; empty: no backup
	BackupModel   string `env:"BACKUP_MODEL"`    // who writes when the first cannot
}
