package auth

import (
	"testing"

	"lectern.dev/lectern/internal/mail"
	"lectern.dev/lectern/internal/smtp"
)

// Without a mail server nobody may have to wait for a letter.
func TestWhoSendsLetters(t *testing.T) {
	t.Parallel()
	full := Config{SMTPHost: "mail.example.com", SMTPPort: 587, SMTPUser: "u", SMTPPassword: "p", MailFrom: "no-reply@example.com", VerifyEmail: true}
	if s, err := full.sender(); err != nil {
		t.Error(err)
	} else if _, ok := s.(*smtp.Sender); !ok {
		t.Errorf("%T", s)
	}
	if s, err := (Config{SMTPPort: 587}).sender(); err != nil || s != (mail.Log{}) {
		t.Errorf("%T, %v", s, err)
	}
	for name, c := range map[string]Config{
		"letters that nobody sends": {SMTPPort: 587, VerifyEmail: true},
		"a password without a host": {SMTPPassword: "p"},
		"a sender without a host":   {MailFrom: "no-reply@example.com"},
		"a host without a sender":   {SMTPHost: "mail.example.com"},
	} {
		if _, err := c.sender(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
