package account

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// Credential is an organisation's API credential, as its owners see it.
type Credential struct {
	ID         string     `json:"id" doc:"The auth_id that a program names with the secret"`
	Label      string     `json:"label"`
	Scopes     []string   `json:"scopes" enum:"chat,courses:read,courses:write"`
	CreatedBy  string     `json:"created_by"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty" doc:"To about five minutes; absent: never"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty" doc:"Absent: never"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty" doc:"Absent: it is not revoked"`
}

// The most of what an organisation may have.
const (
	mostCredentials = 100 // that are neither expired nor revoked
	longestLabel    = 100 // characters
)

// NewCredential is a credential that is not stored yet.
type NewCredential struct {
	AuthID    string // "": a new id
	Label     string
	Scopes    []string
	ExpiresAt *time.Time // nil: never
	hash      string
}

// SetSecret checks c and hashes its secret, before a transaction is begun. Chosen is a
// password that an operator sets; "" makes a secret of 256 random bits. The secret
// comes back and is kept nowhere.
func (c *NewCredential) SetSecret(ctx context.Context, h PasswordHasher, chosen string) (Secret, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	secret := Secret(chosen)
	if chosen == "" {
		secret = NewSecret()
	} else if err := choosePassword("body.password", chosen, c.AuthID, c.Label); err != nil {
		return "", err
	}
	var err error
	c.hash, err = h.Hash(ctx, string(secret))
	return secret, err
}

func (c *NewCredential) check() error {
	c.Label = strings.TrimSpace(c.Label)
	slices.Sort(c.Scopes)
	c.Scopes = slices.Compact(c.Scopes)
	if c.AuthID == "" {
		c.AuthID = id.New(id.Credential)
	}
	var wrong []fault.Field
	if n := utf8.RuneCountInString(c.Label); n == 0 || n > longestLabel || strings.ContainsFunc(c.Label, unicode.IsControl) {
		wrong = append(wrong, fault.Field{Location: "body.label", Message: "must be one line of 1 to 100 characters"})
	}
	if len(c.Scopes) == 0 || slices.ContainsFunc(c.Scopes, func(s string) bool { return s != Chat && s != ReadCourses && s != WriteCourses }) {
		wrong = append(wrong, fault.Field{Location: "body.scopes", Message: "must be some of " + Chat + ", " + ReadCourses + " and " + WriteCourses})
	}
	if !validAuthID(c.AuthID) {
		wrong = append(wrong, fault.Field{Location: "body.id", Message: "must be 1 to 64 of a-z, 0-9, - and _"})
	}
	if len(wrong) > 0 {
		e := fault.New(fault.Invalid, "The credential cannot be made like this.")
		e.Fields = wrong
		return e
	}
	return nil
}

// Insert stores a credential whose secret is set. It says Conflict when the organisation has as
// many as it may have, and Invalid when it would be over at once.
func (c *NewCredential) Insert(ctx context.Context, q postgres.Querier, organization, by string) (Credential, error) {
	var open int
	var over bool
	err := q.QueryRow(ctx, `
		SELECT count(*), coalesce($2 <= now(), false)
		FROM credentials c
		WHERE c.organization = $1 AND (c.expires_at IS NULL OR c.expires_at > now())
			AND NOT EXISTS (SELECT FROM credential_revocations r WHERE r.organization_id = $1 AND r.auth_id = c.auth_id)`,
		organization, c.ExpiresAt).Scan(&open, &over)
	switch {
	case err != nil:
		return Credential{}, postgres.Fault(err)
	case over:
		e := fault.New(fault.Invalid, "The credential would be over before it is used.")
		e.Fields = []fault.Field{{Location: "body.expires_at", Message: "must be in the future"}}
		return Credential{}, e
	case open >= mostCredentials:
		return Credential{}, fault.New(fault.Conflict, "There are %d credentials already. Revoke one that is not needed any more.", open)
	}
	rows, err := q.Query(ctx, `
		INSERT INTO credentials (auth_id, organization, hashed_password, label, scopes, created_by, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		RETURNING auth_id, label, scopes, created_by, created_at, NULL::timestamptz, expires_at, NULL::timestamptz`,
		c.AuthID, organization, c.hash, c.Label, c.Scopes, by, c.ExpiresAt)
	if err != nil {
		return Credential{}, postgres.Fault(err)
	}
	made, err := pgx.CollectExactlyOneRow(rows, scanCredential)
	return made, postgres.Fault(err)
}

