package generate

import "lectern.dev/lectern/internal/budget"

import "lectern.dev/lectern/internal/edge/oidc"

// Config is what generate reads from its environment. FIRESTORE_EMULATOR_HOST works
// as everywhere. Without OPENAI_API_KEY and OPENAI_BASE_URL the built-in offline
// model writes.
type Config struct {
	DatabaseURL      string `env:"DATABASE_URL, required"`         // postgres://user@host/database; with CLOUDSQL_INSTANCE the host is not used
	CloudSQLInstance string `env:"CLOUDSQL_INSTANCE"`              // project:region:name; empty: DATABASE_URL is dialled
	Project          string `env:"GOOGLE_CLOUD_PROJECT, required"` // id of the project
	Location         string `env:"LOCATION, required"`             // region of the queues, such as europe-west1
	GenerateURL      string `env:"GENERATE_URL, required"`         // where this function gets its tasks: a plan sends the lessons
	TasksAccount     string `env:"TASKS_SERVICE_ACCOUNT"`          // e-mail of who signs the queue's requests; empty: unsigned
	OpenAI           OpenAI
	Budget           budget.Settings

	OIDC oidc.Config // who may call this function
}

// OpenAI says which language model writes: OpenAI's or that of any server with its API.
type OpenAI struct {
	APIKey  string `env:"OPENAI_API_KEY"`  // secret
	BaseURL string `env:"OPENAI_BASE_URL"` // with /v1; empty: OpenAI's own
	Model   string `env:"OPENAI_MODEL"`    // empty: gpt-4o-mini
}
