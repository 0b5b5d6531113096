package house

import (
	"context"
	"log/slog"

	"lectern.dev/lectern/functions/generate"
	"lectern.dev/lectern/internal/espeak"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/openai"
	"lectern.dev/lectern/internal/speech"
)

// Models say who writes and who speaks, by environment.
type Models struct {
	Writer      generate.OpenAI // without it the built-in offline model writes
	SpeechModel string          `env:"OPENAI_SPEECH_MODEL"` // who speaks; empty: espeak-ng, on this machine
	BackupURL   string          `env:"BACKUP_BASE_URL"`     // the backup's server; empty: no backup
	BackupKey   string          `env:"BACKUP_API_KEY"`      // secret
	BackupModel string          `env:"BACKUP_MODEL"`        // who writes when the first cannot
}

func (m Models) writer() (llm.Model, error) {
	first, err := generate.NewModel(m.Writer)
	if err != nil || m.BackupURL == "" {
		return first, err
	}
	second, err := generate.NewModel(generate.OpenAI{BaseURL: m.BackupURL, APIKey: m.BackupKey, Model: m.BackupModel})
	return backed{first, second}, err
}

func (m Models) speaker() (speech.Speaker, error) {
	if m.SpeechModel == "" {
		return espeak.Speaker{}, nil
	}
	server, err := openai.New(openai.Config{BaseURL: m.Writer.BaseURL, APIKey: m.Writer.APIKey, SpeechModel: m.SpeechModel})
	return openai.Speaker{Server: server}, err
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
