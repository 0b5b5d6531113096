package chat

import (
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/cloudsql"
)

// Config is what chat reads from its environment. Without OPENAI_API_KEY and
// OPENAI_BASE_URL the built-in offline model answers.
type Config struct {
	Database       cloudsql.Settings
	Models         Models
	CookieKeys     []string `env:"COOKIE_KEYS, required"`   // secrets that cookies and tokens are made with, at least 32 random characters each, the newest first
	HashMemory     int      `env:"HASH_MEMORY, default=64"` // MiB for hashing the secrets of API credentials, all at once; a hash takes 19
	TrustedOrigins []string `env:"TRUSTED_ORIGINS"`         // "https://host,…": other origins whose pages may call
	Front          edge.Front
	Budget         budget.Settings
	Limits         Limits
}

// Models say who answers.
type Models struct {
	APIKey        string `env:"OPENAI_API_KEY"`  // of the server below; secret
	BaseURL       string `env:"OPENAI_BASE_URL"` // the model's server, with /v1; empty: OpenAI's own
	Model         string `env:"OPENAI_MODEL"`    // who answers; empty: gpt-4o-mini
	BackupAPIKey  string `env:"BACKUP_API_KEY"`  // of the backup's server; secret
	BackupBaseURL string `env:"BACKUP_BASE_URL"` // the backup's server, with /v1; empty: no backup
	BackupModel   string `env:"BACKUP_MODEL"`    // who answers when the first cannot
}

// Limits say how much may be asked at once; 0: any amount.
type Limits struct {
	AnswersPerUser         int `env:"CHAT_ANSWERS_PER_USER, default=5"`           // answers that are being made for one person or API credential at once; 0: any number
	AnswersPerOrganization int `env:"CHAT_ANSWERS_PER_ORGANIZATION, default=200"` // answers that are being made for an organisation at once; 0: any number
}
