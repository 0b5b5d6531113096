package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// How long a sign-in lasts.
const (
	// SignInIdle is after its last use,
	SignInIdle = 30 * 24 * time.Hour
	// SignInLifetime is in all, however much it is used.
	SignInLifetime = 90 * 24 * time.Hour
)

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

// LogValue keeps a secret out of structured logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Begin signs a person in on a device and gives the secret that stands for it.
func Begin(ctx context.Context, q postgres.Querier, user, device string) (Secret, error) {
	return begin(ctx, q, device, `
		SELECT user_id, organization_id
		FROM users
		WHERE user_id = $5`, user)
}

// beginWith signs in who has been found to know the password of this hash. If it was
// changed since, nobody is signed in: the row is held until the sign-in stands, so
// that the change, which ends all sign-ins, ends this one too.
func beginWith(ctx context.Context, q postgres.Querier, user, hash, device string) (Secret, error) {
	return begin(ctx, q, device, `
		SELECT u.user_id, u.organization_id
		FROM users u JOIN passwords p USING (user_id)
		WHERE u.user_id = $5 AND p.hashed_password = $6
		FOR SHARE OF p`, user, hash)
}

// begin ends a person's oldest sign-ins, so that with the new one there are at most 100.
func begin(ctx context.Context, q postgres.Querier, device, who string, args ...any) (Secret, error) {
	secret := NewSecret()
	tag, err := q.Exec(postgres.AnyOfPool(ctx), `
		WITH who AS (`+who+`), surplus AS (
			DELETE FROM sign_ins
			WHERE sign_in_id IN (
				SELECT s.sign_in_id
				FROM sign_ins s JOIN who w ON w.user_id = s.user_id AND w.organization_id = s.organization_id
				ORDER BY s.seen_at DESC, s.sign_in_id DESC
				OFFSET 99))
		INSERT INTO sign_ins (sign_in_id, token_hash, user_id, organization_id, device, expires_at)
		SELECT $1, $2, user_id, organization_id, $3, now() + $4
		FROM who`, append([]any{id.New(id.SignIn), secret.Hash(), deviceName(device), SignInIdle}, args...)...)
	if err != nil {
		return "", postgres.Fault(err)
	}
	if tag.RowsAffected() == 0 {
		return "", fault.New(fault.Unauthenticated, "This account has changed in the meantime. Sign in again.")
	}
	return secret, nil
}

// deviceName keeps of a browser's own words what can be shown on a line.
func deviceName(s string) string {
	s = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, ""))
	if short := []rune(s); len(short) > 200 {
		s = string(short[:200])
	}
	return strings.TrimSpace(s)
}

// SignedIn gives who a secret stands for: Unauthenticated when it stands for nobody
// (any more). It is one indexed read. Every 5 minutes it also notes that the sign-in
// is used, which lengthens it; the request does not wait for that, so q must be a
// pool.
func SignedIn(ctx context.Context, q postgres.Querier, secret Secret) (Principal, error) {
	var p Principal
	var stale bool
	err := q.QueryRow(postgres.AnyOrganization(ctx), `
		SELECT sign_in_id, organization_id, user_id, role, seen_at < now() - interval '5 minutes'
		FROM find_sign_in($1)`, secret.Hash()).Scan(&p.SignIn, &p.Organization, &p.User, &p.Role, &stale)
	if err = postgres.Fault(err); fault.Is(err, fault.NotFound) {
		return Principal{}, fault.New(fault.Unauthenticated, "You are not signed in any more. Sign in again.")
	}
	if err == nil && stale {
		go seen(context.WithoutCancel(ctx), q, p)
	}
	return p, err
}

// seen notes that a sign-in is used. Of several requests at once one writes.
func seen(ctx context.Context, q postgres.Querier, p Principal) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := q.Exec(postgres.WithOrganization(ctx, p.Organization), `
		UPDATE sign_ins
		SET seen_at = now(), expires_at = least(now() + $3, created_at + $4)
		WHERE organization_id = $1 AND sign_in_id = $2 AND seen_at < now() - interval '5 minutes'`,
		p.Organization, p.SignIn, SignInIdle, SignInLifetime)
	if err != nil {
		slog.WarnContext(ctx, "the use of a sign-in was not noted", "sign_in", p.SignIn, "error", err)
	}
}

// End signs out who comes with the secret; nothing happens when it stands for nobody.
func End(ctx context.Context, q postgres.Querier, secret Secret) error {
	// The secret alone tells which organisation it is of.
	_, err := q.Exec(postgres.AnyOfPool(ctx), `DELETE FROM sign_ins WHERE token_hash = $1`, secret.Hash())
	return postgres.Fault(err)
}

// EndOne signs p out on one of their devices.
func EndOne(ctx context.Context, q postgres.Querier, p Principal, signIn string) error {
	tag, err := q.Exec(ctx, `
		DELETE FROM sign_ins
		WHERE organization_id = $1 AND user_id = $2 AND sign_in_id = $3`, p.Organization, p.User, signIn)
	if err == nil && tag.RowsAffected() == 0 {
		return fault.New(fault.NotFound, "You are not signed in there.")
	}
	return postgres.Fault(err)
}

// EndAll signs p out everywhere.
func EndAll(ctx context.Context, q postgres.Querier, p Principal) error {
	_, err := q.Exec(ctx, `DELETE FROM sign_ins WHERE organization_id = $1 AND user_id = $2`, p.Organization, p.User)
	return postgres.Fault(err)
}

// Device is where a person is signed in.
type Device struct {
	ID        string    `json:"id"`
	Device    string    `json:"device" doc:"the browser's own words"`
	Current   bool      `json:"current" doc:"the one that asks"`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at" doc:"its last use, to a few minutes"`
	ExpiresAt time.Time `json:"expires_at" doc:"when it ends unless it is used"`
}

// Devices lists where p is signed in, the last used first; there are at most 100.
func Devices(ctx context.Context, q postgres.Querier, p Principal) ([]Device, error) {
	rows, err := q.Query(ctx, `
		SELECT sign_in_id, device, sign_in_id = $3, created_at, seen_at, expires_at
		FROM sign_ins
		WHERE organization_id = $1 AND user_id = $2 AND expires_at > now()
		ORDER BY seen_at DESC, sign_in_id DESC
		LIMIT 100`, p.Organization, p.User, p.SignIn)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	devices, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Device])
	return devices, postgres.Fault(err)
}
