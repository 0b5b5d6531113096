package conversation

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// opened is what beginTurn found and did.
type opened struct {
	verdict string
	running string // the answer that is being made in the session
	same    bool   // the message that was sent before says the same and stands at the same place
	hard    int64  // what the organization may spend in a month
}

// open begins a turn: it stores the question and the row of its answer, and reads what
// the model is to be shown, in one round trip and one commit, and with the same work
// in a session's first turn and its thousandth. Producer is the process that makes
// the answer, model whose tokenizer counts.
//
// Beside those of the database it gives Invalid for a prompt that makes no sense,
// NotFound for another's session, Conflict for a message whose id said something
// else before, *Busy while another answer is being made in the session, and Exhausted
// when too many are being made at once.
func open(ctx context.Context, db postgres.Beginner, p account.Principal, session string, in Prompt, producer string, limits Limits, model string) (Turn, error) {
	return openPaid(ctx, db, p, session, in, producer, limits, model, nil)
}

// openPaid is open for a turn whose model is paid for from a ledger. PaymentRequired: there
// is nothing left in it.
//
// What it has written a crash of the database may take back, until something is
// committed behind it that waits for the disk, as the reservation of the answer's money
// does: one wait is enough for both. Nobody may be told of it before.
func openPaid(ctx context.Context, db postgres.Beginner, p account.Principal, session string, in Prompt, producer string, limits Limits, model string, ledger *budget.Ledger) (Turn, error) {
	if err := in.check(); err != nil {
		return Turn{}, err
	}
	if p.Credential() { // it may stand for many people
		limits.AnswersPerUser = 0
	}
	question, answer := cmp.Or(in.ID, id.New(id.Message)), id.New(id.Message)
	ensured := false
	for range 10 {
		o, turn, err := openOnce(ctx, db, p, session, in, question, answer, producer, limits, countTokens(model, in.Content), ledger)
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && slices.Contains([]string{uniqueViolation, foreignKeyViolation, "40001", "40P01"}, pg.Code) {
			continue // somebody else was quicker by a moment; now it can be seen
		}
		switch {
		case err != nil:
			return Turn{}, postgres.Fault(err)
		case o.verdict == "task" && !ensured:
			if err := ensureTasks(ctx, db, p.Organization); err != nil {
				return Turn{}, err
			}
			ensured = true
			continue
		case o.verdict == "opened" || o.verdict == "again" && o.same:
			turn.Again = o.verdict == "again"
			turn.producer, turn.checkpoint = producer, id.New(id.Checkpoint)
			return turn, nil
		}
		return Turn{}, o.refusal(in, limits)
	}
	return Turn{}, postgres.ErrAgain
}

const foreignKeyViolation = "23503"

// check says Invalid where a prompt makes no sense whatever is in the session.
func (in Prompt) check() error {
	switch {
	case in.ID != "" && (!clientID.MatchString(in.ID) || in.ID == Root):
		return wrong("id", "must have 1 to 64 letters, digits, hyphens and underscores")
	case in.ID != "" && in.Content == "":
		return wrong("id", "names a new message, and there is no content")
	case in.Replay != nil && in.Content != "":
		return wrong("content", "must be absent where a checkpoint is replayed")
	case in.Content == "" && in.Parent == Root:
		return wrong("content", "must not be empty")
	case in.Content == "":
		return nil
	}
	return checkText("content", in.Content, 1, MaxContent)
}

// manner is how the row holds what the model is to be told of how to write; nil: nothing.
func (in Prompt) manner() any {
	wishes := passable(in.Extra)
	if wishes == nil {
		return nil
	}
	return wishes
}

// refusal puts into words why no turn was begun.
func (o opened) refusal(in Prompt, limits Limits) error {
	switch o.verdict {
	case "session":
		return fault.New(fault.NotFound, "There is no such session.")
	case "again":
		return fault.New(fault.Conflict, "A message with the id %s was sent before, and it was another one. Give every message an id of its own.", in.ID)
	case "busy":
		e := fault.New(fault.Conflict, "Another answer is being made in this session. Wait until it is done, or stop it.")
		e.Fields = []fault.Field{{Location: "session.answering", Message: o.running}}
		return &Busy{e, o.running}
	case "checkpoint":
		return fault.New(fault.NotFound, "There is no such checkpoint.")
	case "parent":
		return wrong("parent", "names no message of this session")
	case "empty":
		return wrong("content", "must not be empty")
	case "whole":
		return fault.New(fault.Conflict, "This answer is whole: there is nothing to go on with. For another one, name the message that it answers.")
	case "unanswered":
		return wrong("parent", "names a question; a message follows an answer. To put a question otherwise, name the parent of the first one")
	case "task":
		return noTask(in.Task)
	case "unpaid":
		return budget.Unaffordable(o.hard)
	case "yours":
		return fault.New(fault.Exhausted,
			"You already have %d answers being made, as many as one person may have at once. Wait until one is done, or stop it.", limits.AnswersPerUser)
	case "theirs":
		return fault.New(fault.Exhausted,
			"Your organization already has %d answers being made, as many as it may have at once. Wait until one is done.", limits.AnswersPerOrganization)
	}
	return errors.New("conversation: a turn ended as " + o.verdict)
}

