package account

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// The organisations that every Lectern begins with, and the operator's owner.
const (
	OperatorOrganization = "org_wizlearnr"
	OperatorOwner        = "user_wizlearnr"
	ClientOrganization   = "org_dreambridge"
	ClientOwner          = "user_dreambridge"
	ClientCredential     = "dreambridge" // the auth_id; after a change of the secret dreambridge-2, …
)

// Founders are what Bootstrap is told.
type Founders struct {
	RootEmail    string
	RootPassword string
	ClientEmail  string // of the client's owner, who gets a password by asking for a new one; "": none
	ClientSecret string // of the client's API credential; "": none
}

// Bootstrap makes the operator's organisation with its owner, who is root, and a
// client's organisation with an API credential. Done again with the same it changes
// nothing. It gives a sentence for each thing that it did; none holds a secret.
//
//   - Another RootPassword becomes root's password and signs them out. The same one
//     leaves alone what root may have chosen since.
//   - Another ClientSecret revokes the credential and makes the next: credentials do
//     not change. Who cannot stop meanwhile has an owner make one beside it.
//   - The same ClientSecret leaves a credential revoked that somebody has revoked.
//
// It needs a pool of the tables' owner.
func Bootstrap(ctx context.Context, db postgres.Beginner, h PasswordHasher, f Founders) (done []string, err error) {
	err = postgres.InTx(ctx, db, func(tx pgx.Tx) error {
		b := bootstrap{tx: tx, hasher: h}
		if err := b.operator(ctx, f); err != nil {
			return err
		}
		if err := b.client(ctx, f); err != nil {
			return err
		}
		done = b.done
		return nil
	})
	if err != nil {
		return nil, err
	}
	return done, nil
}

type bootstrap struct {
	tx     pgx.Tx
	hasher PasswordHasher
	done   []string
}

func (b *bootstrap) did(format string, args ...any) {
	b.done = append(b.done, fmt.Sprintf(format, args...))
}

func (b *bootstrap) operator(ctx context.Context, f Founders) error {
	email, err := ParseEmail(f.RootEmail)
	if err != nil {
		return wrongSetting("root's address", err)
	}
	if err := CheckPassword(f.RootPassword, email.Shown, "wizlearnr"); err != nil {
		return wrongSetting("root's password", err)
	}
	if err := b.organization(ctx, OperatorOrganization, "wizlearnr", true); err != nil {
		return err
	}
	if err := b.person(ctx, OperatorOrganization, OperatorOwner, "wizlearnr", email, Root); err != nil {
		return err
	}
	return b.password(ctx, OperatorOwner, f.RootPassword)
}

func (b *bootstrap) client(ctx context.Context, f Founders) error {
	if err := b.organization(ctx, ClientOrganization, "dreambridge", false); err != nil {
		return err
	}
	if f.ClientEmail != "" {
		email, err := ParseEmail(f.ClientEmail)
		if err != nil {
			return wrongSetting("the client's address", err)
		}
		if err := b.person(ctx, ClientOrganization, ClientOwner, "dreambridge", email, Owner); err != nil {
			return err
		}
	}
	if f.ClientSecret == "" {
		return nil
	}
	return b.credential(ctx, f.ClientSecret)
}

// organization makes an organisation, or the operator of one that is there. It locks
// the row in any case, so that of two that run at once the second sees what the first
// has done.
func (b *bootstrap) organization(ctx context.Context, id, name string, operator bool) error {
	tag, err := b.tx.Exec(ctx, `
		INSERT INTO organizations AS o (organization_id, name, operator)
		VALUES ($1, $2, $3)
		ON CONFLICT (organization_id) DO UPDATE
		SET operator = $3
		WHERE o.operator <> $3`, id, name, operator)
	if tag.RowsAffected() > 0 {
		b.did("The organisation %s is there.", id)
	}
	return postgres.Fault(err)
}

