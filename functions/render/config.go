package render

import "lectern.dev/lectern/internal/budget"

import "lectern.dev/lectern/internal/edge/oidc"

// Config is what render reads from its environment. FFmpeg, ffprobe and espeak-ng
// are found in PATH; STORAGE_EMULATOR_HOST and FIRESTORE_EMULATOR_HOST work as everywhere.
type Config struct {
	DatabaseURL      string `env:"DATABASE_URL, required"`         // postgres://user@host/database; with CLOUDSQL_INSTANCE the host is not used
	CloudSQLInstance string `env:"CLOUDSQL_INSTANCE"`              // project:region:name; empty: DATABASE_URL is dialled
	Bucket           string `env:"BUCKET, required"`               // name of the one bucket
	Project          string `env:"GOOGLE_CLOUD_PROJECT, required"` // id of the project
	Location         string `env:"LOCATION, required"`             // region of the queues, such as europe-west1
	RenderURL        string `env:"RENDER_URL, required"`           // where this function gets its tasks: a course's job sends the next lesson
	TasksAccount     string `env:"TASKS_SERVICE_ACCOUNT"`          // e-mail of who signs the queue's requests; empty: unsigned
	TempDir          string `env:"TEMP_DIR"`                       // where films are put together, ~10 MB a minute; empty: the system's
	OpenAI           OpenAI
	Budget           budget.Settings

	OIDC oidc.Config // who may call this function
}

// OpenAI says who speaks: a model of OpenAI or of any server with its API.
type OpenAI struct {
	APIKey      string `env:"OPENAI_API_KEY"`      // secret
	BaseURL     string `env:"OPENAI_BASE_URL"`     // with /v1; empty: OpenAI's own
	SpeechModel string `env:"OPENAI_SPEECH_MODEL"` // such as gpt-4o-mini-tts; empty: espeak-ng speaks
}
