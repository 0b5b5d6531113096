package conversation

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
)

// pay puts the money for the answer aside; done gives back what the model did not take.
// When it has come back, the answer's row is as durable as the money: it was committed
// before, in the same log. A crash of the database between the two would have taken the
// row back; so whether it is there is asked in the same exchange.
func (m *making) pay(ctx context.Context, req llm.Request) (paid context.Context, done func(), err error) {
	if m.t.p.Ledger == nil {
		return ctx, func() {}, nil
	}
	return m.t.p.Ledger.Ahead(ctx, m.t.p.Model.Name(), req, func(b *pgx.Batch) {
		b.Queue(`
			SELECT EXISTS (
				SELECT FROM messages
				WHERE organization_id = $1 AND session_id = $2 AND message_id = $3 AND state = 'streaming' AND producer_id = $4)`,
			m.turn.who.Organization, m.turn.Session.ID, m.turn.Answer.ID, m.turn.producer).
			QueryRow(func(row pgx.Row) error {
				var there bool
				if err := row.Scan(&there); err != nil || there {
					return err
				}
				return fault.Wrap(fault.Unavailable, relay.ErrLost, "The answer was ended elsewhere, or the database has lost it in a crash. Send the message again.")
			})
	})
}

// kept waits until it is sure that the answer is kept and paid for; else it gives why there
// is none. Whoever is told of an answer asks this before: who sends it again, and who reads
// it, too. What is not made here (nil) is not waited for.
func (m *making) kept(ctx context.Context) error {
	if m == nil || m.sure == nil || m.t.p.Ledger == nil {
		return nil
	}
	select {
	case <-m.sure:
		return m.refused
	case <-ctx.Done():
		return postgres.Fault(ctx.Err())
	}
}

// beSure says that the answer is kept and paid for, or over.
func (m *making) beSure() {
	if m.sure != nil && !m.told {
		m.told = true
		close(m.sure)
	}
}

// refuse has who asked hear why there is no answer, unless they have been told that there
// will be one. They hear it when the row says so, too; but a database that is away may stay
// away for long.
func (m *making) refuse(ctx context.Context, err error) {
	if m.sure == nil || m.told || err == nil || ctx.Err() != nil || fault.KindOf(err) == fault.Internal {
		return
	}
	m.refused = err
	if fault.Is(err, fault.Unavailable) {
		m.beSure()
	}
}
