package conversation

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// Snapshot is what the model was shown for an answer: the instructions apart, which
// are those of the checkpoint's task.
type Snapshot struct {
	Checkpoint Checkpoint `json:"checkpoint"`
	Summary    *Summary   `json:"summary,omitempty" doc:"what stood for the beginning of the conversation"`
	Messages   []Message  `json:"messages" doc:"the conversation after that, up to what was answered, oldest first"`
}

const checkpointColumns = `c.checkpoint_id, coalesce(c.parent_id, ''), c.message_id, coalesce(c.summary_id, ''), c.task_id, c.model, c.prompt_version, c.created_at`

func (c *Checkpoint) into() []any {
	return []any{&c.ID, &c.Parent, &c.Message, &c.Summary, &c.TaskID, &c.Model, &c.PromptVersion, &c.CreatedAt}
}

// Checkpoints gives a session's checkpoints in the order of their answers: at most
// limit of them after the cursor, and the cursor of the next page, empty when there
// is none.
func Checkpoints(ctx context.Context, q postgres.Querier, p account.Principal, session, cursor string, limit int) ([]Checkpoint, string, error) {
	after, err := parseOrdinal(cursor)
	if err != nil {
		return nil, "", err
	}
	if err := own(ctx, q, p, session); err != nil {
		return nil, "", err
	}
	rows, err := q.Query(ctx, `
		SELECT m.ordinal, `+checkpointColumns+`
		FROM sessions s
		JOIN messages m USING (session_id)
		JOIN checkpoints c USING (session_id, message_id)
		WHERE s.organization_id = $1 AND s.user_id = $2 AND s.session_id = $3
			AND m.organization_id = $1 AND c.organization_id = $1 AND m.ordinal > $4
		ORDER BY m.ordinal
		LIMIT $5`, p.Organization, p.User, session, after, limit+1)
	if err != nil {
		return nil, "", postgres.Fault(err)
	}
	var ordinals []int64
	checkpoints, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Checkpoint, err error) {
		var ordinal int64
		err = row.Scan(append([]any{&ordinal}, c.into()...)...)
		ordinals = append(ordinals, ordinal)
		return c, err
	})
	if err != nil || len(checkpoints) <= limit {
		return checkpoints, "", postgres.Fault(err)
	}
	return checkpoints[:limit], ordinalCursor(ordinals[limit-1]), nil
}

