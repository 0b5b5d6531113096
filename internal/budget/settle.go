package budget

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/tally"
)

// Settle says what the work came to. The ctx of the work may be over. Whatever
// fails here the sweep makes good, by counting the reservation in full.
func (r *Reservation) Settle(ctx context.Context, used Units) { r.finish(ctx, "settled", used) }

// Release gives a reservation back of which nothing was used.
func (r *Reservation) Release(ctx context.Context) { r.finish(ctx, "released", Units{}) }

func (r *Reservation) finish(ctx context.Context, state string, used Units) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var err error
	for range 3 { // saying it twice does no harm
		if err = r.close(ctx, state, used, r.price.cost(used)); err == nil || !fault.Is(err, fault.Unavailable) {
			break
		}
	}
	micros := r.price.cost(used)
	if err != nil {
		micros = r.price.cost(r.most)
		slog.WarnContext(ctx, "a reservation is left to the sweep", "entry", r.id, "organization", r.payer.Organization, "error", err)
	}
	r.summed.Do(func() {
		r.spent.add(micros)
		r.count(ctx, used, micros)
	})
	crash.Point("budget.settled")
}

// count tells the log what the work came to; of a call that was not made, nothing.
func (r *Reservation) count(ctx context.Context, used Units, micros int64) {
	if micros == 0 && used == (Units{}) {
		return
	}
	tally.Add(ctx, "cost_micros", micros)
	if r.price.Kind == Tokens {
		tally.Add(ctx, "model_calls", 1)
		tally.Add(ctx, "input_tokens", used.Input)
		tally.Add(ctx, "output_tokens", used.Output)
	}
}

// close ends an entry that is reserved, or corrects one that has expired; another
// stays as it is.
func (r *Reservation) close(ctx context.Context, state string, used Units, micros int64) error {
	ctx = postgres.WithOrganization(ctx, r.payer.Organization)
	return r.ledger.book(ctx, `
		WITH before AS (
			SELECT organization_id, entry_id, month, kind, state, reserved_micros, input_units, output_units, micros
			FROM ledger
			WHERE organization_id = $2 AND entry_id = $3 AND state IN ('reserved', 'expired')
			FOR UPDATE
		), entry AS (
			UPDATE ledger l
			SET state = $4, input_units = $5, output_units = $6, micros = $7, settled_at = now()
			FROM before
			WHERE l.organization_id = $2 AND l.entry_id = $3
		), change AS (
			SELECT organization_id, month, kind,
				CASE state WHEN 'reserved' THEN reserved_micros ELSE 0 END AS freed,
				$5::bigint - CASE state WHEN 'expired' THEN input_units ELSE 0 END AS input,
				$6::bigint - CASE state WHEN 'expired' THEN output_units ELSE 0 END AS output,
				$7::bigint - micros AS micros
			FROM before
		)`, r.payer.Organization, r.id, state, used.Input, used.Output, micros)
}

// Expire settles in full what nobody has settled in time, over all organisations,
// and tells how many that were: at most a thousand at once. ctx names none.
func (l *Ledger) Expire(ctx context.Context) (int, error) {
	var n int
	err := l.DB.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM ledger WHERE state = 'reserved' AND expires_at < now() LIMIT 1000) AS due`).Scan(&n)
	if err != nil || n == 0 {
		return 0, postgres.Fault(err)
	}
	return n, l.book(ctx, `
		WITH due AS (
			SELECT entry_id
			FROM ledger
			WHERE state = 'reserved' AND expires_at < now()
			ORDER BY expires_at
			LIMIT 1000
			FOR UPDATE SKIP LOCKED
		), change AS (
			UPDATE ledger l
			SET state = 'expired', micros = reserved_micros, settled_at = now()
			FROM due
			WHERE l.entry_id = due.entry_id
			RETURNING l.organization_id, l.month, l.kind, l.reserved_micros AS freed,
				l.input_units AS input, l.output_units AS output, l.micros
		)`)
}

// book runs a statement that ends entries, and brings their months in line with the
// change that it names: organization_id, month, kind, freed, input, output and
// micros. $1 is taken. Who passes the soft limit by it is warned, once a month.
func (l *Ledger) book(ctx context.Context, ending string, args ...any) error {
	rows, err := l.DB.Query(ctx, ending+`, sums AS (
			SELECT organization_id, month, sum(freed)::bigint AS freed, sum(micros)::bigint AS micros,
				coalesce(sum(input) FILTER (WHERE kind = 'tokens'), 0)::bigint AS tokens_in,
				coalesce(sum(output) FILTER (WHERE kind = 'tokens'), 0)::bigint AS tokens_out,
				coalesce(sum(micros) FILTER (WHERE kind = 'tokens'), 0)::bigint AS tokens_micros,
				coalesce(sum(input) FILTER (WHERE kind = 'embedding'), 0)::bigint AS embedding_tokens,
				coalesce(sum(micros) FILTER (WHERE kind = 'embedding'), 0)::bigint AS embedding_micros,
				coalesce(sum(input) FILTER (WHERE kind = 'speech'), 0)::bigint AS speech_characters,
				coalesce(sum(output) FILTER (WHERE kind = 'speech'), 0)::bigint AS speech_seconds,
				coalesce(sum(micros) FILTER (WHERE kind = 'speech'), 0)::bigint AS speech_micros,
				coalesce(sum(input) FILTER (WHERE kind = 'render'), 0)::bigint AS render_seconds,
				coalesce(sum(micros) FILTER (WHERE kind = 'render'), 0)::bigint AS render_micros
			FROM change
			GROUP BY organization_id, month
		)
		UPDATE ledger_months m
		SET reserved_micros = m.reserved_micros - s.freed,
			spent_micros = m.spent_micros + s.micros,
			tokens_in = m.tokens_in + s.tokens_in,
			tokens_out = m.tokens_out + s.tokens_out,
			tokens_micros = m.tokens_micros + s.tokens_micros,
			embedding_tokens = m.embedding_tokens + s.embedding_tokens,
			embedding_micros = m.embedding_micros + s.embedding_micros,
			speech_characters = m.speech_characters + s.speech_characters,
			speech_seconds = m.speech_seconds + s.speech_seconds,
			speech_micros = m.speech_micros + s.speech_micros,
			render_seconds = m.render_seconds + s.render_seconds,
			render_micros = m.render_micros + s.render_micros,
			warned_at = CASE
				WHEN m.warned_at IS NULL AND s.micros > 0 AND m.spent_micros + s.micros >=
					coalesce((SELECT soft_micros FROM budgets b WHERE b.organization_id = m.organization_id), $1) THEN now()
				ELSE m.warned_at END
		FROM sums s
		WHERE m.organization_id = s.organization_id AND m.month = s.month
		RETURNING m.organization_id, m.spent_micros, m.warned_at IS NOT DISTINCT FROM now()`,
		append([]any{l.Defaults.Soft}, args...)...)
	if err != nil {
		return postgres.Fault(err)
	}
	type booked struct {
		Organization string
		Spent        int64
		Warned       bool
	}
	months, err := pgx.CollectRows(rows, pgx.RowToStructByPos[booked])
	for _, m := range months {
		if m.Warned {
			slog.WarnContext(ctx, "an organization has passed the soft limit of its budget", "organization", m.Organization, "spent_usd", usd(m.Spent))
		}
	}
	return postgres.Fault(err)
}