// beginTurn stores a question and the row of its answer, or says why it does not.
//
//	$1 organization, $2 user, $3 session
//	$4 the question's id, $5 its text ('': another answer to $6, or the rest of it), $6 parent ('': the newest)
//	$7 task ('': the session's), $8 the answer's id, $9 producer, $10 checkpoint to replay ('': none)
//	$11 and $12 how many answers a person and the organization may have at once (0: any number)
//	$13 tokens of the text, $14 and $15 names and versions of the built-in tasks
//	$16 how many tokens the answer may have (0: as what it repeats or goes on with), $17 further wishes (NULL: the same)
//	$18 what an organization may spend that has no limit of its own (NULL: nobody pays)
//
// An answer that failed has nothing to go on with: another one to its own parent is
// meant. What goes on with one that broke off may have as many tokens as were left to
// it, and as many again as one that has used them all up. Own tasks of an organization keep their names, whatever is built in later.
const beginTurn = `
	WITH s AS (
		SELECT session_id, course_id, lesson_id, task
		FROM sessions
		WHERE organization_id = $1 AND user_id = $2 AND session_id = $3),
	known AS (
		SELECT m.role = 'user' AND m.content = $5 AND ($6 = '' OR $6 = coalesce(m.parent_id, '` + Root + `')) AS same
		FROM s
		JOIN messages m USING (session_id)
		WHERE m.organization_id = $1 AND m.message_id = $4),
	running AS (
		SELECT m.message_id
		FROM s
		JOIN messages m USING (session_id)
		WHERE m.organization_id = $1 AND m.state = 'streaming'),
	replayed AS (
		SELECT c.task_id, m.parent_id, m.max_tokens, m.manner
		FROM s
		JOIN checkpoints c USING (session_id)
		JOIN messages m USING (session_id, message_id)
		WHERE c.organization_id = $1 AND m.organization_id = $1 AND c.checkpoint_id = $10),
	named AS (
		SELECT m.message_id, m.parent_id, m.state, m.manner,
			CASE WHEN m.finish IS DISTINCT FROM 'length' AND m.tokens < m.max_tokens THEN m.max_tokens - m.tokens ELSE m.max_tokens END AS max_tokens
		FROM s
		JOIN messages m USING (session_id)
		WHERE m.organization_id = $1 AND m.message_id = CASE
			WHEN $10 <> '' THEN (SELECT parent_id FROM replayed)
			WHEN $6 <> '' THEN $6
			ELSE (SELECT n.message_id FROM messages n WHERE n.organization_id = $1 AND n.session_id = $3 ORDER BY n.ordinal DESC LIMIT 1) END),
	parent AS (
		SELECT m.message_id, m.role, m.task_id, m.state IN ('stopped', 'interrupted') OR m.finish = 'length' AS open_ended
		FROM named n
		JOIN messages m ON m.organization_id = $1 AND m.session_id = $3
			AND m.message_id = CASE WHEN $5 = '' AND n.state = 'failed' THEN n.parent_id ELSE n.message_id END),
	wanted AS (
		SELECT coalesce(
			(SELECT task_id FROM replayed),
			CASE WHEN $7 LIKE '%@%' THEN $7 END,
			(SELECT task_id FROM parent WHERE $5 = '' AND $7 = ''),
			(SELECT n.task_id
				FROM tasks n
				WHERE n.organization_id = $1 AND n.task = coalesce(nullif($7, ''), (SELECT s.task FROM s))
					AND (NOT n.built_in OR n.version >= coalesce((SELECT b.version FROM unnest($14::text[], $15::bigint[]) AS b (name, version) WHERE b.name = n.task), 0))
				ORDER BY n.version DESC
				LIMIT 1)) AS task_id),
	task AS (
		SELECT ` + taskColumns + `
		FROM wanted
		JOIN tasks t ON t.organization_id = $1 AND t.task_id = wanted.task_id),
	crowd AS (
		SELECT count(*) FILTER (WHERE o.user_id = $2) AS yours, count(*) AS theirs
		FROM messages m
		JOIN sessions o USING (session_id)
		WHERE m.organization_id = $1 AND o.organization_id = $1 AND m.state = 'streaming'),
	purse AS (
		SELECT hard_micros, left_micros
		FROM budget_of($1, $18)
		WHERE $18 IS NOT NULL),
	verdict AS (
		SELECT CASE
			WHEN NOT EXISTS (SELECT FROM s) THEN 'session'
			WHEN EXISTS (SELECT FROM known) THEN 'again'
			WHEN EXISTS (SELECT FROM running) THEN 'busy'
			WHEN $10 <> '' AND NOT EXISTS (SELECT FROM replayed) THEN 'checkpoint'
			WHEN $10 = '' AND $6 NOT IN ('', '` + Root + `') AND NOT EXISTS (SELECT FROM named) THEN 'parent'
			WHEN $5 = '' AND NOT EXISTS (SELECT FROM parent) THEN 'empty'
			WHEN $5 = '' AND EXISTS (SELECT FROM parent WHERE role = 'assistant' AND open_ended IS NOT TRUE) THEN 'whole'
			WHEN $5 <> '' AND EXISTS (SELECT FROM parent WHERE role = 'user') THEN 'unanswered'
			WHEN NOT EXISTS (SELECT FROM task) THEN 'task'
			WHEN EXISTS (SELECT FROM purse WHERE left_micros <= 0) THEN 'unpaid'
			WHEN $11 > 0 AND (SELECT yours FROM crowd) >= $11 THEN 'yours'
			WHEN $12 > 0 AND (SELECT theirs FROM crowd) >= $12 THEN 'theirs'
			ELSE 'opened' END AS verdict),
	wished AS (
		SELECT max_tokens, manner FROM replayed
		UNION ALL
		SELECT max_tokens, manner FROM named WHERE $5 = '' AND $10 = ''),
	added AS (
		INSERT INTO messages (session_id, message_id, organization_id, parent_id, role, task_id, state, content, tokens, producer_id, max_tokens, manner)
		SELECT $3, n.message_id, $1, n.parent_id, n.role, (SELECT task_id FROM task), n.state, n.content, n.tokens, n.producer_id, n.max_tokens, n.manner
		FROM (VALUES
			(1, $4, (SELECT message_id FROM parent), 'user', 'complete', $5, $13::bigint, NULL, NULL, NULL),
			(2, $8, CASE WHEN $5 = '' THEN (SELECT message_id FROM parent) ELSE $4 END, 'assistant', 'streaming', '', 0, $9,
				coalesce(nullif($16::bigint, 0), (SELECT max_tokens FROM wished)), coalesce($17::json, (SELECT manner FROM wished)))
		) AS n (place, message_id, parent_id, role, state, content, tokens, producer_id, max_tokens, manner)
		WHERE (SELECT verdict FROM verdict) = 'opened' AND (n.place = 2 OR $5 <> '')
		ORDER BY n.place
		RETURNING role, max_tokens, manner)
	SELECT v.verdict, coalesce((SELECT message_id FROM running), ''), coalesce((SELECT same FROM known), false), coalesce((SELECT hard_micros FROM purse), 0),
		coalesce(s.course_id, ''), coalesce(s.lesson_id, ''), coalesce(s.task, ''),
		coalesce(t.task_id, ''), coalesce(t.task, ''), coalesce(t.version, 0), coalesce(t.built_in, false), coalesce(t.title, ''), coalesce(t.instructions, ''), coalesce(t.created_at, now()),
		coalesce(a.max_tokens, 0), a.manner
	FROM verdict v
	LEFT JOIN s ON true
	LEFT JOIN task t ON true
	LEFT JOIN added a ON a.role = 'assistant'`