// GetCheckpoint reads one checkpoint.
func GetCheckpoint(ctx context.Context, q postgres.Querier, p account.Principal, session, checkpoint string) (Checkpoint, error) {
	rows, err := q.Query(ctx, `
		SELECT `+checkpointColumns+`
		FROM sessions s
		JOIN checkpoints c USING (session_id)
		WHERE s.organization_id = $1 AND s.user_id = $2 AND s.session_id = $3 AND c.organization_id = $1 AND c.checkpoint_id = $4`,
		p.Organization, p.User, session, checkpoint)
	if err != nil {
		return Checkpoint{}, postgres.Fault(err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (c Checkpoint, err error) {
		err = row.Scan(c.into()...)
		return c, err
	})
	return c, missing(err, "checkpoint")
}

// StateAt tells what the answer of a checkpoint was made from.
func StateAt(ctx context.Context, q postgres.Querier, p account.Principal, session, checkpoint string) (Snapshot, error) {
	c, err := GetCheckpoint(ctx, q, p, session, checkpoint)
	if err != nil {
		return Snapshot{}, err
	}
	rows, err := q.Query(ctx, selectBranch, p.Organization, p.User, session, c.Message, "", c.ID, maxShown, maxShownBytes)
	if err != nil {
		return Snapshot{}, postgres.Fault(err)
	}
	b, err := scanBranch(rows)
	if err != nil || len(b.messages) == 0 {
		return Snapshot{}, postgres.Fault(err)
	}
	shown := slices.Clone(b.messages[1:])
	slices.Reverse(shown)
	return Snapshot{Checkpoint: c, Summary: b.summary, Messages: shown}, nil
}

// Fork begins a session with copies of what led to a checkpoint, its answer included:
// the messages of that branch, the summary that was used, and the checkpoints on the
// way. Nothing in one of the two sessions is seen in the other from then on.
func Fork(ctx context.Context, tx postgres.Querier, p account.Principal, session, checkpoint, title string) (Session, error) {
	if err := checkText("title", title, 0, MaxTitle); err != nil {
		return Session{}, err
	}
	c, err := GetCheckpoint(ctx, tx, p, session, checkpoint)
	if err != nil {
		return Session{}, err
	}
	fork := id.New(id.Session)
	rows, err := tx.Query(ctx, `
		WITH RECURSIVE walk AS (
			SELECT message_id, parent_id
			FROM messages
			WHERE organization_id = $1 AND session_id = $2 AND message_id = $3
			UNION ALL
			SELECT m.message_id, m.parent_id
			FROM walk w
			JOIN messages m ON m.organization_id = $1 AND m.session_id = $2 AND m.message_id = w.parent_id)
		SELECT message_id FROM walk`, p.Organization, session, c.Message)
	if err != nil {
		return Session{}, postgres.Fault(err)
	}
	old, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return Session{}, postgres.Fault(err)
	}
	if len(old) == 0 {
		return Session{}, fault.New(fault.NotFound, "There is no such checkpoint.")
	}
	// Every answer needs an id that no other has: its log is found by it.
	messages, checkpoints := make([]string, len(old)), make([]string, len(old))
	for i := range old {
		messages[i], checkpoints[i] = id.New(id.Message), id.New(id.Checkpoint)
	}
	var s Session
	b := new(pgx.Batch)
	b.Queue(`
		INSERT INTO sessions (session_id, organization_id, user_id, course_id, lesson_id, task, title, forked_from)
		SELECT $4, organization_id, user_id, course_id, lesson_id, task, coalesce(nullif($5, ''), title), $6
		FROM sessions
		WHERE organization_id = $1 AND user_id = $2 AND session_id = $3`, p.Organization, p.User, session, fork, title, checkpoint)
	b.Queue(`
		WITH copied AS (SELECT * FROM unnest($4::text[], $5::text[]) AS copied (old, new))
		INSERT INTO messages (session_id, message_id, organization_id, parent_id, role, task_id, state, content, citations, quiz, problem, model, finish,
			tokens, input_tokens, output_tokens, ttfb_ms, events, max_tokens, manner, created_at, finished_at)
		SELECT $3, copied.new, m.organization_id, parent.new, m.role, m.task_id, m.state, m.content, m.citations, m.quiz, m.problem, m.model, m.finish,
			m.tokens, m.input_tokens, m.output_tokens, m.ttfb_ms, m.events, m.max_tokens, m.manner, m.created_at, m.finished_at
		FROM copied
		JOIN messages m ON m.organization_id = $1 AND m.session_id = $2 AND m.message_id = copied.old
		LEFT JOIN copied parent ON parent.old = m.parent_id
		ORDER BY m.ordinal`, p.Organization, session, fork, old, messages)
	b.Queue(`
		WITH copied AS (SELECT * FROM unnest($4::text[], $5::text[]) AS copied (old, new))
		INSERT INTO summaries (session_id, message_id, organization_id, content, tokens, model, created_at)
		SELECT $3, copied.new, y.organization_id, y.content, y.tokens, y.model, y.created_at
		FROM copied
		JOIN summaries y ON y.organization_id = $1 AND y.session_id = $2 AND y.message_id = copied.old
		JOIN messages m ON m.organization_id = $1 AND m.session_id = $2 AND m.message_id = y.message_id
		WHERE m.ordinal <= (SELECT ordinal FROM messages WHERE organization_id = $1 AND session_id = $2 AND message_id = $6)`,
		p.Organization, session, fork, old, messages, c.Summary)
	b.Queue(`
		WITH copied AS (SELECT * FROM unnest($4::text[], $5::text[], $6::text[]) AS copied (old, new, checkpoint)),
		theirs AS (
			SELECT c.*, copied.new, copied.checkpoint
			FROM copied
			JOIN checkpoints c ON c.organization_id = $1 AND c.session_id = $2 AND c.message_id = copied.old)
		INSERT INTO checkpoints (session_id, checkpoint_id, organization_id, parent_id, message_id, summary_id, task_id, model, prompt_version, created_at)
		SELECT $3, t.checkpoint, t.organization_id, parent.checkpoint, t.new, summary.new, t.task_id, t.model, t.prompt_version, t.created_at
		FROM theirs t
		LEFT JOIN theirs parent ON parent.checkpoint_id = t.parent_id
		LEFT JOIN copied summary ON summary.old = t.summary_id`, p.Organization, session, fork, old, messages, checkpoints)
	b.Queue(selectSession, p.Organization, p.User, fork).Query(func(rows pgx.Rows) error {
		s, err = pgx.CollectExactlyOneRow(rows, scanSession)
		return err
	})
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return Session{}, missing(err, "session")
	}
	return s, nil
}
