package house

import (
	"context"
	"log/slog"

	"lectern.dev/lectern/functions/chat"
	"lectern.dev/lectern/functions/courses"
	"lectern.dev/lectern/functions/generate"
	"lectern.dev/lectern/functions/render"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/speech"
)

// Models say who writes and who speaks, by environment.
type Models struct {
	Writer      generate.OpenAI // without it the built-in offline model writes
	SpeechModel string          `env:"OPENAI_SPEECH_MODEL"` // who speaks, such as gpt-4o-mini-tts; empty: espeak-ng speaks
	BackupURL   string          `env:"BACKUP_BASE_URL"`     // the backup's server, with /v1; empty: no backup
	BackupKey   string          `env:"BACKUP_API_KEY"`      // of the backup's server; secret
	BackupModel string          `env:"BACKUP_MODEL"`        // who writes when the first cannot

	// On this machine its owner pays: the limits keep a mistake from becoming dear.
	Prices      string `env:"PRICES"`                                // more prices, or other ones: JSON in the form of prices.json, or the path of such a file
	SoftMicros  int64  `env:"BUDGET_SOFT_MICROS, default=80000000"`  // millionths of a US dollar a month from which on an organisation is warned
	HardMicros  int64  `env:"BUDGET_HARD_MICROS, default=100000000"` // the most that an organisation may spend in a month, in millionths of a US dollar
	CallsPerJob int64  `env:"BUDGET_CALLS_PER_JOB, default=500"`     // how often one job may ask a language model
	Limits      courses.Limits
	Chat        chat.Limits
}

func (m Models) writer(ledger *budget.Ledger) (llm.Model, error) {
	first, err := generate.NewModel(m.Writer, ledger)
	if err != nil || m.BackupURL == "" {
		return first, err
	}
	second, err := generate.NewModel(generate.OpenAI{BaseURL: m.BackupURL, APIKey: m.BackupKey, Model: m.BackupModel}, ledger)
	return backed{first, second}, err
}

// tutor says who answers learners: the writer, with the same backup.
func (m Models) tutor() chat.Models {
	return chat.Models{
		APIKey: m.Writer.APIKey, BaseURL: m.Writer.BaseURL, Model: m.Writer.Model,
		BackupAPIKey: m.BackupKey, BackupBaseURL: m.BackupURL, BackupModel: m.BackupModel,
	}
}

func (m Models) speaker(ledger *budget.Ledger) (speech.Speaker, error) {
	return render.NewSpeaker(render.OpenAI{APIKey: m.Writer.APIKey, BaseURL: m.Writer.BaseURL, SpeechModel: m.SpeechModel}, ledger)
}

// backed asks a second model when the first is down or out of quota.
type backed struct {
	llm.Model
	second llm.Model
}

// Complete implements llm.Model.
func (b backed) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	res, err := b.Model.Complete(ctx, req)
	if ctx.Err() != nil || !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Exhausted) {
		return res, err
	}
	slog.WarnContext(ctx, "the model cannot answer; its backup does", "model", b.Name(), "backup", b.second.Name(), "error", err)
	return b.second.Complete(ctx, req)
}
