package conversation

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// endTurn stores an answer, with its checkpoint, unless it is somebody else's by now.
const endTurn = `
	WITH m AS (
		UPDATE messages
		SET state = $5, content = $6, citations = $7, quiz = $8, problem = nullif($9, ''), model = nullif($10, ''), finish = nullif($11, ''),
			input_tokens = $12, output_tokens = $13, tokens = $14, ttfb_ms = $15, events = $16, finished_at = now()
		WHERE organization_id = $1 AND session_id = $2 AND message_id = $3 AND state = 'streaming' AND producer_id = $4
		RETURNING *),
	kept AS (
		INSERT INTO checkpoints (session_id, checkpoint_id, organization_id, parent_id, message_id, summary_id, task_id, model, prompt_version)
		SELECT session_id, $17, organization_id, nullif($18, ''), message_id, $19, task_id, $10, $20
		FROM m)
	SELECT ` + messageColumns + ` FROM m`

// finish stores how an answer ended, with a checkpoint, in one commit, and gives the
// message as it stands from now on. Conflict, with relay.ErrLost in the chain: the
// answer is not this process's any more, or it was deleted. Repeated after a failure
// that left open whether it was done, it does no more than is left to do.
func finish(ctx context.Context, db postgres.Querier, t Turn, o Outcome) (Message, error) {
	var summary, ttfb any
	if t.Summary != nil {
		summary = t.Summary.Message
	}
	if o.TTFB > 0 {
		ttfb = max(1, o.TTFB.Milliseconds())
	}
	for i := range o.Citations {
		o.Citations[i].Quote = relay.Storable(o.Citations[i].Quote)
	}
	citations, quiz := any(nil), any(nil)
	if len(o.Citations) > 0 {
		citations = o.Citations
	}
	if o.Quiz != nil {
		quiz = o.Quiz
	}
	rows, err := db.Query(ctx, endTurn,
		t.who.Organization, t.Session.ID, t.Answer.ID, t.producer,
		o.State, relay.Storable(o.Content), citations, quiz, relay.Storable(o.Problem), relay.Storable(o.Model), o.Finish,
		o.Usage.Input, o.Usage.Output, o.Tokens, ttfb, o.Events, t.checkpoint, t.ParentCheckpoint, summary, o.PromptVersion)
	if err != nil {
		return Message{}, postgres.Fault(err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, scanMessage)
	if !errors.Is(err, pgx.ErrNoRows) {
		return m, postgres.Fault(err)
	}
	return finished(ctx, db, t)
}

// finished reads the answer of a turn whose checkpoint is there: an earlier finish
// got through without our hearing of it.
func finished(ctx context.Context, q postgres.Querier, t Turn) (Message, error) {
	rows, err := q.Query(ctx, `
		SELECT `+messageColumns+`
		FROM checkpoints c
		JOIN messages m USING (session_id, message_id)
		WHERE c.organization_id = $1 AND m.organization_id = $1 AND c.session_id = $2 AND c.message_id = $3 AND c.checkpoint_id = $4`,
		t.who.Organization, t.Session.ID, t.Answer.ID, t.checkpoint)
	if err != nil {
		return Message{}, postgres.Fault(err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, scanMessage)
	if errors.Is(err, pgx.ErrNoRows) {
		return Message{}, fault.Wrap(fault.Conflict, relay.ErrLost, "The answer was ended elsewhere, or deleted.")
	}
	return m, postgres.Fault(err)
}
