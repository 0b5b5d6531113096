package conversation

import (
	"cmp"
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// DefaultTask answers where nothing else was wished.
const DefaultTask = "tutor"

// NewSession is what a session begins with.
type NewSession struct {
	CourseID string // "": none, or the lesson's
	LessonID string // "": beside none
	Task     string // "": DefaultTask
	Title    string // "": the beginning of the first question
}

// sessionColumns are of a session s. One without a title is called by its first question.
const sessionColumns = `s.session_id, coalesce(s.course_id, ''), coalesce(s.lesson_id, ''), s.task,
	coalesce(nullif(s.title, ''), (
		SELECT left(split_part(left(m.content, 400), E'\n', 1), 80)
		FROM messages m
		WHERE m.organization_id = s.organization_id AND m.session_id = s.session_id
		ORDER BY m.ordinal
		LIMIT 1), ''),
	coalesce(s.forked_from, ''), coalesce((
		SELECT m.message_id
		FROM messages m
		WHERE m.organization_id = s.organization_id AND m.session_id = s.session_id AND m.state = 'streaming'), ''),
	s.created_at`

func scanSession(row pgx.CollectableRow) (s Session, err error) {
	err = row.Scan(&s.ID, &s.CourseID, &s.LessonID, &s.Task, &s.Title, &s.ForkedFrom, &s.Answering, &s.CreatedAt)
	return s, err
}

const selectSession = `
	SELECT ` + sessionColumns + `
	FROM sessions s
	WHERE s.organization_id = $1 AND s.user_id = $2 AND s.session_id = $3`

// GetSession reads a session of who asks; others' are not there.
func GetSession(ctx context.Context, q postgres.Querier, p account.Principal, session string) (Session, error) {
	rows, err := q.Query(ctx, selectSession, p.Organization, p.User, session)
	if err != nil {
		return Session{}, postgres.Fault(err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanSession)
	return s, missing(err, "session")
}

// own says NotFound unless the session is of who asks.
func own(ctx context.Context, q postgres.Querier, p account.Principal, session string) error {
	var there bool
	err := q.QueryRow(ctx, `
		SELECT true
		FROM sessions
		WHERE organization_id = $1 AND user_id = $2 AND session_id = $3`, p.Organization, p.User, session).Scan(&there)
	return missing(err, "session")
}

// ListSessions gives who asks their sessions, newest first: at most limit of them
// after the cursor, and the cursor of the next page, empty when there is none.
// With a course, those that stand beside it.
func ListSessions(ctx context.Context, q postgres.Querier, p account.Principal, course, cursor string, limit int) ([]Session, string, error) {
	after, err := parsePlace(cursor)
	if err != nil {
		return nil, "", err
	}
	rows, err := q.Query(ctx, `
		SELECT `+sessionColumns+`
		FROM sessions s
		WHERE s.organization_id = $1 AND s.user_id = $2 AND (s.created_at, s.session_id) < ($3, $4) AND ($5 = '' OR s.course_id = $5)
		ORDER BY s.created_at DESC, s.session_id DESC
		LIMIT $6`, p.Organization, p.User, after.at, after.id, course, limit+1)
	if err != nil {
		return nil, "", postgres.Fault(err)
	}
	sessions, err := pgx.CollectRows(rows, scanSession)
	if err != nil || len(sessions) <= limit {
		return sessions, "", postgres.Fault(err)
	}
	last := sessions[limit-1]
	return sessions[:limit], place{last.CreatedAt, last.ID}.String(), nil
}

// CreateSession begins a session.
func CreateSession(ctx context.Context, tx postgres.Querier, p account.Principal, n NewSession) (Session, error) {
	if err := checkText("title", n.Title, 0, MaxTitle); err != nil {
		return Session{}, err
	}
	n.Task = cmp.Or(n.Task, DefaultTask)
	var course, lesson, task bool
	err := tx.QueryRow(ctx, `
		SELECT
			$2 = '' OR EXISTS (SELECT FROM courses WHERE organization_id = $1 AND course_id = $2),
			$3 = '' OR EXISTS (SELECT FROM lessons WHERE organization_id = $1 AND lesson_id = $3 AND $2 IN ('', course_id)),
			EXISTS (SELECT FROM tasks WHERE organization_id = $1 AND task = $4)`,
		p.Organization, n.CourseID, n.LessonID, n.Task).Scan(&course, &lesson, &task)
	switch {
	case err != nil:
		return Session{}, postgres.Fault(err)
	case !course:
		return Session{}, fault.New(fault.NotFound, "There is no such course.")
	case !lesson:
		return Session{}, fault.New(fault.NotFound, "There is no such lesson.")
	case !task && !isBuiltIn(n.Task):
		return Session{}, noTask(n.Task)
	}
	rows, err := tx.Query(ctx, `
		WITH s AS (
			INSERT INTO sessions (session_id, organization_id, user_id, course_id, lesson_id, task, title)
			VALUES ($1, $2, $3, coalesce(nullif($4, ''), (SELECT course_id FROM lessons WHERE organization_id = $2 AND lesson_id = $5)), nullif($5, ''), $6, $7)
			RETURNING *)
		SELECT `+sessionColumns+` FROM s`,
		id.New(id.Session), p.Organization, p.User, n.CourseID, n.LessonID, n.Task, n.Title)
	if err != nil {
		return Session{}, postgres.Fault(err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanSession)
	return s, postgres.Fault(err)
}

// RenameSession gives a session a title; "" has it called by its first question again.
func RenameSession(ctx context.Context, tx postgres.Querier, p account.Principal, session, title string) (Session, error) {
	if err := checkText("title", title, 0, MaxTitle); err != nil {
		return Session{}, err
	}
	rows, err := tx.Query(ctx, `
		WITH s AS (
			UPDATE sessions
			SET title = $4
			WHERE organization_id = $1 AND user_id = $2 AND session_id = $3
			RETURNING *)
		SELECT `+sessionColumns+` FROM s`, p.Organization, p.User, session, title)
	if err != nil {
		return Session{}, postgres.Fault(err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanSession)
	return s, missing(err, "session")
}

// DeleteSession removes a session with all that was said in it, the log of its
// answers included. One that is being made finds its row gone when it ends.
func DeleteSession(ctx context.Context, tx postgres.Querier, p account.Principal, session string) error {
	tag, err := tx.Exec(ctx, `
		WITH log AS (
			DELETE FROM stream_events e
			USING messages m, sessions s
			WHERE s.organization_id = $1 AND s.user_id = $2 AND s.session_id = $3
				AND m.organization_id = $1 AND m.session_id = s.session_id AND m.role = 'assistant'
				AND e.organization_id = $1 AND e.message_id = m.message_id)
		DELETE FROM sessions
		WHERE organization_id = $1 AND user_id = $2 AND session_id = $3`, p.Organization, p.User, session)
	if err == nil && tag.RowsAffected() == 0 {
		err = pgx.ErrNoRows
	}
	return missing(err, "session")
}
