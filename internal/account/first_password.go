package account

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// TakeAddress gives p, who came in by a printed link, the address and password with
// which they sign in from now on: the owner of a Lectern on one machine has none.
// Conflict when they have an address, or somebody else has this one. Nothing proves
// that the address is theirs, so it is for operators alone.
func (d *Desk) TakeAddress(ctx context.Context, v Visitor, p Principal, email, password string) (s Session, err error) {
	e, err := ParseEmail(email)
	if err != nil {
		return Session{}, err
	}
	me, err := GetProfile(ctx, d.DB, p)
	if err != nil {
		return Session{}, err
	}
	if me.Email != "" {
		return Session{}, fault.New(fault.Conflict, "You have an e-mail address and a password already.")
	}
	if err := choosePassword("body.password", password, e.Shown, me.Name); err != nil {
		return Session{}, err
	}
	hash, err := d.Hasher.Hash(ctx, password)
	if err != nil {
		return Session{}, err
	}
	err = postgres.InTx(postgres.AnyOfPool(ctx), d.DB, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			WITH u AS (
				UPDATE users
				SET email = $3, address = $4, updated_at = now()
				WHERE organization_id = $1 AND user_id = $2 AND address IS NULL
				  AND NOT EXISTS (SELECT FROM users WHERE address = $4)
				RETURNING user_id)
			INSERT INTO passwords (user_id, hashed_password)
			SELECT user_id, $5 FROM u`, p.Organization, p.User, e.Shown, e.Address, hash)
		if err != nil {
			return postgres.Fault(err)
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.Conflict, "There is already an account with this e-mail address. Take another.")
		}
		s, err = v.enter(ctx, tx, e, func() (Secret, error) { return Begin(ctx, tx, p.User, v.Browser) })
		return err
	})
	return s, err
}
