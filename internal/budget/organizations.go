package budget

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// Account is an organisation as the operator sees it.
type Account struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Operator  bool      `json:"operator" doc:"the organisation that runs this Lectern"`
	CreatedAt time.Time `json:"created_at"`
	Sums
	SetBy string    `json:"set_by,omitempty" doc:"who set these limits last; absent: they are the usual ones"`
	SetAt time.Time `json:"set_at,omitzero"`
}

const accounts = `
	SELECT o.organization_id, o.name, o.operator, o.created_at, coalesce(b.soft_micros, $1), coalesce(b.hard_micros, $2),
		coalesce(m.spent_micros, 0), coalesce(m.reserved_micros, 0), coalesce(b.updated_by, ''), coalesce(b.updated_at, '0001-01-01Z')
	FROM organizations o
	LEFT JOIN budgets b USING (organization_id)
	LEFT JOIN ledger_months m ON m.organization_id = o.organization_id AND m.month = date_trunc('month', now() AT TIME ZONE 'UTC')::date`

// Accounts lists all organisations by their ids, for the operator: at most limit of
// those after the one given.
func (l *Ledger) Accounts(ctx context.Context, after string, limit int) ([]Account, string, error) {
	rows, err := l.DB.Query(postgres.AnyOfPool(ctx), accounts+`
		WHERE o.organization_id > $3
		ORDER BY o.organization_id
		LIMIT $4`, l.Defaults.Soft, l.Defaults.Hard, after, limit+1)
	if err != nil {
		return nil, "", postgres.Fault(err)
	}
	list, err := pgx.CollectRows(rows, collectAccount)
	if err != nil || len(list) <= limit {
		return list, "", postgres.Fault(err)
	}
	return list[:limit], list[limit-1].ID, nil
}

func collectAccount(row pgx.CollectableRow) (a Account, err error) {
	var soft, hard, spent, reserved int64
	err = row.Scan(&a.ID, &a.Name, &a.Operator, &a.CreatedAt, &soft, &hard, &spent, &reserved, &a.SetBy, &a.SetAt)
	a.Sums = sumsOf(soft, hard, spent, reserved)
	return a, err
}

// SetLimits sets what an organisation may spend in a month, by whom, and gives the
// organisation. What waits for its budget goes on at the next sweep. It is for the
// operator, who is not of that organisation.
func (l *Ledger) SetLimits(ctx context.Context, organization string, limits Limits, by string) (Account, error) {
	if err := limits.check(); err != nil {
		return Account{}, err
	}
	ctx = postgres.AnyOfPool(ctx)
	tag, err := l.DB.Exec(ctx, `
		INSERT INTO budgets (organization_id, soft_micros, hard_micros, updated_by)
		SELECT organization_id, $2, $3, $4
		FROM organizations
		WHERE organization_id = $1
		ON CONFLICT (organization_id) DO UPDATE
		SET soft_micros = excluded.soft_micros, hard_micros = excluded.hard_micros, updated_by = excluded.updated_by, updated_at = now()`,
		organization, limits.Soft, limits.Hard, by)
	if err != nil {
		return Account{}, postgres.Fault(err)
	}
	if tag.RowsAffected() == 0 {
		return Account{}, fault.New(fault.NotFound, "There is no organization %s.", organization)
	}
	rows, err := l.DB.Query(ctx, accounts+`
		WHERE o.organization_id = $3`, l.Defaults.Soft, l.Defaults.Hard, organization)
	if err != nil {
		return Account{}, postgres.Fault(err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, collectAccount)
	return a, postgres.Fault(err)
}

// maxLimit is a billion dollars: sums of such amounts stay far below what a number holds.
const maxLimit = 1_000_000_000_000_000

func (l Limits) check() error {
	switch {
	case l.Soft < 0 || l.Hard < 0 || l.Soft > maxLimit || l.Hard > maxLimit:
		return fault.New(fault.Invalid, "A limit must be between 0 and %d millionths of a US dollar.", int64(maxLimit))
	case l.Soft > l.Hard:
		e := fault.New(fault.Invalid, "The soft limit must not be above the hard limit.")
		e.Fields = []fault.Field{{Location: "body.soft_micros", Message: "is above hard_micros"}}
		return e
	}
	return nil
}
