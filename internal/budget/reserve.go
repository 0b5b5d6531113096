package budget

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// lifetime is how long a reservation waits to be settled: longer than any step may
// take.
const lifetime = 30 * time.Minute

const reserveTime = 10 * time.Second

// Reservation is money put aside for one piece of work.
type Reservation struct {
	ledger *Ledger
	payer  Payer
	id     string
	price  Price
	most   Units
	spent  *Spent // who sums what it comes to; may be nil
	summed sync.Once
}

// Reserve puts aside the most that a piece of work can cost: for who pays in ctx.
// PaymentRequired says that the budget does not hold it; Invalid that the model has
// no price; Exhausted that the job has asked models as often as one may.
func (l *Ledger) Reserve(ctx context.Context, kind Kind, model string, most Units) (*Reservation, error) {
	return l.reserve(ctx, kind, model, most, nil)
}

// reserve is Reserve with other statements before it, in the same exchange and the same
// transaction; nil: none.
func (l *Ledger) reserve(ctx context.Context, kind Kind, model string, most Units, also func(*pgx.Batch)) (*Reservation, error) {
	if err := ctx.Err(); err != nil {
		return nil, postgres.Fault(err)
	}
	price, err := l.Prices.Of(kind, model)
	if err != nil {
		return nil, err
	}
	payer, ctx, err := payerOf(ctx)
	if err != nil {
		return nil, err
	}
	// Work that is stopped at this moment waits for the answer: whether a statement
	// that was cut off has put money aside, nobody would know.
	work := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reserveTime)
	defer cancel()
	r := &Reservation{ledger: l, payer: payer, id: id.New(id.LedgerEntry), price: price, most: most, spent: countOf(ctx)}
	calls := cmp.Or(l.CallsPerJob, 500)
	var hard int64
	var granted bool
	// What costs nothing is never refused, even where the limit was lowered below what is spent.
	b := &pgx.Batch{}
	if also != nil {
		also(b)
	}
	b.Queue(`
		WITH ask AS (
			SELECT $1::text AS entry_id, $2::text AS organization_id, $3::text AS user_id, $4::text AS subject,
				$5::text AS kind, $6::text AS model, $7::bigint AS input, $8::bigint AS output, $9::bigint AS micros,
				$4 <> '' AND NOT $13::boolean AS capped
		), limits AS (
			SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date AS month, coalesce(b.hard_micros, $10) AS hard
			FROM ask LEFT JOIN budgets b USING (organization_id)
		), granted AS (
			INSERT INTO ledger_months AS m (organization_id, month, reserved_micros)
			SELECT organization_id, month, micros
			FROM ask, limits
			WHERE micros = 0 OR micros <= hard
			ON CONFLICT (organization_id, month) DO UPDATE
			SET reserved_micros = m.reserved_micros + excluded.reserved_micros
			WHERE excluded.reserved_micros = 0
				OR excluded.reserved_micros <= (SELECT hard FROM limits) - m.spent_micros - m.reserved_micros
			RETURNING m.month
		), called AS (
			INSERT INTO ledger_subjects AS s (organization_id, subject, calls_left)
			SELECT organization_id, subject, $11::bigint - 1
			FROM ask, granted
			WHERE kind = 'tokens' AND capped
			ON CONFLICT (organization_id, subject) DO UPDATE
			SET calls_left = s.calls_left - 1
		), refused AS (
			INSERT INTO ledger_subjects AS s (organization_id, subject, calls_left, needed_micros)
			SELECT organization_id, subject, $11::bigint, micros
			FROM ask
			WHERE capped AND NOT EXISTS (SELECT FROM granted)
			ON CONFLICT (organization_id, subject) DO UPDATE
			SET needed_micros = excluded.needed_micros
		), entry AS (
			INSERT INTO ledger (entry_id, organization_id, month, kind, model, state, input_units, output_units,
				reserved_micros, user_id, subject, expires_at)
			SELECT entry_id, organization_id, month, kind, model, 'reserved', input, output, micros, user_id, subject, now() + $12::interval
			FROM ask, granted
			RETURNING entry_id
		)
		SELECT hard, EXISTS (SELECT FROM entry)
		FROM limits`,
		r.id, payer.Organization, payer.User, payer.Subject, string(kind), model, most.Input, most.Output, price.cost(most),
		l.Defaults.Hard, calls, lifetime, payer.Uncapped).
		QueryRow(func(row pgx.Row) error { return row.Scan(&hard, &granted) })
	err = l.DB.SendBatch(ctx, b).Close()
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.ConstraintName == "calls_left" {
		return nil, fault.New(fault.Exhausted,
			"This job has asked the language model %d times, as often as one job may. Start a new one, with a smaller task.", calls)
	}
	if err != nil {
		// Nobody knows whether it was written: what was must not wait to be counted in full.
		forget, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		return nil, errors.Join(postgres.Fault(err), r.close(forget, "released", Units{}, 0))
	}
	if !granted {
		return nil, Unaffordable(hard)
	}
	crash.Point("budget.reserved")
	if work.Err() != nil {
		r.Release(work)
		return nil, postgres.Fault(work.Err())
	}
	return r, nil
}

// Unaffordable is the PaymentRequired of an organization that may spend so much, in
// millionths of a US dollar, in a month.
func Unaffordable(hard int64) error {
	return fault.New(fault.PaymentRequired,
		"This month's budget of $%s does not hold this any more. Ask the operator to raise it: what waits goes on by itself then, or with the new month.", usd(hard))
}

// Afford says PaymentRequired when an organisation has nothing left this month, so
// that nothing is begun which would only wait.
func (l *Ledger) Afford(ctx context.Context, q postgres.Querier, organization string) error {
	var hard, left int64
	err := q.QueryRow(ctx, `
		SELECT hard_micros, left_micros
		FROM budget_of($1, $2)`, organization, l.Defaults.Hard).Scan(&hard, &left)
	if err != nil {
		return postgres.Fault(err)
	}
	if left <= 0 {
		return Unaffordable(hard)
	}
	return nil
}

// Holds tells whether the budget now holds what a job was refused last.
func (l *Ledger) Holds(ctx context.Context, organization, subject string) (bool, error) {
	var holds bool
	err := l.DB.QueryRow(ctx, `
		SELECT left_micros >= coalesce((SELECT needed_micros FROM ledger_subjects WHERE organization_id = $1 AND subject = $3), 0)
		FROM budget_of($1, $2)`, organization, l.Defaults.Hard, subject).Scan(&holds)
	return holds, postgres.Fault(err)
}
