package budget

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/mail"
	"lectern.dev/lectern/internal/postgres"
)

// Tell writes to the owners of organisations that have passed their soft limit this
// month, once, and tells how many letters went out. It is the sweep's: ctx names no
// organisation. Each month is claimed before its letters are sent, and given back
// when none could be: nobody gets two.
func (l *Ledger) Tell(ctx context.Context, sender mail.Sender) (int, error) {
	rows, err := l.DB.Query(ctx, `
		UPDATE ledger_months m
		SET told_at = now()
		FROM organizations o
		WHERE o.organization_id = m.organization_id AND (m.organization_id, m.month) IN (
			SELECT organization_id, month
			FROM ledger_months
			WHERE warned_at IS NOT NULL AND told_at IS NULL
			ORDER BY warned_at
			LIMIT 20
			FOR UPDATE SKIP LOCKED)
		RETURNING m.organization_id, o.name, to_char(m.month, 'YYYY-MM'), m.spent_micros,
			coalesce((SELECT hard_micros FROM budgets b WHERE b.organization_id = m.organization_id), $1),
			array(SELECT u.email FROM users u WHERE u.organization_id = m.organization_id AND u.role IN ('owner', 'root') AND u.address IS NOT NULL)`,
		l.Defaults.Hard)
	if err != nil {
		return 0, postgres.Fault(err)
	}
	months, err := pgx.CollectRows(rows, pgx.RowToStructByPos[warned])
	if err != nil {
		return 0, postgres.Fault(err)
	}
	sent := 0
	var errs []error
	for _, w := range months {
		n, err := w.send(ctx, sender)
		sent += n
		if n == 0 && err != nil {
			_, again := l.DB.Exec(ctx, `
				UPDATE ledger_months SET told_at = NULL
				WHERE organization_id = $1 AND to_char(month, 'YYYY-MM') = $2`, w.Organization, w.Month)
			err = errors.Join(err, postgres.Fault(again))
		}
		errs = append(errs, err)
	}
	return sent, errors.Join(errs...)
}

// warned is an organisation that has passed its soft limit.
type warned struct {
	Organization, Name, Month string
	Spent, Hard               int64
	Owners                    []string
}

func (w warned) send(ctx context.Context, sender mail.Sender) (sent int, err error) {
	for _, to := range w.Owners {
		failure := sender.Send(ctx, mail.Message{
			To:      to,
			Subject: "Lectern: most of this month's budget is spent",
			Text: fmt.Sprintf("%s has spent $%s of the $%s that it may spend in %s.\n\n"+
				"When all is spent, courses and videos wait and the tutor stops answering, until the operator raises "+
				"the budget or a new month begins. Nothing that was made is lost.\n", w.Name, usd(w.Spent), usd(w.Hard), w.Month),
		})
		if failure != nil {
			err = errors.Join(err, failure)
			continue
		}
		sent++
	}
	return sent, err
}
