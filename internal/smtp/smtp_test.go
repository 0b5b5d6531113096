package smtp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/mail"
	"lectern.dev/lectern/internal/smtp"
)

const user, password = "lectern", "the mail server's password"

// office is a mail server that keeps what it is handed.
type office struct {
	config smtp.Config
	server *gosmtp.Server

	mu      sync.Mutex
	letters []letter
	tried   int // to sign in
}

type letter struct {
	from, text string
	to         []string
	encrypted  bool
	by         string
}

// open starts one; change may spoil it.
func open(t *testing.T, change func(*gosmtp.Server)) *office {
	t.Helper()
	cert, roots := certificate(t)
	o := &office{}
	o.server = gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) {
		_, encrypted := c.TLSConnectionState()
		return &session{office: o, letter: letter{encrypted: encrypted}}, nil
	}))
	o.server.Domain, o.server.TLSConfig, o.server.ErrorLog = "127.0.0.1", &tls.Config{Certificates: []tls.Certificate{cert}}, log.New(io.Discard, "", 0)
	if change != nil {
		change(o.server)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = o.server.Serve(listener) }()
	t.Cleanup(func() { _ = o.server.Close() })
	o.config = smtp.Config{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, User: user, Password: password,
		From: "Lectern <no-reply@lectern.example>", Timeout: time.Minute, TLS: &tls.Config{RootCAs: roots},
	}
	return o
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// session is one connection.
type session struct {
	*office
	letter
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, name, secret string) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tried++
		if name != user || secret != password {
			return gosmtp.ErrAuthFailed
		}
		s.by = name
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *gosmtp.MailOptions) error {
	if s.by == "" {
		return gosmtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	switch {
	case strings.HasPrefix(to, "nobody@"):
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
	case strings.HasPrefix(to, "full@"):
		return &gosmtp.SMTPError{Code: 452, EnhancedCode: gosmtp.EnhancedCode{4, 2, 2}, Message: "mailbox full"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.text = string(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters = append(s.letters, s.letter)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// send sends through a Sender of the office's settings.
func (o *office) send(t *testing.T, ctx context.Context, m mail.Message) error {
	t.Helper()
	s, err := smtp.New(o.config)
	if err != nil {
		t.Fatal(err)
	}
	return s.Send(ctx, m)
}

func (o *office) kept() []letter {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.letters
}

func TestALetterArrives(t *testing.T) {
	t.Parallel()
	o := open(t, nil)
	text := "Grüße,\n\n.a line that begins with a dot\nhttps://lectern.example/reset?token=" + strings.Repeat("x", 43) + "\n"
	if err := o.send(t, t.Context(), mail.Message{To: "ann@example.com", Subject: "Wähle ein Passwort", Text: text}); err != nil {
		t.Fatal(err)
	}
	if len(o.kept()) != 1 {
		t.Fatalf("%d letters", len(o.kept()))
	}
	l := o.kept()[0]
	if !l.encrypted || l.by != user || l.from != "no-reply@lectern.example" || len(l.to) != 1 || l.to[0] != "ann@example.com" {
		t.Errorf("%+v", l)
	}
	m, err := netmail.ReadMessage(strings.NewReader(l.text))
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{"From": `"Lectern" <no-reply@lectern.example>`, "To": "<ann@example.com>", "Auto-Submitted": "auto-generated"} {
		if m.Header.Get(header) != want {
			t.Errorf("%s: %q", header, m.Header.Get(header))
		}
	}
	for _, header := range []string{"Date", "Message-ID", "Subject", "Mime-Version"} {
		if m.Header.Get(header) == "" {
			t.Errorf("no %s", header)
		}
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil || strings.TrimRight(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n") != strings.TrimRight(text, "\n") {
		t.Errorf("the text became %q, %v", body, err)
	}
}

// A password or a letter never crosses the net in clear: not to a server without
// TLS, and not to one that shows a certificate of somebody else.
func TestNothingIsSentInClear(t *testing.T) {
	t.Parallel()
	plain := open(t, func(s *gosmtp.Server) { s.TLSConfig, s.AllowInsecureAuth = nil, true })
	trusting := open(t, func(s *gosmtp.Server) { s.TLSConfig = nil })
	trusting.config.User = "" // nothing but the letter could be read
	forged := open(t, nil)
	forged.config.TLS = nil // the system's roots do not know it
	for name, o := range map[string]*office{"a server without TLS": plain, "one that asks for no password": trusting, "a forged certificate": forged} {
		err := o.send(t, t.Context(), mail.Message{To: "ann@example.com", Subject: "s", Text: "t"})
		if !fault.Is(err, fault.Unavailable) || len(o.kept()) != 0 || o.tried != 0 {
			t.Errorf("%s: %v, %d letters, %d passwords", name, err, len(o.kept()), o.tried)
		}
	}
}

func TestWhatTheServerSays(t *testing.T) {
	t.Parallel()
	o := open(t, nil)
	for to, want := range map[string]fault.Kind{"nobody@example.com": fault.Invalid, "full@example.com": fault.Unavailable} {
		if err := o.send(t, t.Context(), mail.Message{To: to, Subject: "s", Text: "the letter"}); !fault.Is(err, want) || strings.Contains(err.Error(), "the letter") {
			t.Errorf("%s: %v", to, err)
		}
	}
	wrong := open(t, nil)
	wrong.config.Password = "wrong"
	if err := wrong.send(t, t.Context(), mail.Message{To: "ann@example.com", Subject: "s", Text: "t"}); !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password: %v", err)
	}
	gone := open(t, nil)
	gone.config.Port = 1
	if err := gone.send(t, t.Context(), mail.Message{To: "ann@example.com", Subject: "s", Text: "t"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("no server: %v", err)
	}
}

// A server that takes the connection and says nothing, before the greeting or after
// the letter, holds a request no longer than Timeout.
func TestAServerThatHangs(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	silent := &office{config: smtp.Config{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, From: "a@lectern.example", Timeout: 200 * time.Millisecond}}
	hung := make(chan struct{})
	slow := open(t, nil)
	slow.config.Timeout = 200 * time.Millisecond
	slow.server.Backend = gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) {
		return &hanging{&session{office: slow}, hung}, nil
	})
	defer close(hung)
	for name, o := range map[string]*office{"silent": silent, "slow": slow} {
		if err := o.send(t, t.Context(), mail.Message{To: "ann@example.com", Subject: "s", Text: "t"}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	slow.config.Timeout = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := slow.send(t, ctx, mail.Message{To: "ann@example.com", Subject: "s", Text: "t"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the end of the request: %v", err)
	}
}

type hanging struct {
	*session
	until chan struct{}
}

func (h *hanging) Data(io.Reader) error {
	<-h.until
	return io.EOF
}

// Who writes an address or a subject cannot add headers, recipients or commands.
func TestHeadersCannotBeInjected(t *testing.T) {
	t.Parallel()
	o := open(t, nil)
	const to, subject = "ann@example.com", "Hello"
	for _, m := range []mail.Message{
		{To: to + "\r\nBcc: eve@example.com", Subject: subject},
		{To: to + "\nBcc: eve@example.com", Subject: subject},
		{To: to + ", eve@example.com", Subject: subject},
		{To: to + ">\r\nRCPT TO:<eve@example.com", Subject: subject},
		{To: "Ann <" + to + ">", Subject: subject},
		{To: "<" + to + ">", Subject: subject},
		{To: to + "\x00", Subject: subject},
		{To: "", Subject: subject},
		{To: to, Subject: subject + "\r\nBcc: eve@example.com"},
		{To: to, Subject: subject + "\nBcc: eve@example.com"},
		{To: to, Subject: subject + "\r\n\r\nanother letter"},
		{To: to, Subject: subject + "\u2028Bcc: eve@example.com"},
	} {
		m.Text = "t"
		if err := o.send(t, t.Context(), m); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q, %q: %v", m.To, m.Subject, err)
		}
	}
	// The text cannot end the letter early.
	if err := o.send(t, t.Context(), mail.Message{To: to, Subject: subject, Text: "a\r\n.\r\nMAIL FROM:<eve@example.com>\r\n"}); err != nil {
		t.Fatal(err)
	}
	if kept := o.kept(); len(kept) != 1 || len(kept[0].to) != 1 {
		t.Errorf("%+v", kept)
	}
}

func TestWrongSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]smtp.Config{
		"no host":    {From: "a@example.com"},
		"no sender":  {Host: "mail.example.com"},
		"two lines":  {Host: "mail.example.com", From: "a@example.com\r\nBcc: b@example.com"},
		"a bad port": {Host: "mail.example.com", From: "a@example.com", Port: 70000},
	} {
		if _, err := smtp.New(c); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
