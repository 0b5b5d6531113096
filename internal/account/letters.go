package account

import (
	"context"
	"log/slog"
	"strings"
	"unicode"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/mail"
)

// Letters hold no text that a stranger has chosen: whoever can make us write to
// somebody could otherwise have us send their message. Only the name of an
// organisation that invites is told, and no link can be made of it.

// send sends a letter that is waited for. One that the server refuses for good, an
// address without a mailbox for example, is no news for who asked.
func (d *Desk) send(ctx context.Context, m mail.Message) error {
	err := d.Mail.Send(ctx, m)
	if fault.Is(err, fault.Invalid) {
		slog.WarnContext(ctx, "a letter was refused", "subject", m.Subject, "error", err)
		return nil
	}
	return err
}

func (d *Desk) link(path string, secret Secret) string {
	return d.PublicURL + path + "?token=" + string(secret)
}

func (d *Desk) letterSignUp(e Email, secret Secret) mail.Message {
	return mail.Message{To: e.Shown, Subject: "Confirm your e-mail address", Text: `Hello,

somebody, we hope you, wants to open a Lectern account with this e-mail address.
Open this link within 30 minutes to confirm that it was you:

` + d.link("/sign-up/confirm", secret) + `

If it was not you, do not open the link: there will be no account without it, and
who wrote your address has chosen its password.
`}
}

func (d *Desk) letterKnown(e Email) mail.Message {
	return mail.Message{To: e.Shown, Subject: "You already have an account", Text: `Hello,

somebody, we hope you, wanted to open a Lectern account with this e-mail address.
You already have one. Sign in here:

` + d.PublicURL + `/sign-in

If you do not know your password any more, ask for a new one there. If it was not
you, there is nothing to do: nothing has changed, and nobody was told that you
have an account.
`}
}

func (d *Desk) letterWelcome(e Email) mail.Message {
	return mail.Message{To: e.Shown, Subject: "Your Lectern account", Text: `Hello,

your Lectern account is ready. Sign in with this e-mail address here:

` + d.PublicURL + `/sign-in
`}
}

func (d *Desk) letterReset(e Email, secret Secret) mail.Message {
	return mail.Message{To: e.Shown, Subject: "Choose a new password", Text: `Hello,

somebody, we hope you, has asked for a new password for your Lectern account.
Open this link within 30 minutes to choose one:

` + d.link("/reset", secret) + `

It works once, and only the newest link works. If it was not you, there is nothing
to do: your password stays as it is.
`}
}

func (d *Desk) letterUnknown(e Email) mail.Message {
	return mail.Message{To: e.Shown, Subject: "You have no account here", Text: `Hello,

somebody, we hope you, has asked for a new password for a Lectern account with this
e-mail address. There is no such account. If you have one, it has another address;
if you want one, sign up here:

` + d.PublicURL + `/sign-up

If it was not you, there is nothing to do.
`}
}

func (d *Desk) letterChanged(e Email) mail.Message {
	return mail.Message{To: e.Shown, Subject: "Your password was changed", Text: `Hello,

the password of your Lectern account was changed just now, and all other devices were
signed out. If it was not you, ask for a new password at once:

` + d.PublicURL + `/reset
`}
}

func (d *Desk) letterInvitation(e Email, organization string, secret Secret) mail.Message {
	return mail.Message{To: e.Shown, Subject: "You are invited to Lectern", Text: `Hello,

you are invited to join an organisation on Lectern: ` + harmless(organization) + `.
Open this link within 30 minutes to choose your password:

` + d.link("/invitation", secret) + `

If you did not expect this, there is nothing to do.
`}
}

func (d *Desk) letterCannotJoin(e Email, organization string) mail.Message {
	return mail.Message{To: e.Shown, Subject: "You are invited to Lectern", Text: `Hello,

you are invited to join an organisation on Lectern: ` + harmless(organization) + `.
There is already a Lectern account with this e-mail address, and an account belongs
to one organisation. To join, ask for an invitation to another address of yours.

If you did not expect this, there is nothing to do.
`}
}

// harmless leaves letters, digits and single spaces of a name, and at most 60 of them.
func harmless(name string) string {
	words := strings.FieldsFunc(name, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsDigit(c) })
	short := []rune(strings.Join(words, " "))
	return string(short[:min(len(short), 60)])
}
