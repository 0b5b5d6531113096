package conversation

import (
	"github.com/jackc/pgx/v5"
)

// How far back a model is shown a branch whose summary is late, or failed to be made.
const (
	maxShown      = 400     // messages
	maxShownBytes = 600_000 // of text
)

// branch is a message and those before it, newest first, back to the newest summary.
type branch struct {
	messages   []Message
	summary    *Summary // of what was before
	checkpoint string   // the nearest one behind the first message
}

// selectBranch walks from an answer towards the beginning, by the pointers to
// parents, until a summary stands for the rest or the bounds are met. The work
// depends on what it finds, not on how long the session is.
//
//	$1 organization, $2 user, $3 session
//	$4 the answer; where it is not there, the first that $5 got
//	$6 the checkpoint whose summary is to be used ('': the newest one)
//	$7 and $8 bounds: messages and bytes
//
// Each LIMIT has a row looked up by itself: else a plan for sessions of usual length
// reads the whole of one that is very long.
//
// A summary counts from the question on: one that was made of an interrupted answer
// does not hide the question from who goes on with it.
const selectBranch = `
	WITH RECURSIVE named AS MATERIALIZED (
		SELECT coalesce(
			(SELECT a.message_id FROM messages a WHERE a.organization_id = $1 AND a.session_id = $3 AND a.message_id = $4),
			(SELECT a.message_id
				FROM messages u
				JOIN messages a ON a.session_id = u.session_id AND a.ordinal > u.ordinal AND a.parent_id = u.message_id
				WHERE u.organization_id = $1 AND a.organization_id = $1 AND u.session_id = $3 AND u.message_id = $5 AND a.role = 'assistant'
				ORDER BY a.ordinal
				LIMIT 1)) AS message_id
		FROM sessions s
		WHERE s.organization_id = $1 AND s.user_id = $2 AND s.session_id = $3),
	walk AS (
		SELECT m.message_id, m.parent_id, 1 AS depth, 0 AS size, false AS asked, false AS covered
		FROM named n
		JOIN messages m ON m.organization_id = $1 AND m.session_id = $3 AND m.message_id = n.message_id
		UNION ALL
		SELECT m.message_id, m.parent_id, w.depth + 1, w.size + octet_length(m.content), w.asked OR m.role = 'user',
			w.asked AND CASE
				WHEN $6 <> '' THEN m.message_id IS NOT DISTINCT FROM (SELECT c.summary_id FROM checkpoints c WHERE c.organization_id = $1 AND c.session_id = $3 AND c.checkpoint_id = $6)
				ELSE EXISTS (SELECT FROM summaries y WHERE y.organization_id = $1 AND y.session_id = $3 AND y.message_id = m.message_id) END
		FROM walk w
		CROSS JOIN LATERAL (SELECT * FROM messages m WHERE m.organization_id = $1 AND m.session_id = $3 AND m.message_id = w.parent_id LIMIT 1) m
		WHERE NOT w.covered AND w.depth < $7 AND w.size < $8)
	SELECT ` + messageColumns + `, w.covered, coalesce(c.checkpoint_id, ''), coalesce(y.content, ''), coalesce(y.tokens, 0), coalesce(y.model, ''), coalesce(y.created_at, m.created_at)
	FROM walk w
	CROSS JOIN LATERAL (SELECT * FROM messages m WHERE m.organization_id = $1 AND m.session_id = $3 AND m.message_id = w.message_id LIMIT 1) m
	LEFT JOIN LATERAL (SELECT * FROM checkpoints c WHERE c.organization_id = $1 AND c.session_id = $3 AND c.message_id = w.message_id LIMIT 1) c ON true
	LEFT JOIN LATERAL (SELECT * FROM summaries y WHERE w.covered AND y.organization_id = $1 AND y.session_id = $3 AND y.message_id = w.message_id LIMIT 1) y ON true
	ORDER BY w.depth`

func scanBranch(rows pgx.Rows) (b branch, err error) {
	defer rows.Close()
	for first := true; rows.Next(); first = false {
		var m Message
		var covered bool
		var checkpoint string
		var y Summary
		into, keep := m.into()
		if err := rows.Scan(append(into, &covered, &checkpoint, &y.Content, &y.Tokens, &y.Model, &y.CreatedAt)...); err != nil {
			return branch{}, err
		}
		keep()
		if !first && b.checkpoint == "" {
			b.checkpoint = checkpoint
		}
		if covered {
			y.Message = m.ID
			b.summary = &y
			break // it is the last
		}
		b.messages = append(b.messages, m)
	}
	rows.Close()
	return b, rows.Err()
}
