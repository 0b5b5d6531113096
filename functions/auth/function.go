package auth

import (
	"context"
	"net/http"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/cloudsql"
	"lectern.dev/lectern/internal/postgres"
)

// Build makes the production handler; every wrong setting is reported at once.
func Build(ctx context.Context) (http.Handler, error) {
	var c Config
	if err := edge.Load(ctx, &c); err != nil {
		return nil, err
	}
	// Who signs in is looked up before anybody knows the organisation.
	db, err := cloudsql.Open(ctx, c.DatabaseURL, c.CloudSQLInstance, postgres.Options{Role: postgres.System})
	if err != nil {
		return nil, err
	}
	tokens, err := access.NewTokens(access.Cookies{Keys: c.CookieKeys})
	if err != nil {
		return nil, err
	}
	hasher, err := account.NewHasher(account.HashOptions{BudgetMiB: c.HashMemory})
	if err != nil {
		return nil, err
	}
	return New(Deps{DB: db, Gate: access.New(db, tokens), Hasher: hasher, TrustedOrigins: c.TrustedOrigins}), nil
}