func scanCredential(row pgx.CollectableRow) (c Credential, err error) {
	err = row.Scan(&c.ID, &c.Label, &c.Scopes, &c.CreatedBy, &c.CreatedAt, &c.LastUsedAt, &c.ExpiresAt, &c.RevokedAt)
	return c, err
}

// ListCredentials gives an organisation's credentials, the newest first, those that
// are revoked or over too, and the cursor of the next page, "" at the end.
func ListCredentials(ctx context.Context, q postgres.Querier, organization, cursor string, limit int) ([]Credential, string, error) {
	at, before, err := parseCredentialCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	rows, err := q.Query(ctx, `
		SELECT c.auth_id, c.label, c.scopes, c.created_by, c.created_at, u.used_at, c.expires_at, r.revoked_at
		FROM credentials c
			LEFT JOIN credential_uses u ON u.organization_id = $1 AND u.auth_id = c.auth_id
			LEFT JOIN credential_revocations r ON r.organization_id = $1 AND r.auth_id = c.auth_id
		WHERE c.organization = $1 AND ($2::timestamptz IS NULL OR (c.created_at, c.auth_id) < ($2, $3))
		ORDER BY c.created_at DESC, c.auth_id DESC
		LIMIT $4`, organization, at, before, limit+1)
	if err != nil {
		return nil, "", postgres.Fault(err)
	}
	found, err := pgx.CollectRows(rows, scanCredential)
	if err != nil || len(found) <= limit {
		return found, "", postgres.Fault(err)
	}
	last := found[limit-1]
	text := strconv.FormatInt(last.CreatedAt.UnixMicro(), 36) + "." + last.ID
	return found[:limit], base64.RawURLEncoding.EncodeToString([]byte(text)), nil
}

// lastMicrosecond is the last that Postgres is sent: the end of the year 9999.
var lastMicrosecond = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMicro()

func parseCredentialCursor(s string) (at *time.Time, before string, err error) {
	if s == "" {
		return nil, "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	digits, before, found := strings.Cut(string(raw), ".")
	micros, wrong := strconv.ParseInt(digits, 36, 64)
	if err != nil || wrong != nil || !found || !validAuthID(before) || micros < 0 || micros > lastMicrosecond {
		e := fault.New(fault.Invalid, "The cursor is not one that a list gave. Begin again without it.")
		e.Fields = []fault.Field{{Location: "query.cursor", Message: "is not a cursor of this list"}}
		return nil, "", e
	}
	t := time.UnixMicro(micros)
	return &t, before, nil
}

// RevokeCredential ends a credential for ever: its next request is refused. Done
// again it changes nothing. NotFound when the organisation has no such credential.
func RevokeCredential(ctx context.Context, q postgres.Querier, organization, authID, by string) error {
	if !validAuthID(authID) {
		return noCredential()
	}
	var there bool
	err := q.QueryRow(ctx, `
		WITH target AS (
			SELECT auth_id, organization
			FROM credentials
			WHERE organization = $1 AND auth_id = $2
		), revoked AS (
			INSERT INTO credential_revocations (auth_id, organization_id, revoked_by)
			SELECT auth_id, organization, $3
			FROM target
			ON CONFLICT (auth_id) DO NOTHING
		)
		SELECT EXISTS (SELECT FROM target)`, organization, authID, by).Scan(&there)
	switch {
	case err != nil:
		return postgres.Fault(err)
	case !there:
		return noCredential()
	}
	return nil
}

func noCredential() error { return fault.New(fault.NotFound, "There is no such credential here.") }
