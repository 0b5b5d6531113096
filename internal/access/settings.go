package access

import (
	"errors"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/postgres"
)

// Settings are a gate's, in the environment of a function where nobody signs in, so
// that only the secrets of programs are hashed.
type Settings struct {
	Cookies    Cookies
	HashMemory int `env:"HASH_MEMORY, default=64"` // MiB for hashing the secrets of API credentials, all at once; a hash takes 19
}

// Open checks the settings and makes the gate; see New.
func (s Settings) Open(db postgres.Querier) (*Gate, error) {
	tokens, err1 := NewTokens(s.Cookies)
	hasher, err2 := account.NewHasher(account.HashOptions{BudgetMiB: s.HashMemory})
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return New(db, tokens, hasher), nil
}
