package auth

import (
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/cloudsql"
	"lectern.dev/lectern/internal/smtp"
)

// Config is what auth reads from its environment.
type Config struct {
	Database       cloudsql.Settings
	CookieKeys     []string `env:"COOKIE_KEYS, required"`      // secrets that cookies and tokens are made with, at least 32 random characters each, the newest first
	HashMemory     int      `env:"HASH_MEMORY, default=128"`   // MiB for hashing passwords, all at once; a hash takes 19
	PublicURL      string   `env:"PUBLIC_URL, required"`       // where people find Lectern: letters point there
	VerifyEmail    bool     `env:"VERIFY_EMAIL, default=true"` // an account waits for the link that its address is sent; needs SMTP_HOST
	TrustedOrigins []string `env:"TRUSTED_ORIGINS"`            // "https://host,…": other origins whose pages may call
	Front          edge.Front
	Budget         budget.Settings
	Mail           smtp.Config
}