// person makes a person, or gives one that is there this address and role.
func (b *bootstrap) person(ctx context.Context, organization, user, name string, email Email, role Role) error {
	var taken bool
	err := b.tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM users WHERE address = $1 AND user_id <> $2)`, email.Address, user).Scan(&taken)
	if err != nil {
		return postgres.Fault(err)
	}
	if taken {
		return fault.New(fault.Conflict, "The address that %s shall have belongs to another account.", user)
	}
	tag, err := b.tx.Exec(ctx, `
		INSERT INTO users AS u (user_id, organization_id, name, role, email, address)
		VALUES ($2, $1, $3, $4, $5, $6)
		ON CONFLICT (user_id) DO UPDATE
		SET role = $4, email = $5, address = $6, updated_at = now()
		WHERE (u.role, u.email, u.address) IS DISTINCT FROM ($4, $5, $6)`, organization, user, name, role, email.Shown, email.Address)
	if tag.RowsAffected() > 0 {
		b.did("The person %s is there, as %s.", user, role)
	}
	return postgres.Fault(err)
}

// password gives a person the password, unless it is the one of the last run.
func (b *bootstrap) password(ctx context.Context, user, password string) error {
	var last string
	err := b.tx.QueryRow(ctx, `
		SELECT f.hashed_password
		FROM founders f JOIN passwords p USING (user_id)
		WHERE f.user_id = $1`, user).Scan(&last)
	if err = postgres.Fault(err); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if last != "" {
		if same, _, err := b.hasher.Verify(ctx, password, last); same || err != nil {
			return err
		}
	}
	hash, err := b.hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	if err := endLinks(ctx, b.tx, user); err != nil {
		return err
	}
	_, err = b.tx.Exec(ctx, `
		WITH password AS (
			INSERT INTO passwords (user_id, hashed_password)
			VALUES ($1, $2)
			ON CONFLICT (user_id) DO UPDATE SET hashed_password = $2, changed_at = now()
		), founder AS (
			INSERT INTO founders (user_id, hashed_password)
			VALUES ($1, $2)
			ON CONFLICT (user_id) DO UPDATE SET hashed_password = $2
		)
		DELETE FROM sign_ins WHERE user_id = $1`, user, hash)
	b.did("The person %s has the password of the setting, and is signed out.", user)
	return postgres.Fault(err)
}

// credential makes the client's credential, or the next one when its secret is
// another.
func (b *bootstrap) credential(ctx context.Context, secret string) error {
	var ids []string
	var last string
	err := b.tx.QueryRow(ctx, `
		SELECT coalesce(array_agg(auth_id), '{}'),
			coalesce((array_agg(hashed_password ORDER BY length(auth_id) DESC, auth_id DESC))[1], '') -- the highest number's
		FROM credentials
		WHERE organization = $1 AND created_by = $2`, ClientOrganization, bootstrapped).Scan(&ids, &last)
	if err != nil {
		return postgres.Fault(err)
	}
	if last != "" {
		if same, _, err := b.hasher.Verify(ctx, secret, last); same || err != nil {
			return err
		}
	}
	next := NewCredential{AuthID: ClientCredential, Label: "dreambridge", Scopes: []string{Chat, ReadCourses, WriteCourses}}
	if len(ids) > 0 {
		next.AuthID = fmt.Sprintf("%s-%d", ClientCredential, len(ids)+1)
	}
	if _, err := next.SetSecret(ctx, b.hasher, secret); err != nil {
		return wrongSetting("the client's secret", err)
	}
	for _, earlier := range ids {
		if err := RevokeCredential(ctx, b.tx, ClientOrganization, earlier, bootstrapped); err != nil {
			return err
		}
	}
	if _, err := next.Insert(ctx, b.tx, ClientOrganization, bootstrapped); err != nil {
		return err
	}
	b.did("The API credential %s of %s is there; those before it are revoked.", next.AuthID, ClientOrganization)
	return nil
}

// bootstrapped is who made a credential that Bootstrap made.
const bootstrapped = "bootstrap"

// wrongSetting says which setting is wrong, without its value.
func wrongSetting(what string, err error) error {
	return fault.New(fault.Invalid, "%s: %s", what, fault.Message(err))
}
