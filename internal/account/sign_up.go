package account

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// Newcomer is who wants an account.
type Newcomer struct {
	Email        string // of an invitation: "" or its address
	Password     string
	Name         string
	Organization string // the name of the one that is made
	Invitation   Secret // joins an organisation instead
}

// SignUpState says what a newcomer does next.
type SignUpState string

// What is next.
const (
	LetterSent SignUpState = "letter_sent" // look into the mailbox
	Ready      SignUpState = "ready"       // sign in
	Entered    SignUpState = "signed_in"   // nothing: here is the Session
)

// SignUp makes an organisation with its owner, or a member by invitation. With
// VerifyEmail an organisation comes to life when the link in the letter is used. Who
// has an invitation has shown that its address is theirs, and is signed in; nobody
// else gets a Session here.
//
// Whether an address has an account already is not to be learned here: both ways
// store a link, hash the password and send a letter; only the letter, which the
// address's owner alone reads, tells the difference.
func (d *Desk) SignUp(ctx context.Context, v Visitor, n Newcomer) (SignUpState, Session, error) {
	if n.Invitation != "" {
		s, err := d.join(ctx, v, n)
		return Entered, s, err
	}
	state, err := d.apply(ctx, v, n)
	return state, Session{}, err
}

// apply is SignUp without an invitation.
func (d *Desk) apply(ctx context.Context, v Visitor, n Newcomer) (SignUpState, error) {
	e, err := ParseEmail(n.Email)
	if err != nil {
		return "", err
	}
	if n.Name, err = cleanName(n.Name, "body.name"); err != nil {
		return "", err
	}
	if n.Organization, err = cleanName(n.Organization, "body.organization"); err != nil {
		return "", err
	}
	if err := choosePassword("body.password", n.Password, e.Shown, n.Name, n.Organization); err != nil {
		return "", err
	}
	if err := d.hurry(); err != nil {
		return "", err
	}
	if err := d.throttle.Allow(ctx, v.network("sign-up", d.Limits.SignUps), d.letter(e), d.post()); err != nil {
		return "", err
	}
	hash, err := d.Hasher.Hash(ctx, n.Password)
	if err != nil {
		return "", err
	}
	l := newLink(signUpLink)
	l.address, l.data = e.Address, linkData{Email: e.Shown, Name: n.Name, Organization: n.Organization, Password: hash}
	if d.VerifyEmail {
		return LetterSent, d.askToConfirm(ctx, e, l)
	}
	return Ready, d.foundAtOnce(ctx, e, l)
}

func (d *Desk) askToConfirm(ctx context.Context, e Email, l link) error {
	secret, err := l.make(ctx, d.DB)
	if err != nil {
		return err
	}
	p, err := findPerson(ctx, d.DB, e.Address)
	if err != nil {
		return err
	}
	if p.user != "" { // the link in the table stays unknown to everybody
		return d.send(ctx, d.letterKnown(p.email))
	}
	return d.send(ctx, d.letterSignUp(e, secret))
}

// foundAtOnce is for who trusts everybody that can reach this Lectern.
func (d *Desk) foundAtOnce(ctx context.Context, e Email, l link) error {
	err := postgres.InTx(postgres.AnyOfPool(ctx), d.DB, func(tx pgx.Tx) error {
		_, err := found(ctx, tx, l)
		return err
	})
	if fault.Is(err, fault.Conflict) {
		return d.send(ctx, d.letterKnown(e))
	}
	if err != nil {
		return err
	}
	return d.send(ctx, d.letterWelcome(e))
}

// Confirm brings an account to life with the link that its address was sent, and
// signs its owner in.
func (d *Desk) Confirm(ctx context.Context, v Visitor, secret Secret) (s Session, err error) {
	if err := d.tryLink(ctx, v); err != nil {
		return Session{}, err
	}
	err = postgres.InTx(postgres.AnyOfPool(ctx), d.DB, func(tx pgx.Tx) error {
		l, err := redeem(ctx, tx, signUpLink, secret)
		if err != nil {
			return err
		}
		user, err := found(ctx, tx, l)
		if err != nil {
			return err
		}
		s, err = v.enter(ctx, tx, Email{Address: l.address}, func() (Secret, error) { return Begin(ctx, tx, user, v.Browser) })
		return err
	})
	return s, err
}

