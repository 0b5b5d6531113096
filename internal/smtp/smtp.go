// Package smtp sends letters through a mail server.
package smtp

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/mail"
)

// Config names a mail server and who writes.
type Config struct {
	Host     string        `env:"SMTP_HOST"`              // the mail server; empty: letters are written to the log
	Port     int           `env:"SMTP_PORT, default=587"` // of the mail server. 465: TLS from the start; others: STARTTLS
	User     string        `env:"SMTP_USER"`              // who signs in to the mail server; empty: it asks for none
	Password string        `env:"SMTP_PASSWORD"`          // of SMTP_USER; secret
	From     string        `env:"MAIL_FROM"`              // who writes: name@host, or "Name <name@host>"
	Timeout  time.Duration // of a whole letter; 0: 10 s
	TLS      *tls.Config   // nil: the system's roots
}

// Sender implements mail.Sender. It opens a connection for each letter: letters are
// rare, and an idle function could not keep one. Nothing is ever sent in clear.
type Sender struct {
	Config
	from    *netmail.Address
	options []gomail.Option
}

// Open gives the mail server, or the log where none is set.
func Open(c Config) (mail.Sender, error) {
	switch {
	case c.Host != "":
		return New(c)
	case c.User != "" || c.Password != "" || c.From != "":
		return nil, errors.New("SMTP_HOST is missing, though other settings of the mail server are there")
	}
	return mail.Log{}, nil
}

// New checks the settings; it does not dial.
func New(c Config) (*Sender, error) {
	from, err := netmail.ParseAddress(c.From)
	if err != nil {
		return nil, errors.New("the sender of letters is not an e-mail address")
	}
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.Port = cmp.Or(c.Port, gomail.DefaultPortTLS)
	if c.TLS == nil {
		c.TLS = new(tls.Config)
	}
	c.TLS = c.TLS.Clone()
	c.TLS.ServerName, c.TLS.MinVersion = c.Host, tls.VersionTLS12
	s := &Sender{c, from, []gomail.Option{
		gomail.WithPort(c.Port), gomail.WithTimeout(c.Timeout), gomail.WithoutNoop(),
		gomail.WithTLSPolicy(gomail.TLSMandatory), gomail.WithTLSConfig(c.TLS),
	}}
	auth := gomail.SMTPAuthAutoDiscover
	if s.implicitTLS() {
		s.options = append(s.options, gomail.WithSSL())
		auth = gomail.SMTPAuthPlain // the discovery takes a connection that it has not made for one in clear
	}
	if c.User != "" {
		s.options = append(s.options, gomail.WithSMTPAuth(auth), gomail.WithUsername(c.User), gomail.WithPassword(c.Password))
	}
	if _, err := gomail.NewClient(c.Host, s.options...); err != nil {
		return nil, fmt.Errorf("the settings of the mail server: %w", err)
	}
	return s, nil
}

func (s *Sender) implicitTLS() bool { return s.Port == gomail.DefaultPortSSL }

// Send implements mail.Sender. Invalid when the letter will never be taken: its
// address or subject holds what does not belong there, or the server refuses it for
// good. The log gets the server's answer, never the letter.
func (s *Sender) Send(ctx context.Context, m mail.Message) error {
	letter, err := s.write(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel() // which closes the connection, whatever the library has left open
	client, err := gomail.NewClient(s.Host, append(slices.Clip(s.options), gomail.WithDialContextFunc(s.dialer(ctx)))...)
	if err != nil {
		return err
	}
	err = client.DialAndSendWithContext(ctx, letter)
	if err == nil || letter.IsDelivered() { // the server has it, though it did not say good-bye
		return nil
	}
	if refused, ok := errors.AsType[*gomail.SendError](err); ok && refused.ErrorCode() >= 500 {
		return fault.Wrap(fault.Invalid, err, "The mail server does not take this letter.")
	}
	return fault.Wrap(fault.Unavailable, err, "The letter cannot be sent right now. Try again in a moment.")
}

// dialer makes a connection that ends with life: the library looks at a context only
// while it dials.
func (s *Sender) dialer(life context.Context) gomail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(life, func() { _ = conn.Close() })
		if s.implicitTLS() {
			return tls.Client(conn, s.TLS), nil
		}
		return conn, nil
	}
}

// write makes the letter. Who can put a line break into a header can write headers
// of their own, and who can put a second address into To sends to others.
func (s *Sender) write(m mail.Message) (*gomail.Msg, error) {
	to, err := netmail.ParseAddress(m.To)
	if err != nil || to.Name != "" || to.Address != m.To || strings.ContainsFunc(m.To, control) {
		return nil, fault.New(fault.Invalid, "This is not an e-mail address that a letter can be sent to.")
	}
	if strings.ContainsFunc(m.Subject, control) {
		return nil, fault.New(fault.Invalid, "The subject of a letter holds a character that does not belong there.")
	}
	letter := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	letter.FromMailAddress(s.from)
	letter.ToMailAddress(to)
	letter.Subject(m.Subject)
	letter.SetDate()
	letter.SetMessageIDWithValue(messageID(s.from.Address))
	// Nobody is to answer for a person who is away.
	letter.SetGenHeader("Auto-Submitted", "auto-generated")
	letter.SetBodyString(gomail.TypeTextPlain, m.Text)
	return letter, nil
}

// messageID names a letter without telling the name of this machine.
func messageID(from string) string {
	return rand.Text() + from[strings.LastIndexByte(from, '@'):]
}

func control(c rune) bool { return c < ' ' || c == 0x7f || c == '\u2028' || c == '\u2029' }
