package chat

import (
	"errors"
	"time"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/cloudsql"
	"lectern.dev/lectern/internal/gcp/telemetry"
)

// Config is what chat reads from its environment. Without OPENAI_API_KEY and
// OPENAI_BASE_URL the built-in offline model answers.
type Config struct {
	Database       cloudsql.Settings
	Models         Models
	Access         access.Settings
	TrustedOrigins []string `env:"TRUSTED_ORIGINS"` // "https://host,…": other origins whose pages may call
	Front          edge.Front
	Budget         budget.Settings
	Limits         Limits
	Telemetry      telemetry.Settings
}

// Models say who answers.
type Models struct {
	APIKey        string `env:"OPENAI_API_KEY"`  // of the server below; secret
	BaseURL       string `env:"OPENAI_BASE_URL"` // the model's server, with /v1; empty: OpenAI's own
	Model         string `env:"OPENAI_MODEL"`    // who answers; empty: gpt-4o-mini
	BackupAPIKey  string `env:"BACKUP_API_KEY"`  // of the backup's server; secret
	BackupBaseURL string `env:"BACKUP_BASE_URL"` // the backup's server, with /v1; empty: no backup
	BackupModel   string `env:"BACKUP_MODEL"`    // who answers when the first cannot

	// The backup is asked sooner when the first model usually begins sooner.
	FirstToken time.Duration `env:"FIRST_TOKEN_DEADLINE, default=5s"` // how long the first model may take to begin before its backup is asked too
}

// Limits say how much may be asked; 0: any amount. What one person may does not bind
// an API credential, behind which there may be many: its organisation's limits do.
type Limits struct {
	AnswersPerUser                   int `env:"CHAT_ANSWERS_PER_USER, default=5"`                       // answers that are being made for one person at once; 0: any number
	AnswersPerOrganization           int `env:"CHAT_ANSWERS_PER_ORGANIZATION, default=200"`             // answers that are being made for an organisation at once; 0: any number
	RequestsPerMinutePerUser         int `env:"CHAT_REQUESTS_PER_MINUTE_PER_USER, default=30"`          // how often one person may ask for an answer within a minute; 0: as often as they like
	RequestsPerMinutePerOrganization int `env:"CHAT_REQUESTS_PER_MINUTE_PER_ORGANIZATION, default=600"` // how often an organisation may ask for an answer within a minute; 0: as often as it likes
	TokensPerDayPerUser              int `env:"CHAT_TOKENS_PER_DAY_PER_USER, default=1000000"`          // tokens, of questions and answers, that one person may use in a day; they come back little by little; 0: any number
	TokensPerDayPerOrganization      int `env:"CHAT_TOKENS_PER_DAY_PER_ORGANIZATION, default=50000000"` // tokens that an organisation may use in a day; they come back little by little; 0: any number
	SessionsPerUser                  int `env:"CHAT_SESSIONS_PER_USER, default=1000"`                   // conversations that one person may have; 0: any number
	SessionsPerOrganization          int `env:"CHAT_SESSIONS_PER_ORGANIZATION, default=20000"`          // conversations that an organisation may have; 0: any number
	StreamsPerUser                   int `env:"CHAT_STREAMS_PER_USER, default=20"`                      // streams that one person may have open at once in each process; 0: any number
	StreamsPerOrganization           int `env:"CHAT_STREAMS_PER_ORGANIZATION, default=500"`             // streams that an organisation may have open at once in each process; 0: any number
}

// ofTutor are those that the tutor keeps to.
func (l Limits) ofTutor() conversation.Limits {
	return conversation.Limits{
		AnswersPerUser: l.AnswersPerUser, AnswersPerOrganization: l.AnswersPerOrganization,
		SessionsPerUser: l.SessionsPerUser, SessionsPerOrganization: l.SessionsPerOrganization,
	}
}

// check says what is wrong with them.
func (l Limits) check() error {
	if min(l.AnswersPerUser, l.AnswersPerOrganization, l.RequestsPerMinutePerUser, l.RequestsPerMinutePerOrganization,
		l.TokensPerDayPerUser, l.TokensPerDayPerOrganization, l.SessionsPerUser, l.SessionsPerOrganization, l.StreamsPerUser, l.StreamsPerOrganization) < 0 {
		return errors.New("a limit of CHAT_… is negative; 0 is none")
	}
	return nil
}
