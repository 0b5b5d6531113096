package auth

import (
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge"
)

// Config is what auth reads from its environment.
type Config struct {
	DatabaseURL      string   `env:"DATABASE_URL, required"`     // postgres://user@host/database; with CLOUDSQL_INSTANCE the host is not used
	CloudSQLInstance string   `env:"CLOUDSQL_INSTANCE"`          // project:region:name; empty: DATABASE_URL is dialled
	CookieKeys       []string `env:"COOKIE_KEYS, required"`      // at least 32 random characters each, the newest first
	HashMemory       int      `env:"HASH_MEMORY, default=128"`   // MiB for hashing passwords, all at once; a hash takes 19
	PublicURL        string   `env:"PUBLIC_URL, required"`       // where people find Lectern: letters point there
	VerifyEmail      bool     `env:"VERIFY_EMAIL, default=true"` // an account waits for the link that its address is sent; needs SMTP_HOST
	SMTPHost         string   `env:"SMTP_HOST"`                  // the mail server; empty: letters are written to the log
	SMTPPort         int      `env:"SMTP_PORT, default=587"`     // 465: TLS from the start; others: STARTTLS
	SMTPUser         string   `env:"SMTP_USER"`                  // empty: the server asks for none
	SMTPPassword     string   `env:"SMTP_PASSWORD"`              // secret
	MailFrom         string   `env:"MAIL_FROM"`                  // who writes: name@host, or "Name <name@host>"
	TrustedOrigins   []string `env:"TRUSTED_ORIGINS"`            // "https://host,…": other origins whose pages may call
	Front            edge.Front
	Budget           budget.Settings
}
