package conversation

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/postgres"
)

// messageColumns are of a message m.
const messageColumns = `m.message_id, coalesce(m.parent_id, ''), m.role, m.task_id, m.state, m.content, m.citations, m.quiz,
	coalesce(m.problem, ''), coalesce(m.model, ''), coalesce(m.finish, ''), m.input_tokens, m.output_tokens, m.ttfb_ms,
	m.created_at, m.finished_at, coalesce(m.events, 0), m.tokens`

// into lists where a row of messageColumns goes. Keep must be called when it is there.
func (m *Message) into() (into []any, keep func()) {
	var input, output *int64
	into = []any{
		&m.ID, &m.Parent, &m.Role, &m.TaskID, &m.State, &m.Content, &m.Citations, &m.Quiz,
		&m.Problem, &m.Model, &m.Finish, &input, &output, &m.TTFB, &m.CreatedAt, &m.FinishedAt, &m.Events, &m.Tokens,
	}
	return into, func() {
		if input != nil && output != nil {
			m.Usage = &Usage{*input, *output}
		}
	}
}

func scanMessage(row pgx.CollectableRow) (m Message, err error) {
	into, keep := m.into()
	err = row.Scan(into...)
	keep()
	return m, err
}

const selectMessages = `
	SELECT m.ordinal, ` + messageColumns + `
	FROM sessions s
	JOIN messages m USING (session_id)
	WHERE s.organization_id = $1 AND s.user_id = $2 AND s.session_id = $3 AND m.organization_id = $1 AND m.ordinal > $4
	ORDER BY m.ordinal
	LIMIT $5`

// Messages gives a session's messages in the order in which they came, those of
// every branch: at most limit of them after the cursor, and the cursor of the next
// page, empty when there is none. Each names its parent.
func Messages(ctx context.Context, q postgres.Querier, p account.Principal, session, cursor string, limit int) ([]Message, string, error) {
	after, err := parseOrdinal(cursor)
	if err != nil {
		return nil, "", err
	}
	if err := own(ctx, q, p, session); err != nil {
		return nil, "", err
	}
	rows, err := q.Query(ctx, selectMessages, p.Organization, p.User, session, after, limit+1)
	if err != nil {
		return nil, "", postgres.Fault(err)
	}
	var ordinals []int64
	messages, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m Message, err error) {
		var ordinal int64
		into, keep := m.into()
		err = row.Scan(append([]any{&ordinal}, into...)...)
		keep()
		ordinals = append(ordinals, ordinal)
		return m, err
	})
	if err != nil || len(messages) <= limit {
		return messages, "", postgres.Fault(err)
	}
	return messages[:limit], ordinalCursor(ordinals[limit-1]), nil
}

const selectMessage = `
	SELECT ` + messageColumns + `
	FROM sessions s
	JOIN messages m USING (session_id)
	WHERE s.organization_id = $1 AND s.user_id = $2 AND s.session_id = $3 AND m.organization_id = $1 AND m.message_id = $4`

// GetMessage reads one message.
func GetMessage(ctx context.Context, q postgres.Querier, p account.Principal, session, message string) (Message, error) {
	rows, err := q.Query(ctx, selectMessage, p.Organization, p.User, session, message)
	if err != nil {
		return Message{}, postgres.Fault(err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, scanMessage)
	return m, missing(err, "message")
}
