package chat

import (
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/backup"
	"lectern.dev/lectern/internal/offline"
	"lectern.dev/lectern/internal/openai"
)

// NewModel gives the model that answers, with its backup: each paid for by itself,
// since both may be asked.
func NewModel(m Models, ledger *budget.Ledger) (llm.Streamer, error) {
	first, err := one(openai.Config{APIKey: m.APIKey, BaseURL: m.BaseURL, Model: m.Model}, ledger)
	if err != nil || m.BackupBaseURL == "" {
		return first, err
	}
	second, err := one(openai.Config{APIKey: m.BackupAPIKey, BaseURL: m.BackupBaseURL, Model: m.BackupModel}, ledger)
	if err != nil {
		return nil, err
	}
	return backup.New(first, second, backup.Options{}), nil
}

func one(c openai.Config, ledger *budget.Ledger) (llm.Streamer, error) {
	if c.APIKey == "" && c.BaseURL == "" {
		return budget.Streamer{Streamer: offline.Model{}, Ledger: ledger}, nil
	}
	server, err := openai.New(c)
	if err != nil {
		return nil, err
	}
	return budget.Streamer{Streamer: openai.Model{Server: server}, Ledger: ledger}, nil
}
