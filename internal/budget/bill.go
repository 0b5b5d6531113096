package budget

import (
	"context"

	"lectern.dev/lectern/internal/postgres"
)

// Bill says what a job has come to, in millionths of a US dollar and in tokens of
// language models; it has the form of job.Runner.Bill.
func Bill(ctx context.Context, q postgres.Querier, organization, job string) (micros, input, output int64, err error) {
	err = q.QueryRow(ctx, `
		SELECT coalesce(sum(micros), 0)::bigint,
			coalesce(sum(input_units) FILTER (WHERE kind = 'tokens'), 0)::bigint,
			coalesce(sum(output_units) FILTER (WHERE kind = 'tokens'), 0)::bigint
		FROM ledger
		WHERE organization_id = $1 AND subject = $2 AND subject LIKE 'job\_%' AND state IN ('settled', 'expired')`, organization, job).
		Scan(&micros, &input, &output)
	return micros, input, output, postgres.Fault(err)
}

// UsedUp tells how many organizations have less than a twentieth of the present month's
// budget left: their jobs wait and their tutors fall silent, or will soon. ctx names none.
func (l *Ledger) UsedUp(ctx context.Context) (int, error) {
	var n int
	err := l.DB.QueryRow(ctx, `
		SELECT count(*)
		FROM ledger_months m LEFT JOIN budgets b USING (organization_id)
		WHERE m.month = date_trunc('month', now() AT TIME ZONE 'UTC')::date
			AND m.spent_micros > 0 AND m.spent_micros >= coalesce(b.hard_micros, $1) * 95 / 100`, l.Defaults.Hard).Scan(&n)
	return n, postgres.Fault(err)
}
