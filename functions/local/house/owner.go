package house

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/postgres"
)

// loadKeys finds the key of the cookies in the data folder, so that a restart signs
// nobody out, or makes one.
func (h *House) loadKeys(context.Context) error {
	path := filepath.Join(h.opts.Data, "cookie-key")
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = []byte(rand.Text() + rand.Text())
		err = os.WriteFile(path, key, 0o600)
	}
	if err != nil {
		return fmt.Errorf("the key of the cookies: %w", err)
	}
	h.tokens, err = access.NewTokens(access.Cookies{Keys: []string{string(key)}, Insecure: true})
	return err
}

// ensureOwner makes the organisation and its owner who work on this machine. They
// are the operator's, so that every page can be tried.
func (h *House) ensureOwner(ctx context.Context) error {
	p := account.Local
	if err := account.EnsureOrganization(ctx, h.pool, account.Organization{ID: p.Organization, Name: "Local", Operator: true}); err != nil {
		return err
	}
	if err := account.EnsurePerson(ctx, h.pool, p.Organization, p.User, "Owner", account.Root); err != nil {
		return err
	}
	_, err := h.pool.Exec(ctx, `
		UPDATE organizations
		SET operator = true
		WHERE organization_id = $1 AND NOT operator`, p.Organization) // of a folder that is older than operators
	if err == nil {
		_, err = h.pool.Exec(ctx, `
			UPDATE users
			SET role = 'root'
			WHERE organization_id = $1 AND user_id = $2 AND role <> 'root'`, p.Organization, p.User)
	}
	return postgres.Fault(err)
}

// SignInLink gives the address of a page that signs the owner in, once, within
// account.LinkLifetime. The links that were given before end.
func (h *House) SignInLink(ctx context.Context) (string, error) {
	secret, err := account.NewSignInLink(ctx, h.pool, account.Local)
	return h.URL() + "/sign-in/link?token=" + string(secret), err
}

// Token signs a person in and gives a bearer token for the API.
func (h *House) Token(ctx context.Context, user string) (string, error) {
	secret, err := account.Begin(ctx, h.pool, user, "this machine")
	if err != nil {
		return "", err
	}
	return h.tokens.NewToken(secret)
}

// EndToken ends the sign-in of a token.
func (h *House) EndToken(ctx context.Context, token string) error {
	secret, _ := h.tokens.FromToken(token)
	return account.End(ctx, h.pool, secret)
}
