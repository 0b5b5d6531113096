package auth

import (
	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/cloudsql"
	"lectern.dev/lectern/internal/gcp/telemetry"
	"lectern.dev/lectern/internal/smtp"
)

// Config is what auth reads from its environment.
type Config struct {
	Database       cloudsql.Settings
	Cookies        access.Cookies
	HashMemory     int      `env:"HASH_MEMORY, default=128"`   // MiB for hashing passwords, all at once; a hash takes 19
	PublicURL      string   `env:"PUBLIC_URL, required"`       // where people find Lectern: letters point there
	VerifyEmail    bool     `env:"VERIFY_EMAIL, default=true"` // an account waits for the link that its address is sent; needs SMTP_HOST
	TrustedOrigins []string `env:"TRUSTED_ORIGINS"`            // "https://host,…": other origins whose pages may call
	Front          edge.Front
	Budget         budget.Settings
	Mail           smtp.Config
	Telemetry      telemetry.Settings
}
