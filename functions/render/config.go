package render

import (
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/gcp/telemetry"
	"lectern.dev/lectern/internal/gcp/worker"
)

// Config is what render reads from its environment. FFmpeg, ffprobe and espeak-ng
// are found in PATH; STORAGE_EMULATOR_HOST and FIRESTORE_EMULATOR_HOST work as everywhere.
type Config struct {
	Worker    worker.Settings
	Bucket    string `env:"BUCKET, required"`     // name of the one bucket
	RenderURL string `env:"RENDER_URL, required"` // where this function gets its tasks: a course's job sends the next lesson
	TempDir   string `env:"TEMP_DIR"`             // where films are put together, ~10 MB a minute; empty: the system's
	OpenAI    OpenAI
	Budget    budget.Settings
	Telemetry telemetry.Settings
}

// OpenAI says who speaks: a model of OpenAI or of any server with its API.
type OpenAI struct {
	APIKey      string `env:"OPENAI_API_KEY"`      // of the server below; secret
	BaseURL     string `env:"OPENAI_BASE_URL"`     // the model's server, with /v1; empty: OpenAI's own
	SpeechModel string `env:"OPENAI_SPEECH_MODEL"` // who speaks, such as gpt-4o-mini-tts; empty: espeak-ng speaks
}
