package chat

import (
	"context"
	"errors"
	"net/http"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
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
	// The log is of all organisations together. Two connections are enough for any number of streams.
	log, err2 := c.Database.Open(ctx, postgres.Options{Role: postgres.System, MaxConns: 2})
	tokens, err3 := access.NewTokens(access.Cookies{Keys: c.CookieKeys})
	hasher, err4 := account.NewHasher(account.HashOptions{BudgetMiB: c.HashMemory})
	ledger, err5 := c.Budget.Open(db)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	model, err := NewModel(c.Models, ledger)
	if err != nil {
		return nil, err
	}
	tutor := conversation.New(conversation.Parts{
		DB: db, Relay: relay.New(relay.Options{DB: log}), Model: model, Afford: ledger.Afford,
		Limits: conversation.Limits{AnswersPerUser: c.Limits.AnswersPerUser, AnswersPerOrganization: c.Limits.AnswersPerOrganization},
	})
	return New(Deps{DB: db, Tutor: tutor, Model: model, Gate: access.New(db, tokens, hasher), TrustedOrigins: c.TrustedOrigins, Front: c.Front}), nil
}
