package account

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// person is who signs in with a password.
type person struct {
	user, organization string
	hash               string // "": no password
	email              Email
	name               string
}

// findPerson gives who has an address; nobody is no error. For who is not there the
// next one in the index is read, or the first after the last: an index that finds
// nothing is quicker by some microseconds, which 2,000 samples show.
func findPerson(ctx context.Context, q postgres.Querier, address string) (p person, err error) {
	err = q.QueryRow(postgres.AnyOfPool(ctx), `
		SELECT u.user_id, u.organization_id, coalesce(p.hashed_password, ''), u.email, u.address, u.name
		FROM (
			SELECT *
			FROM (
				(SELECT * FROM users WHERE address >= $1 ORDER BY address LIMIT 1)
				UNION ALL
				(SELECT * FROM users WHERE address IS NOT NULL ORDER BY address LIMIT 1)) two
			ORDER BY address < $1
			LIMIT 1) u LEFT JOIN passwords p USING (user_id)`, address). // nobody knows the organisation yet
		Scan(&p.user, &p.organization, &p.hash, &p.email.Shown, &p.email.Address, &p.name)
	err = postgres.Fault(err)
	if fault.Is(err, fault.NotFound) || err == nil && p.email.Address != address {
		return person{}, nil
	}
	return p, err
}

// SignIn lets a person in who knows their password. Who is not known costs the same
// work and gets the same answer as a wrong password: Unauthenticated. Exhausted when
// it was tried too often, before a hash is spent.
//
// Guessing is slowed by account, by client address and by process. So that nobody
// can keep a person out by guessing for them, a device on which they have signed in
// before has an allowance of its own, beside all three.
// https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies
func (d *Desk) SignIn(ctx context.Context, v Visitor, email, password string) (Session, error) {
	e, err := ParseEmail(email)
	if err != nil {
		return Session{}, err
	}
	asks := d.guesses(v, e)
	if !v.knows(e) {
		if err := d.hurry(); err != nil {
			return Session{}, err
		}
	}
	if err := d.throttle.Allow(ctx, asks...); err != nil {
		return Session{}, err
	}
	p, err := findPerson(ctx, d.DB, e.Address)
	if err != nil {
		return Session{}, err
	}
	hash, err := d.verify(ctx, p, password)
	if err != nil {
		return Session{}, err
	}
	var s Session
	err = postgres.InTx(postgres.AnyOfPool(ctx), d.DB, func(tx pgx.Tx) (err error) {
		s, err = v.enter(ctx, tx, e, func() (Secret, error) { return beginWith(ctx, tx, p.user, hash, v.Browser) })
		return err
	})
	if err != nil {
		return Session{}, err
	}
	d.giveBack(ctx, asks...)
	return s, nil
}

// guesses are the allowances that a wrong password costs.
func (d *Desk) guesses(v Visitor, e Email) []Ask {
	if v.knows(e) {
		return []Ask{{ThrottleKey("sign-in device", v.Device), d.Limits.Device}}
	}
	return []Ask{{ThrottleKey("sign-in account", e.Address), d.Limits.Account}, v.network("sign-in", d.Limits.Network)}
}

// verify gives the stored hash that the password fits, made anew when it was of an
// old cost. It works as long for who does not exist or has no password.
func (d *Desk) verify(ctx context.Context, p person, password string) (hash string, err error) {
	if p.hash == "" {
		if err := d.Hasher.Dummy(ctx, password); err != nil {
			return "", err
		}
		return "", errSignIn
	}
	ok, old, err := d.Hasher.Verify(ctx, password, p.hash)
	switch {
	case err != nil:
		return "", err
	case !ok:
		return "", errSignIn
	case !old:
		return p.hash, nil
	}
	fresh, err := d.Hasher.Hash(ctx, password)
	if err != nil {
		return "", err
	}
	tag, err := d.DB.Exec(postgres.AnyOfPool(ctx), `
		UPDATE passwords
		SET hashed_password = $3
		WHERE user_id = $1 AND hashed_password = $2`, p.user, p.hash, fresh)
	if err != nil || tag.RowsAffected() == 0 {
		return p.hash, postgres.Fault(err) // somebody was quicker; beginWith decides
	}
	return fresh, nil
}

// giveBack returns allowances to who was no guesser. When that fails they have a
// little less for a minute.
func (d *Desk) giveBack(ctx context.Context, asks ...Ask) {
	if err := d.throttle.GiveBack(ctx, asks...); err != nil {
		slog.WarnContext(ctx, "an allowance was not given back", "error", err)
	}
}

// NewSignInLink gives the secret of a link that signs a person in once: for who runs
// a Lectern and stands at its machine.
func NewSignInLink(ctx context.Context, q postgres.Querier, p Principal) (Secret, error) {
	l := newLink(signInLink)
	l.organization, l.user, l.createdBy = p.Organization, p.User, p.User
	return l.make(ctx, q)
}

// SignInByLink lets in who comes with a link of NewSignInLink.
func (d *Desk) SignInByLink(ctx context.Context, v Visitor, secret Secret) (s Session, err error) {
	if err := d.tryLink(ctx, v); err != nil {
		return Session{}, err
	}
	err = postgres.InTx(postgres.AnyOfPool(ctx), d.DB, func(tx pgx.Tx) error {
		l, err := redeem(ctx, tx, signInLink, secret)
		if err != nil {
			return err
		}
		s, err = v.enter(ctx, tx, Email{}, func() (Secret, error) { return Begin(ctx, tx, l.user, v.Browser) })
		return err
	})
	return s, err
}

// tryLink asks for the allowance of who comes with a link. Nobody guesses 256 bits;
// it bounds the work that trying makes.
func (d *Desk) tryLink(ctx context.Context, v Visitor) error {
	return d.throttle.Allow(ctx, v.network("links", d.Limits.Links))
}
