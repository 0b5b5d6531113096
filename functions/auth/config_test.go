package auth

import (
	"testing"

	"lectern.dev/lectern/internal/mail"
	"lectern.dev/lectern/internal/smtp"
)

// Without a mail server nobody may have to wait for a letter.
func TestWhoSendsLetters(t *testing.T) {
	t.Parallel()
	full := Config{Mail: smtp.Config{Host: "mail.example.com", Port: 587, User: "u", Password: "p", From: "no-reply@example.com"}, VerifyEmail: true}
	if s, err := full.sender(); err != nil {
		t.Error(err)
	} else if _, ok := s.(*smtp.Sender); !ok {
		t.Errorf("%T", s)
	}
	if s, err := (Config{Mail: smtp.Config{Port: 587}}).sender(); err != nil || s != (mail.Log{}) {
		t.Errorf("%T, %v", s, err)
	}
	for name, c := range map[string]Config{
		"letters that nobody sends": {Mail: smtp.Config{Port: 587}, VerifyEmail: true},
		"a password without a host": {Mail: smtp.Config{Password: "p"}},
		"a sender without a host":   {Mail: smtp.Config{From: "no-reply@example.com"}},
		"a host without a sender":   {Mail: smtp.Config{Host: "mail.example.com"}},
	} {
		if _, err := c.sender(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
