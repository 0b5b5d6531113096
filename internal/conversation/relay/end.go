package relay

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/postgres"
)

// dead is a condition on a process p: it has not said for too long that it lives.
// After a restart of the database everybody gets time to say so again.
const dead = `(p.producer_id IS NULL OR greatest(p.alive_until, pg_postmaster_start_time() + interval '6 seconds') < now())`

// unclaimed is a condition on a message m: nobody has gone on with it for too long.
const unclaimed = `(m.producer_id IS NULL AND m.handed_over_at < now() - interval '1 minute')`

// Why an answer ended that its process did not end, for a person.
const stranded = "The server that was writing this answer stopped before it was done. What it had written is kept: ask for the rest, or ask again."

// interruptAtOnce is how many answers one statement ends.
const interruptAtOnce = 50

// interrupt ends answers whose process has died, or that nobody has gone on with, or
// that carry the id own and are not made there, as their log has them. The lock
// waits for appends that are under way; later ones find the answer ended.
func interrupt(ctx context.Context, db postgres.Beginner, answers []Answer, own string) (int, error) {
	var organizations, sessions, messages []string
	for _, a := range answers {
		organizations, sessions, messages = append(organizations, a.Organization), append(sessions, a.Session), append(messages, a.Message)
	}
	b := &pgx.Batch{}
	b.Queue(`SELECT set_config('lock_timeout', '200ms', true)`)
	b.Queue(`
		SELECT pg_advisory_xact_lock(hashtextextended('producer ' || producer_id, 0))
		FROM (
			SELECT DISTINCT m.producer_id
			FROM unnest($1::text[], $2::text[], $3::text[]) AS a (organization_id, session_id, message_id)
			JOIN messages m ON m.organization_id = a.organization_id AND m.session_id = a.session_id AND m.message_id = a.message_id
			LEFT JOIN producers p USING (producer_id)
			WHERE m.state = 'streaming' AND m.producer_id IS NOT NULL AND (m.producer_id = $4 OR `+dead+`)
			ORDER BY m.producer_id) d`, organizations, sessions, messages, own)
	b.Queue(`
		UPDATE messages
		SET state = CASE WHEN l.content = '' THEN 'failed' ELSE 'interrupted' END,
			content = l.content, citations = l.citations, events = l.events, problem = $5, finished_at = now()
		FROM unnest($1::text[], $2::text[], $3::text[]) AS a (organization_id, session_id, message_id)
		JOIN messages m ON m.organization_id = a.organization_id AND m.session_id = a.session_id AND m.message_id = a.message_id
		LEFT JOIN producers p USING (producer_id)
		CROSS JOIN LATERAL (
			SELECT coalesce(string_agg(e.data::json ->> 'text', '' ORDER BY e.seq) FILTER (WHERE e.kind = 'delta'), '') AS content,
				jsonb_agg(e.data::jsonb ORDER BY e.seq) FILTER (WHERE e.kind = 'citation') AS citations,
				count(*) AS events
			FROM stream_events e
			WHERE e.message_id = m.message_id AND e.organization_id = m.organization_id) l
		WHERE messages.session_id = m.session_id AND messages.message_id = m.message_id
			AND m.state = 'streaming' AND messages.state = 'streaming'
			AND messages.producer_id IS NOT DISTINCT FROM m.producer_id
			AND CASE WHEN m.producer_id IS NULL THEN `+unclaimed+` ELSE m.producer_id = $4 OR `+dead+` END`,
		organizations, sessions, messages, own, stranded)
	results := db.SendBatch(ctx, b)
	_, err1 := results.Exec()
	_, err2 := results.Exec()
	tag, err3 := results.Exec()
	return int(tag.RowsAffected()), postgres.Fault(errors.Join(err1, err2, err3, results.Close()))
}