// openOnce tries to begin a turn. The batch is one transaction: what is refused by an
// index leaves nothing behind. Those of an organization that has limits come one
// after the other, so that two at once cannot both be the last.
func openOnce(ctx context.Context, db postgres.Querier, p account.Principal, session string, in Prompt, question, answer, producer string, limits Limits, tokens int64, ledger *budget.Ledger) (opened, Turn, error) {
	var o opened
	replay := ""
	if in.Replay != nil {
		replay = in.Replay.ID
	}
	var names []string
	var versions []int64
	for _, t := range builtIn() {
		names, versions = append(names, t.Name), append(versions, t.Version)
	}
	var usual any
	if ledger != nil {
		usual = ledger.Defaults.Hard
	}
	turn := Turn{who: p, Session: Session{ID: session, Answering: answer}}
	b := new(pgx.Batch)
	// The plans for all values do (see TestTurnsReadByIndex). Left to itself, Postgres
	// plans a walk anew each time, which takes longer than the walk.
	// They look up rows by their keys: a plan that was made while the tables were empty
	// must do so too when they are full, before anybody has counted their rows.
	b.Queue(`
		SELECT set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true),
			set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
			set_config('synchronous_commit', CASE WHEN $1 THEN 'off' ELSE current_setting('synchronous_commit') END, true)`, ledger != nil)
	if limits.AnswersPerUser > 0 || limits.AnswersPerOrganization > 0 {
		b.Queue(`SELECT pg_advisory_xact_lock(hashtextextended('answers of ' || $1, 0))`, p.Organization)
	}
	b.Queue(beginTurn, p.Organization, p.User, session, question, in.Content, in.Parent, in.Task, answer, producer, replay,
		limits.AnswersPerUser, limits.AnswersPerOrganization, tokens, names, versions, max(in.MaxTokens, 0), in.manner(), usual).
		QueryRow(func(row pgx.Row) error {
			into := []any{&o.verdict, &o.running, &o.same, &o.hard, &turn.Session.CourseID, &turn.Session.LessonID, &turn.Session.Task}
			return row.Scan(append(append(into, turn.Task.into()...), &turn.MaxTokens, &turn.Extra)...)
		})
	turn.queueBranch(b, session, answer, "", replay)
	err := db.SendBatch(ctx, b).Close()
	if err == nil && o.verdict == "again" && o.same {
		turn, err = loadFirst(ctx, db, p, session, question)
	}
	return o, turn, err
}
