// Package mail is the port to people's mailboxes.
package mail

import (
	"context"
	"log/slog"
)

// Message is a letter of plain text to one person.
type Message struct {
	To      string // an e-mail address
	Subject string
	Text    string
}

// Sender sends letters.
type Sender interface {
	// Send hands a letter over. Unavailable when trying again can help.
	Send(ctx context.Context, m Message) error
}

// Log writes letters to the log instead of sending them: for a laptop, where the
// reader of the log is the person the letter is for.
type Log struct{}

// Send implements Sender.
func (Log) Send(ctx context.Context, m Message) error {
	slog.WarnContext(ctx, "a letter that is not sent, since no mail server is set", "to", m.To, "subject", m.Subject, "text", m.Text)
	return nil
}
