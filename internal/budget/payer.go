package budget

import (
	"context"
	"errors"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/postgres"
)

// Payer is for whom something is spent.
type Payer struct {
	Organization string
	User         string // who asked for it; may be empty
	Subject      string // the job or session; may be empty
	// Uncapped says that the subject may ask models any number of times: a session,
	// which people keep for years and which no retry drives round in circles.
	Uncapped bool
}

type payerKey struct{}

// With says who pays for what is spent under ctx. Without it, who is asking does.
func With(ctx context.Context, p Payer) context.Context { return context.WithValue(ctx, payerKey{}, p) }

// payerOf gives who pays, and the context in which their rows are seen.
func payerOf(ctx context.Context) (Payer, context.Context, error) {
	p, ok := ctx.Value(payerKey{}).(Payer)
	if who, asked := account.From(ctx); !ok && asked {
		p = Payer{Organization: who.Organization, User: who.User}
	}
	if p.Organization == "" {
		return p, ctx, errors.New("nobody pays for this: the context names no organization")
	}
	return p, postgres.WithOrganization(ctx, p.Organization), nil
}
