package conversation

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/postgres"
)

// LastQuestion gives the newest message that a person sent in a session, on whatever
// branch. NotFound: there is none, or the session is not theirs.
func LastQuestion(ctx context.Context, q postgres.Querier, p account.Principal, session string) (Message, error) {
	rows, err := q.Query(ctx, `
		SELECT `+messageColumns+`
		FROM sessions s
		JOIN messages m USING (session_id)
		WHERE s.organization_id = $1 AND s.user_id = $2 AND s.session_id = $3 AND m.organization_id = $1 AND m.role = 'user'
		ORDER BY m.ordinal DESC
		LIMIT 1`, p.Organization, p.User, session)
	if err != nil {
		return Message{}, postgres.Fault(err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, scanMessage)
	return m, missing(err, "message")
}
