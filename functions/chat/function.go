package chat

import (
	"context"
	"errors"
	"net/http"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/postgres"
)

// Build makes the production handler; every wrong setting is reported at once.
func Build(ctx context.Context) (http.Handler, error) {
	var c Config
	if err := edge.Load(ctx, &c); err != nil {
		return nil, err
	}
	db, err1 := c.Database.Open(ctx, postgres.Options{})
	// What is of all organisations together: the log of answers, for which two connections
	// are enough whatever the number of streams, and who asks how often.
	system, err2 := c.Database.Open(ctx, postgres.Options{Role: postgres.System, MaxConns: 3})
	tokens, err3 := access.NewTokens(access.Cookies{Keys: c.CookieKeys})
	hasher, err4 := account.NewHasher(account.HashOptions{BudgetMiB: c.HashMemory})
	ledger, err5 := c.Budget.Open(db)
	figures, err6 := c.Telemetry.Open(ctx, "chat")
	if err := errors.Join(err1, err2, err3, err4, err5, err6, c.Limits.check()); err != nil {
		return nil, err
	}
	model, err := NewModel(c.Models, ledger)
	if err != nil {
		return nil, err
	}
	return New(Deps{
		DB: db, System: system, Relay: relay.New(relay.Options{DB: system}), Model: model, Afford: ledger.Afford,
		Limits: c.Limits, Telemetry: Telemetry(figures),
		Gate: access.New(db, tokens, hasher), TrustedOrigins: c.TrustedOrigins, Front: c.Front,
	}), nil
}
