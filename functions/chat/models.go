package chat

import (
	"time"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/backup"
	"lectern.dev/lectern/internal/llm/traced"
	"lectern.dev/lectern/internal/offline"
	"lectern.dev/lectern/internal/openai"
)

// NewModel gives the model that answers, with its backup: each paid for by itself,
// since both may be asked. A model without a price is refused.
func NewModel(m Models, ledger *budget.Ledger) (llm.Streamer, error) {
	if m.FirstToken < 0 {
		return nil, fault.New(fault.Invalid, "FIRST_TOKEN_DEADLINE is negative.")
	}
	c := openai.Config{APIKey: m.APIKey, BaseURL: m.BaseURL, Model: m.Model}
	if m.BackupBaseURL != "" {
		c.Wait = time.Nanosecond // its backup is asked at once, and not after a second try
	}
	first, err := modelOf(c, ledger)
	if err != nil || m.BackupBaseURL == "" {
		return first, err
	}
	second, err := modelOf(openai.Config{APIKey: m.BackupAPIKey, BaseURL: m.BackupBaseURL, Model: m.BackupModel}, ledger)
	if err != nil {
		return nil, err
	}
	return backup.New(first, second, backup.Options{FirstToken: m.FirstToken}), nil
}

func modelOf(c openai.Config, ledger *budget.Ledger) (llm.Streamer, error) {
	model, err := openai.ModelOr(c, offline.Model{})
	if err != nil {
		return nil, err
	}
	return budget.NewStreamer(traced.Streamer{Streamer: model}, ledger)
}
