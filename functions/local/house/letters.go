package house

import (
	"context"
	"fmt"
	"io"
	"strings"

	"lectern.dev/lectern/internal/mail"
)

// mail gives who sends letters: nobody does, they are shown here.
func (h *House) mail() mail.Sender {
	if h.opts.Letters == nil {
		return mail.Log{}
	}
	return &letters{h.opts.Letters}
}

// letters prints letters as they would arrive. In a line of the log, quoted, their
// links could not be followed.
type letters struct{ out io.Writer }

// Send implements mail.Sender.
func (l *letters) Send(_ context.Context, m mail.Message) error {
	text := strings.ReplaceAll(strings.TrimSpace(m.Text), "\n", "\n  | ")
	_, err := fmt.Fprintf(l.out, "a letter to %s: %s\n  | %s\n", m.To, m.Subject, text)
	return err
}
