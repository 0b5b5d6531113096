package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// SignInLifetime is how long a sign-in lasts.
const SignInLifetime = 30 * 24 * time.Hour

// Secret is 256 random bits that only who was given them knows; what is stored is
// its Hash. As text it has 43 characters of the URL-safe base64 alphabet.
type Secret string

// NewSecret makes one.
func NewSecret() Secret {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the process instead
	return Secret(base64.RawURLEncoding.EncodeToString(b[:]))
}

// Hash is what is stored. A fast hash is enough: 256 bits cannot be guessed.
func (s Secret) Hash() []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

// String keeps a secret out of logs.
func (s Secret) String() string { return "[secret]" }

// Begin signs a person in on a device and gives the secret that stands for it.
func Begin(ctx context.Context, q postgres.Querier, user, device string) (Secret, error) {
	secret := NewSecret()
	tag, err := q.Exec(ctx, `
		INSERT INTO sign_ins (sign_in_id, token_hash, user_id, organization_id, device, expires_at)
		SELECT $1, $2, user_id, organization_id, $4, now() + $5
		FROM users
		WHERE user_id = $3`, id.New(id.SignIn), secret.Hash(), user, device, SignInLifetime)
	if err != nil {
		return "", postgres.Fault(err)
	}
	if tag.RowsAffected() == 0 {
		return "", fault.New(fault.Unauthenticated, "This account is not there any more.")
	}
	return secret, nil
}

// SignedIn gives who a secret stands for: Unauthenticated when it stands for nobody
// (any more). It is one indexed read.
func SignedIn(ctx context.Context, q postgres.Querier, secret Secret) (Principal, error) {
	var p Principal
	err := q.QueryRow(postgres.AnyOrganization(ctx), `
		SELECT sign_in_id, organization_id, user_id, role
		FROM find_sign_in($1)`, secret.Hash()).Scan(&p.SignIn, &p.Organization, &p.User, &p.Role)
	if err = postgres.Fault(err); fault.Is(err, fault.NotFound) {
		return Principal{}, fault.New(fault.Unauthenticated, "You are not signed in any more. Sign in again.")
	}
	return p, err
}
