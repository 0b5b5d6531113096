package relay

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// dead is a condition on a process p: it has not said for too long that it lives.
// After a restart of the database everybody gets time to say so again.
const dead = `(p.producer_id IS NULL OR greatest(p.alive_until, pg_postmaster_start_time() + interval '6 seconds') < now())`

// unclaimed is a condition on a message m: nobody has gone on with it for too long, or
// should.
const unclaimed = `(m.producer_id IS NULL AND (m.stop_requested OR m.handed_over_at < now() - interval '1 minute'))`

// Why an answer ended that its process did not end, for a person.
const stranded = "The server that was writing this answer stopped before it was done. What it had written is kept: ask for the rest, or ask again."

// interruptAtOnce is how many answers one statement ends.
const interruptAtOnce = 50

// interrupt ends answers whose process has died, or that nobody has gone on with, or
// that carry the id own and are not made there, as their log has them, each with its
// checkpoint. The lock waits for appends that are under way; later ones find the
// answer ended.
func interrupt(ctx context.Context, db postgres.Beginner, answers []Answer, own string) (int, error) {
	var organizations, sessions, messages, checkpoints []string
	for _, a := range answers {
		organizations, sessions, messages = append(organizations, a.Organization), append(sessions, a.Session), append(messages, a.Message)
		checkpoints = append(checkpoints, id.New(id.Checkpoint))
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
	b.Queue(endStranded, organizations, sessions, messages, own, stranded, checkpoints, deepest)
	results := db.SendBatch(ctx, b)
	_, err1 := results.Exec()
	_, err2 := results.Exec()
	tag, err3 := results.Exec()
	return int(tag.RowsAffected()), postgres.Fault(errors.Join(err1, err2, err3, results.Close()))
}

// deepest is how many messages a branch is walked back for what was shown to the model.
const deepest = 400

// endStranded ends answers as their log has them, each with a checkpoint. What a person
// wanted to stop has stopped. Behind the checkpoint
// stands the nearest one on the branch, and it names the summary that there was when
// the answer began. Which model wrote is not known, nor the wording of its
// instructions. The tokens are an estimate (llm.EstimateText).
//
//	$1, $2 and $3 organizations, sessions and messages, $4 a process whose answers are given up, $5 why
//	$6 ids of the checkpoints to be, $7 how many messages a branch is walked back
const endStranded = `
	WITH RECURSIVE ended AS (
		UPDATE messages
		SET state = CASE WHEN m.stop_requested THEN 'stopped' WHEN l.content = '' THEN 'failed' ELSE 'interrupted' END,
			content = l.content, citations = l.citations, events = l.events, tokens = (octet_length(l.content) + 3) / 4,
			problem = CASE WHEN NOT m.stop_requested THEN $5 END, finished_at = now()
		FROM unnest($1::text[], $2::text[], $3::text[], $6::text[]) AS a (organization_id, session_id, message_id, checkpoint_id)
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
			AND CASE WHEN m.producer_id IS NULL THEN ` + unclaimed + ` ELSE m.producer_id = $4 OR ` + dead + ` END
		RETURNING messages.organization_id, messages.session_id, messages.message_id, messages.parent_id, messages.task_id, messages.created_at, a.checkpoint_id),
	walk AS (
		SELECT e.organization_id, e.session_id, e.message_id, e.created_at, e.parent_id AS behind, 0 AS depth, false AS asked,
			NULL::text AS checkpoint_id, NULL::text AS summary_id
		FROM ended e
		UNION ALL
		SELECT w.organization_id, w.session_id, w.message_id, w.created_at, m.parent_id, w.depth + 1, w.asked OR m.role = 'user',
			coalesce(w.checkpoint_id, (
				SELECT c.checkpoint_id FROM checkpoints c
				WHERE c.organization_id = w.organization_id AND c.session_id = w.session_id AND c.message_id = m.message_id)),
			(SELECT y.message_id FROM summaries y
				WHERE w.asked AND y.organization_id = w.organization_id AND y.session_id = w.session_id AND y.message_id = m.message_id
					AND y.created_at < w.created_at)
		FROM walk w
		JOIN messages m ON m.organization_id = w.organization_id AND m.session_id = w.session_id AND m.message_id = w.behind
		WHERE w.summary_id IS NULL AND w.depth < $7)
	INSERT INTO checkpoints (session_id, checkpoint_id, organization_id, parent_id, message_id, summary_id, task_id, model, prompt_version)
	SELECT e.session_id, e.checkpoint_id, e.organization_id, b.checkpoint_id, e.message_id, b.summary_id, e.task_id, '', ''
	FROM ended e
	CROSS JOIN LATERAL (
		SELECT max(w.checkpoint_id) AS checkpoint_id, max(w.summary_id) AS summary_id
		FROM walk w
		WHERE w.organization_id = e.organization_id AND w.session_id = e.session_id AND w.message_id = e.message_id) b`

// Bury ends an answer whose process has died, or that nobody has gone on with, as it would
// end when somebody read it, and tells whether it did.
func (r *Relay) Bury(ctx context.Context, a Answer) (ended bool, err error) {
	if r.live(a) != nil {
		return false, nil
	}
	stranded := false
	err = r.alone(ctx, func(ctx context.Context) error {
		err := r.o.DB.QueryRow(ctx, `
			SELECT CASE WHEN m.producer_id IS NULL THEN `+unclaimed+` ELSE `+dead+` END
			FROM messages m
			LEFT JOIN producers p USING (producer_id)
			WHERE m.organization_id = $1 AND m.session_id = $2 AND m.message_id = $3 AND m.state = 'streaming'`,
			a.Organization, a.Session, a.Message).Scan(&stranded)
		if errors.Is(err, pgx.ErrNoRows) { // it has ended by itself
			ended, err = true, nil
		}
		return err
	})
	if err != nil || !stranded {
		return ended, err
	}
	select { // see doubt
	case <-time.After(r.o.Lease / doubt):
	case <-ctx.Done():
		return false, postgres.Fault(ctx.Err())
	}
	err = r.alone(ctx, func(ctx context.Context) error {
		n, err := interrupt(ctx, r.o.DB, []Answer{a}, "")
		ended = n > 0
		return err
	})
	return ended, err
}
