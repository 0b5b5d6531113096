package auth

import (
	"context"
	"errors"
	"net/http"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/mail"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/smtp"
)

// Build makes the production handler; every wrong setting is reported at once.
func Build(ctx context.Context) (http.Handler, error) {
	var c Config
	if err := edge.Load(ctx, &c); err != nil {
		return nil, err
	}
	// Who signs in is looked up before anybody knows the organisation.
	db, err1 := c.Database.Open(ctx, postgres.Options{Role: postgres.System})
	tokens, err2 := access.NewTokens(c.Cookies)
	hasher, err3 := account.NewHasher(account.HashOptions{BudgetMiB: c.HashMemory})
	sender, err4 := c.sender()
	ledger, err5 := c.Budget.Open(db)
	desk, err6 := account.NewDesk(account.Parts{DB: db, Hasher: hasher, Mail: sender, PublicURL: c.PublicURL, VerifyEmail: c.VerifyEmail})
	tracing, err7 := c.Telemetry.Open(ctx, "auth")
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
		return nil, err
	}
	return edge.Traced(edge.Tracing(tracing), New(Deps{DB: db, Gate: access.New(db, tokens, hasher), Hasher: hasher, Desk: desk, Ledger: ledger, TrustedOrigins: c.TrustedOrigins, Front: c.Front})), nil
}

// sender is the mail server, or the log where none is set and nobody waits for letters.
func (c Config) sender() (mail.Sender, error) {
	if c.Mail.Host == "" && c.VerifyEmail {
		return nil, errors.New("SMTP_HOST is missing: without a mail server nobody can confirm an address; set it, or VERIFY_EMAIL=false")
	}
	return smtp.Open(c.Mail)
}
