package conversation

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// Room says Exhausted when who asks, or their organization, has as many sessions as they
// may have. It belongs into the transaction that begins another one: those of an
// organization come one after the other, so that two at once cannot both be the last.
func Room(ctx context.Context, tx postgres.Querier, p account.Principal, limits Limits) error {
	if p.Credential() { // it may stand for many people
		limits.SessionsPerUser = 0
	}
	if limits.SessionsPerUser == 0 && limits.SessionsPerOrganization == 0 {
		return nil
	}
	var yours, theirs int
	b := new(pgx.Batch)
	b.Queue(`SELECT pg_advisory_xact_lock(hashtextextended('sessions of ' || $1, 0))`, p.Organization)
	b.Queue(`
		SELECT
			(SELECT count(*) FROM (SELECT FROM sessions WHERE organization_id = $1 AND user_id = $2 LIMIT $3) y),
			(SELECT count(*) FROM (SELECT FROM sessions WHERE organization_id = $1 LIMIT $4) t)`,
		p.Organization, p.User, limits.SessionsPerUser, limits.SessionsPerOrganization).
		QueryRow(func(row pgx.Row) error { return row.Scan(&yours, &theirs) })
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return postgres.Fault(err)
	}
	switch {
	case limits.SessionsPerUser > 0 && yours >= limits.SessionsPerUser:
		return fault.New(fault.Exhausted,
			"You have %d conversations, as many as one person may have. Delete one that you do not need any more, or go on with one of them.", yours)
	case limits.SessionsPerOrganization > 0 && theirs >= limits.SessionsPerOrganization:
		return fault.New(fault.Exhausted,
			"Your organization has %d conversations, as many as it may have. Delete those that nobody needs any more, go on with one of them, or ask whoever runs Lectern for more.", theirs)
	}
	return nil
}
