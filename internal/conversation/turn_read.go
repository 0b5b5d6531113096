package conversation

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// load reads the turn of an answer that is there already, for who goes on with it.
func load(ctx context.Context, q postgres.Querier, p account.Principal, session, answer, producer string) (Turn, error) {
	b := new(pgx.Batch)
	t := Turn{producer: producer, checkpoint: id.New(id.Checkpoint)}
	t.queue(b, p, session, answer, "", "")
	if err := q.SendBatch(ctx, b).Close(); err != nil {
		return Turn{}, postgres.Fault(err)
	}
	if t.Answer.ID == "" {
		return Turn{}, fault.New(fault.NotFound, "There is no such message.")
	}
	return t, nil
}

// loadFirst reads the turn of the first answer that a question got.
func loadFirst(ctx context.Context, q postgres.Querier, p account.Principal, session, question string) (t Turn, err error) {
	b := new(pgx.Batch)
	t.queue(b, p, session, "", question, "")
	return t, q.SendBatch(ctx, b).Close()
}

// queue has a batch read the turn of an answer or, where that is not there, of the
// first one that a question got; nothing when neither is there.
func (t *Turn) queue(b *pgx.Batch, p account.Principal, session, answer, question, replay string) {
	t.who = p
	b.Queue(selectSession, p.Organization, p.User, session).Query(func(rows pgx.Rows) error {
		found, err := pgx.CollectRows(rows, scanSession)
		if len(found) > 0 {
			t.Session = found[0]
		}
		return err
	})
	t.queueBranch(b, session, answer, question, replay)
	b.Queue(`
		SELECT `+taskColumns+`, coalesce(m.max_tokens, 0), m.manner
		FROM messages m
		JOIN tasks t USING (organization_id, task_id)
		WHERE m.organization_id = $1 AND m.session_id = $2 AND m.message_id IN ($3, $4)
		ORDER BY m.role
		LIMIT 1`, p.Organization, session, answer, question).Query(func(rows pgx.Rows) error {
		defer rows.Close()
		if !rows.Next() || t.Session.ID == "" {
			rows.Close()
			return rows.Err()
		}
		return rows.Scan(append(t.Task.into(), &t.MaxTokens, &t.Extra)...)
	})
}

// queueBranch is the part of queue that reads the messages.
func (t *Turn) queueBranch(b *pgx.Batch, session, answer, question, replay string) {
	b.Queue(selectBranch, t.who.Organization, t.who.User, session, answer, question, replay, maxShown, maxShownBytes).Query(func(rows pgx.Rows) error {
		found, err := scanBranch(rows)
		if err == nil && len(found.messages) > 0 {
			t.take(found)
		}
		return err
	})
}

// take sorts a branch, newest first, into what it is of a turn.
func (t *Turn) take(b branch) {
	t.Answer, t.Summary, t.ParentCheckpoint = b.messages[0], b.summary, b.checkpoint
	before := b.messages[1:]
	for i, m := range before {
		if m.Role == User {
			t.Question = m
			t.History = slices.Clone(before[i+1:])
			slices.Reverse(t.History)
			before = before[:i]
			break
		}
	}
	if len(before) > 0 {
		t.Continues = new(before[0])
		var all strings.Builder
		for _, part := range slices.Backward(before) {
			all.WriteString(part.Content)
		}
		t.Continues.Content = all.String()
	}
}
