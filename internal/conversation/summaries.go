package conversation

import (
	"context"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/postgres"
)

// saveSummary keeps what was said up to a message. The first one made of a message
// stays; stored is false when there was one, or the session is gone.
func saveSummary(ctx context.Context, q postgres.Querier, p account.Principal, session string, s Summary) (stored bool, err error) {
	tag, err := q.Exec(ctx, `
		INSERT INTO summaries (session_id, message_id, organization_id, content, tokens, model)
		SELECT m.session_id, m.message_id, m.organization_id, $5, $6, $7
		FROM sessions s
		JOIN messages m USING (session_id)
		WHERE s.organization_id = $1 AND s.user_id = $2 AND s.session_id = $3 AND m.organization_id = $1 AND m.message_id = $4
		ON CONFLICT DO NOTHING`, p.Organization, p.User, session, s.Message, relay.Storable(s.Content), s.Tokens, relay.Storable(s.Model))
	return tag.RowsAffected() == 1, postgres.Fault(err)
}
