package house

import (
	"time"

	"lectern.dev/lectern/functions/chat"
	"lectern.dev/lectern/functions/courses"
	"lectern.dev/lectern/functions/generate"
	"lectern.dev/lectern/functions/render"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/gcp/telemetry"
	"lectern.dev/lectern/internal/speech"
)

// Models say who writes and who speaks, by environment.
type Models struct {
	Writer      generate.OpenAI // without it the built-in offline model writes
	SpeechModel string          `env:"OPENAI_SPEECH_MODEL"` // who speaks, such as gpt-4o-mini-tts; empty: espeak-ng speaks

	FirstToken time.Duration `env:"FIRST_TOKEN_DEADLINE, default=5s"` // how long the first model may take to begin before its backup is asked too

	// On this machine its owner pays: the limits keep a mistake from becoming dear.
	Prices      string `env:"PRICES"`                                // more prices, or other ones: JSON in the form of prices.json, or the path of such a file
	SoftMicros  int64  `env:"BUDGET_SOFT_MICROS, default=80000000"`  // millionths of a US dollar a month from which on an organisation is warned
	HardMicros  int64  `env:"BUDGET_HARD_MICROS, default=100000000"` // the most that an organisation may spend in a month, in millionths of a US dollar
	CallsPerJob int64  `env:"BUDGET_CALLS_PER_JOB, default=500"`     // how often one job may ask a language model
	Limits      courses.Limits
	Chat        chat.Limits
	Telemetry   telemetry.Settings
}

// tutor says who answers learners: the writer, with the same backup.
func (m Models) tutor() chat.Models {
	return chat.Models{
		APIKey: m.Writer.APIKey, BaseURL: m.Writer.BaseURL, Model: m.Writer.Model,
		BackupAPIKey: m.Writer.BackupAPIKey, BackupBaseURL: m.Writer.BackupBaseURL, BackupModel: m.Writer.BackupModel,
		FirstToken: m.FirstToken,
	}
}

func (m Models) speaker(ledger *budget.Ledger) (speech.Speaker, error) {
	return render.NewSpeaker(render.OpenAI{APIKey: m.Writer.APIKey, BaseURL: m.Writer.BaseURL, SpeechModel: m.SpeechModel}, ledger)
}
