package chat

import (
	"context"
	"errors"
	"net/http"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/telemetry/metrics"
	"lectern.dev/lectern/internal/postgres"
)

// Build makes the production handler; every wrong setting is reported at once.
//
// Answers are made without a request, once who asked has gone: the process needs its
// CPU then as well. On Cloud Run that is instance-based billing, cpu_idle = false; with
// CPU during requests alone, an answer whose last reader has gone stands still, and the
// next reader finds it interrupted.
func Build(ctx context.Context) (http.Handler, error) {
	var c Config
	if err := edge.Load(ctx, &c); err != nil {
		return nil, err
	}
	db, err1 := c.Database.Open(ctx, postgres.Options{})
	// What is of all organisations together: who asks how often, and the log of answers, for
	// which two connections are enough whatever the number of streams. They are its own:
	// a crowd that asks must not keep a process from saying that its answers go on.
	system, err2 := c.Database.Open(ctx, postgres.Options{Role: postgres.System, MaxConns: 2})
	log, err3 := c.Database.Open(ctx, postgres.Options{Role: postgres.System, MaxConns: 2})
	gate, err4 := c.Access.Open(db)
	ledger, err5 := c.Budget.Open(db)
	figures, err6 := metrics.Open(ctx, c.Telemetry, "chat")
	tracing, err7 := c.Telemetry.Open(ctx, "chat")
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, c.Limits.check()); err != nil {
		return nil, err
	}
	model, err := NewModel(c.Models, ledger)
	if err != nil {
		return nil, err
	}
	return edge.Traced(edge.Tracing(tracing), New(Deps{
		DB: db, System: system, Relay: relay.New(relay.Options{DB: log}), Model: model, Ledger: ledger,
		Limits: c.Limits, Telemetry: Telemetry{Meters: figures.MeterProvider, Tracers: tracing.Tracers, Flush: figures.Flush},
		Gate: gate, TrustedOrigins: c.TrustedOrigins, Front: c.Front,
	})), nil
}
