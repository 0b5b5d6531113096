package auth

// Config is what auth reads from its environment.
type Config struct {
	DatabaseURL      string   `env:"DATABASE_URL, required"`   // postgres://user@host/database; with CLOUDSQL_INSTANCE the host is not used
	CloudSQLInstance string   `env:"CLOUDSQL_INSTANCE"`        // project:region:name; empty: DATABASE_URL is dialled
	CookieKeys       []string `env:"COOKIE_KEYS, required"`    // at least 32 random characters each, the newest first
	HashMemory       int      `env:"HASH_MEMORY, default=128"` // MiB for hashing passwords, all at once; a hash takes 19
	TrustedOrigins   []string `env:"TRUSTED_ORIGINS"`          // "https://host,…": other origins whose pages may call
}
