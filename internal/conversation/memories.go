package conversation

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// MaxMemories is how much of one kind is remembered of a learner in a course: the
// newest.
const MaxMemories = 20

// The kinds of memories.
const (
	Asked  = "asked"  // what a learner asked about
	Missed = "missed" // what they answered wrongly in a quiz
)

// Memories gives what is remembered of who asks in a course, newest first; without a
// course, in all of them. Credentials stand for many people: nothing is kept of them.
func Memories(ctx context.Context, q postgres.Querier, p account.Principal, course string) ([]Memory, error) {
	rows, err := q.Query(ctx, `
		SELECT memory_id, course_id, kind, content, created_at
		FROM memories
		WHERE organization_id = $1 AND user_id = $2 AND ($3 = '' OR course_id = $3)
		ORDER BY created_at DESC, memory_id DESC
		LIMIT 2000`, p.Organization, p.User, course)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	memories, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m Memory, err error) {
		err = row.Scan(&m.ID, &m.CourseID, &m.Kind, &m.Content, &m.CreatedAt)
		return m, err
	})
	return memories, postgres.Fault(err)
}

// note remembers something of a learner: at most MaxMemory characters on one line, once,
// and no more than the newest MaxMemories of a kind in a course.
func note(ctx context.Context, q postgres.Querier, p account.Principal, course, kind, content string) error {
	content = oneLine(relay.Storable(content), MaxMemory)
	if p.Credential() || course == "" || content == "" {
		return nil
	}
	_, err := q.Exec(ctx, `
		WITH old AS (
			SELECT memory_id, content = $6 AS same, row_number() OVER (ORDER BY content = $6, created_at DESC, memory_id DESC) AS place
			FROM memories
			WHERE organization_id = $1 AND user_id = $2 AND course_id = $3 AND kind = $4),
		gone AS (
			DELETE FROM memories
			WHERE organization_id = $1 AND user_id = $2 AND memory_id IN (SELECT memory_id FROM old WHERE same OR place >= $7))
		INSERT INTO memories (memory_id, organization_id, user_id, course_id, kind, content)
		SELECT $5, $1, $2, $3, $4, $6
		WHERE EXISTS (SELECT FROM users WHERE organization_id = $1 AND user_id = $2)
			AND EXISTS (SELECT FROM courses WHERE organization_id = $1 AND course_id = $3)`,
		p.Organization, p.User, course, kind, id.New(id.Memory), content, MaxMemories)
	return postgres.Fault(err)
}

// oneLine is a text without breaks, cut off after most characters.
func oneLine(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// Forget removes one memory of who asks.
func Forget(ctx context.Context, tx postgres.Querier, p account.Principal, memory string) error {
	tag, err := tx.Exec(ctx, `
		DELETE FROM memories
		WHERE organization_id = $1 AND user_id = $2 AND memory_id = $3`, p.Organization, p.User, memory)
	if err == nil && tag.RowsAffected() == 0 {
		err = pgx.ErrNoRows
	}
	return missing(err, "memory")
}

// ForgetAll removes all that is remembered of who asks in a course; without a course,
// in all of them.
func ForgetAll(ctx context.Context, tx postgres.Querier, p account.Principal, course string) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM memories
		WHERE organization_id = $1 AND user_id = $2 AND ($3 = '' OR course_id = $3)`, p.Organization, p.User, course)
	return postgres.Fault(err)
}