// found makes an organisation with its owner.
func found(ctx context.Context, tx postgres.Querier, l link) (user string, err error) {
	l.organization = id.New(id.Organization)
	l.data.Role = Owner
	_, err = tx.Exec(ctx, `INSERT INTO organizations (organization_id, name) VALUES ($1, $2)`, l.organization, l.data.Organization)
	if err != nil {
		return "", postgres.Fault(err)
	}
	return settle(ctx, tx, l)
}

// join makes a member of the organisation that has invited them, and signs them in.
// The invitation has come to the address, which proves that it is theirs.
func (d *Desk) join(ctx context.Context, v Visitor, n Newcomer) (s Session, err error) {
	if err := d.tryLink(ctx, v); err != nil {
		return Session{}, err
	}
	l, err := peek(ctx, d.DB, invitationLink, n.Invitation)
	if err != nil {
		return Session{}, err
	}
	if n.Email != "" {
		if e, err := ParseEmail(n.Email); err != nil || e.Address != l.address {
			return Session{}, wrongField("body.email", "The invitation was sent to another address. Leave the address out, or ask for an invitation to this one.")
		}
	}
	if l.data.Name, err = cleanName(n.Name, "body.name"); err != nil {
		return Session{}, err
	}
	if err := choosePassword("body.password", n.Password, l.data.Email, l.data.Name); err != nil {
		return Session{}, err
	}
	if l.data.Password, err = d.Hasher.Hash(ctx, n.Password); err != nil {
		return Session{}, err
	}
	err = postgres.InTx(postgres.AnyOfPool(ctx), d.DB, func(tx pgx.Tx) error {
		if _, err := redeem(ctx, tx, invitationLink, n.Invitation); err != nil {
			return err
		}
		if err := stillInvites(ctx, tx, l); err != nil {
			return err
		}
		user, err := settle(ctx, tx, l)
		if err != nil {
			return err
		}
		s, err = v.enter(ctx, tx, Email{Address: l.address}, func() (Secret, error) { return Begin(ctx, tx, user, v.Browser) })
		return err
	})
	return s, err
}

// stillInvites refuses an invitation whose sender may not send it any more.
func stillInvites(ctx context.Context, tx postgres.Querier, l link) error {
	var role Role
	err := tx.QueryRow(ctx, `
		SELECT role
		FROM users
		WHERE organization_id = $1 AND user_id = $2`, l.organization, l.createdBy).Scan(&role)
	if err = postgres.Fault(err); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if !role.AtLeast(Owner) || !role.AtLeast(l.data.Role) {
		return errLink
	}
	return nil
}

// settle makes the person that a link promises, with their password. Root they are
// only in an operator's organisation.
func settle(ctx context.Context, tx postgres.Querier, l link) (user string, err error) {
	user = id.New(id.User)
	tag, err := tx.Exec(ctx, `
		WITH u AS (
			INSERT INTO users (user_id, organization_id, name, role, email, address)
			SELECT $1, organization_id, $3, $4, $5, $6
			FROM organizations
			WHERE organization_id = $2 AND (operator OR $4 <> 'root')
			ON CONFLICT (address) DO NOTHING
			RETURNING user_id)
		INSERT INTO passwords (user_id, hashed_password)
		SELECT user_id, $7 FROM u`, user, l.organization, l.data.Name, l.data.Role, l.data.Email, l.address, l.data.Password)
	if err == nil && tag.RowsAffected() == 0 {
		return "", fault.New(fault.Conflict, "There is already an account with this e-mail address. Sign in, or ask for a new password.")
	}
	return user, postgres.Fault(err)
}
