package account

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// Reset sends a letter with which the owner of an address can choose another
// password. Earlier ones end.
//
// A function does nothing after its answer, and a letter takes long: so one is sent
// to every address that is asked for, known or not, and waited for. Who has no
// account reads that, and that somebody asked. The link is stored for both, and
// names the person in its data, since the check of a foreign key would take time for
// the known alone.
func (d *Desk) Reset(ctx context.Context, v Visitor, email string) error {
	e, err := ParseEmail(email)
	if err != nil {
		return err
	}
	if err := d.throttle.Allow(ctx, v.network("resets", d.Limits.Resets), d.letter(e), d.post()); err != nil {
		return err
	}
	p, err := findPerson(ctx, d.DB, e.Address)
	if err != nil {
		return err
	}
	l := newLink(resetLink)
	l.address, l.data.User = e.Address, p.user
	if p.user == "" {
		l.data.User = id.New(id.User) // nobody
	}
	secret, err := l.make(ctx, d.DB)
	if err != nil {
		return err
	}
	if p.user == "" {
		return d.send(ctx, d.letterUnknown(e))
	}
	return d.send(ctx, d.letterReset(p.email, secret))
}

// RedeemReset gives who comes with a reset's link the password that they choose. It
// signs them out everywhere, ends their other links, and signs them in here.
func (d *Desk) RedeemReset(ctx context.Context, v Visitor, secret Secret, password string) (s Session, err error) {
	if err := d.tryLink(ctx, v); err != nil {
		return Session{}, err
	}
	l, err := peek(ctx, d.DB, resetLink, secret)
	if err != nil {
		return Session{}, err
	}
	if err := choosePassword("body.password", password, l.address); err != nil {
		return Session{}, err
	}
	hash, err := d.Hasher.Hash(ctx, password)
	if err != nil {
		return Session{}, err
	}
	err = postgres.InTx(postgres.AnyOfPool(ctx), d.DB, func(tx pgx.Tx) error {
		if _, err := redeem(ctx, tx, resetLink, secret); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			INSERT INTO passwords (user_id, hashed_password)
			SELECT user_id, $3 FROM users WHERE user_id = $1 AND address = $2
			ON CONFLICT (user_id) DO UPDATE SET hashed_password = $3, changed_at = now()`, l.data.User, l.address, hash)
		if err != nil {
			return postgres.Fault(err)
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.Unauthenticated, "This account is not there any more.")
		}
		s, err = v.renew(ctx, tx, l.data.User, Email{Address: l.address})
		return err
	})
	if err != nil {
		return Session{}, err
	}
	d.tellChanged(ctx, s.Profile)
	return s, nil
}

// ChangePassword gives p another password when they know the present one. All their
// other sign-ins and links end.
func (d *Desk) ChangePassword(ctx context.Context, v Visitor, p Principal, current, password string) (s Session, err error) {
	guess := Ask{ThrottleKey("password", p.User), d.Limits.Account}
	if err := d.throttle.Allow(ctx, guess); err != nil {
		return Session{}, err
	}
	var known person
	err = d.DB.QueryRow(postgres.AnyOfPool(ctx), `
		SELECT u.user_id, u.email, coalesce(u.address, ''), u.name, coalesce(p.hashed_password, '')
		FROM users u LEFT JOIN passwords p USING (user_id)
		WHERE u.organization_id = $1 AND u.user_id = $2`, p.Organization, p.User).
		Scan(&known.user, &known.email.Shown, &known.email.Address, &known.name, &known.hash)
	if err != nil {
		return Session{}, postgres.Fault(err)
	}
	if known.hash == "" {
		return Session{}, fault.New(fault.Conflict, "You have no password yet.")
	}
	if err := choosePassword("body.new", password, known.email.Shown, known.name); err != nil {
		return Session{}, err
	}
	ok, _, err := d.Hasher.Verify(ctx, current, known.hash)
	if err != nil {
		return Session{}, err
	}
	if !ok {
		return Session{}, wrongField("body.current", "The present password is not right.")
	}
	hash, err := d.Hasher.Hash(ctx, password)
	if err != nil {
		return Session{}, err
	}
	err = postgres.InTx(postgres.AnyOfPool(ctx), d.DB, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE passwords
			SET hashed_password = $3, changed_at = now()
			WHERE user_id = $1 AND hashed_password = $2`, p.User, known.hash, hash)
		if err != nil {
			return postgres.Fault(err)
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.Conflict, "The password was changed in the meantime.")
		}
		s, err = v.renew(ctx, tx, p.User, known.email)
		return err
	})
	if err != nil {
		return Session{}, err
	}
	d.giveBack(ctx, guess)
	d.tellChanged(ctx, s.Profile)
	return s, nil
}

// renew ends all that a person's old password has opened, and signs them in here.
func (v Visitor) renew(ctx context.Context, tx postgres.Querier, user string, e Email) (Session, error) {
	if err := endLinks(ctx, tx, user); err != nil {
		return Session{}, err
	}
	// The row of passwords, which who signs in must hold, is ours until the end.
	if _, err := tx.Exec(ctx, `DELETE FROM sign_ins WHERE user_id = $1`, user); err != nil {
		return Session{}, postgres.Fault(err)
	}
	return v.enter(ctx, tx, e, func() (Secret, error) { return Begin(ctx, tx, user, v.Browser) })
}

// tellChanged warns the owner of an account; the change stands without the letter.
func (d *Desk) tellChanged(ctx context.Context, p Profile) {
	if p.Email == "" {
		return
	}
	if err := d.Mail.Send(ctx, d.letterChanged(Email{Shown: p.Email})); err != nil {
		slog.WarnContext(ctx, "the letter about a changed password was not sent", "user", p.ID, "error", err)
	}
}
