package account

import (
	"context"
	"encoding/json"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// LinkLifetime is how long a link works.
const LinkLifetime = 30 * time.Minute

// linkKind says what a link is for. A secret of one kind opens nothing of another.
type linkKind string

const (
	signUpLink     linkKind = "sign_up"
	invitationLink linkKind = "invitation"
	resetLink      linkKind = "reset"
	signInLink     linkKind = "sign_in"
)

// link is a row of links. What its use does is fixed when it is made: who redeems
// it says nothing but the secret.
type link struct {
	id           string
	kind         linkKind
	organization string // "": it does not exist yet
	user         string // "": the same
	address      string
	data         linkData
	createdBy    string
	createdAt    time.Time
	expiresAt    time.Time
}

// linkData is what the use of a link makes.
type linkData struct {
	Email        string `json:"email,omitempty"` // as its owner writes it
	Name         string `json:"name,omitempty"`
	Organization string `json:"organization,omitempty"` // its name
	Role         Role   `json:"role,omitempty"`
	User         string `json:"user,omitempty"`     // of a reset: whose password (see Desk.Reset)
	Password     string `json:"password,omitempty"` // hashed
}

// make stores l and gives its secret. The earlier links of that kind for the same
// address and organisation end, but for sign-ups: there a stranger could end the
// link of the address's owner.
func (l *link) make(ctx context.Context, q postgres.Querier) (Secret, error) {
	data, err := json.Marshal(l.data)
	if err != nil {
		return "", err
	}
	secret := NewSecret()
	err = q.QueryRow(postgres.AnyOfPool(ctx), `
		WITH ended AS (
			DELETE FROM links
			WHERE kind = $3 AND kind <> 'sign_up' AND address = $6 AND used_at IS NULL
				AND organization_id IS NOT DISTINCT FROM NULLIF($4, '') AND user_id IS NOT DISTINCT FROM NULLIF($5, ''))
		INSERT INTO links (link_id, token_hash, kind, organization_id, user_id, address, data, created_by, expires_at)
		VALUES ($1, $2, $3, NULLIF($4, ''), NULLIF($5, ''), $6, $7, $8, now() + $9)
		RETURNING created_at, expires_at`,
		l.id, secret.Hash(), l.kind, l.organization, l.user, l.address, data, l.createdBy, LinkLifetime).Scan(&l.createdAt, &l.expiresAt)
	return secret, postgres.Fault(err)
}

func newLink(kind linkKind) link { return link{id: id.New(id.Link), kind: kind} }

const linkColumns = `link_id, kind, coalesce(organization_id, ''), coalesce(user_id, ''), address, data, created_by`

// redeem uses a link up, once: of those who come with its secret at the same time
// one gets it. Others, and who comes too late or with a secret of another kind, are
// Unauthenticated. In a transaction that fails it is not used.
func redeem(ctx context.Context, tx postgres.Querier, kind linkKind, secret Secret) (link, error) {
	return findLink(ctx, tx, `
		UPDATE links
		SET used_at = now()
		WHERE token_hash = $1 AND kind = $2 AND used_at IS NULL AND expires_at > now()
		RETURNING `+linkColumns, kind, secret)
}

// peek tells whose a link is without using it, so that no password is hashed for
// who comes with a wrong one.
func peek(ctx context.Context, q postgres.Querier, kind linkKind, secret Secret) (link, error) {
	return findLink(ctx, q, `
		SELECT `+linkColumns+`
		FROM links
		WHERE token_hash = $1 AND kind = $2 AND used_at IS NULL AND expires_at > now()`, kind, secret)
}

func findLink(ctx context.Context, q postgres.Querier, sql string, kind linkKind, secret Secret) (l link, err error) {
	var data []byte
	err = q.QueryRow(postgres.AnyOfPool(ctx), sql, secret.Hash(), kind).
		Scan(&l.id, &l.kind, &l.organization, &l.user, &l.address, &data, &l.createdBy)
	if err = postgres.Fault(err); fault.Is(err, fault.NotFound) {
		return link{}, errLink
	}
	if err != nil {
		return link{}, err
	}
	return l, json.Unmarshal(data, &l.data)
}

var errLink = fault.New(fault.Unauthenticated, "This link does not work any more: it was used, or is older than 30 minutes. Ask for a new one.")

// endLinks ends all open links of a person, and the invitations that they have sent:
// when they get another password or role, or go.
func endLinks(ctx context.Context, q postgres.Querier, user string) error {
	_, err := q.Exec(postgres.AnyOfPool(ctx), `
		DELETE FROM links
		WHERE used_at IS NULL AND (user_id = $1
			OR kind = 'invitation' AND created_by = $1
			OR kind = 'reset' AND address = (SELECT address FROM users WHERE user_id = $1))`, user)
	return postgres.Fault(err)
}
