package conversation

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
)

// cost is what turns leave behind.
type cost struct {
	commits, rows, updates int64
	bytes                  int64 // of the rows
	text                   int64 // that is new
}

// one gives a pool of a single connection, so that the database's counters can be
// brought up to date.
func (s *shelf) one(t testing.TB) *pgxpool.Pool {
	t.Helper()
	db, err := postgres.Open(context.Background(), s.pool.Config().ConnString(), postgres.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// counters reads what the database has counted, on the only connection that is left:
// each connection tells from time to time, and at its end. Looking is two commits.
func (s *shelf) counters(t testing.TB, db *pgxpool.Pool) (c cost) {
	t.Helper()
	ctx := as(t, ann)
	if _, err := db.Exec(ctx, `SELECT pg_stat_force_next_flush()`); err != nil {
		t.Fatal(err)
	}
	err := db.QueryRow(ctx, `
		SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()), sum(n_tup_ins), sum(n_tup_upd)
		FROM pg_stat_user_tables`).Scan(&c.commits, &c.rows, &c.updates)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const looking = 2

// settled closes all other connections and waits until they have told what they did.
func (s *shelf) settled(t testing.TB, db *pgxpool.Pool) cost {
	t.Helper()
	s.pool.Reset()
	s.db.Reset()
	others := int64(1)
	for end := time.Now().Add(time.Minute); others > 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		err := db.QueryRow(as(t, ann), `
			SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()`).Scan(&others)
		if err != nil {
			t.Fatal(err)
		}
	}
	return s.counters(t, db)
}

// A question and its answer as they are in life: together 2,000 characters.
var (
	someQuestion = strings.Repeat("Why is an index slower than a scan of the table? ", 8)[:300]
	someAnswer   = strings.Repeat("An index pays when few rows are wanted; for many, reading the table in order touches every page once. ", 20)[:1700]
)

const sizeOfSession = `
	SELECT (SELECT coalesce(sum(pg_column_size(m)), 0) FROM messages m WHERE session_id = $1) + (SELECT coalesce(sum(pg_column_size(c)), 0) FROM checkpoints c WHERE session_id = $1)`

func (s *shelf) turn(t testing.TB, db postgres.Beginner, session string) {
	t.Helper()
	ctx := as(t, ann)
	turn, err := open(ctx, db, ann, session, Prompt{Content: someQuestion}, testProducer, Limits{AnswersPerUser: 5, AnswersPerOrganization: 200}, testModel)
	if err != nil {
		t.Fatal(err)
	}
	_, err = finish(ctx, db, turn, Outcome{
		State: Complete, Content: someAnswer, Model: testModel, Finish: llm.Stop, Usage: llm.Usage{Input: 2000, Output: 400}, Tokens: 400, TTFB: 300e6, Events: 60, PromptVersion: "p1",
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fill gives a session n turns at once, with a summary some turns before its end.
func (s *shelf) fill(t testing.TB, session string, n int) {
	t.Helper()
	s.exec(t, `
		INSERT INTO messages (session_id, message_id, organization_id, parent_id, role, task_id, state, content, tokens, model, producer_id, created_at, finished_at)
		SELECT $1, 'msg_' || i, 'org_local', CASE WHEN i > 1 THEN 'msg_' || (i - 1) END, CASE WHEN i % 2 = 1 THEN 'user' ELSE 'assistant' END, 'tutor@1', 'complete',
			CASE WHEN i % 2 = 1 THEN $3 ELSE $4 END, CASE WHEN i % 2 = 1 THEN 75 ELSE 425 END, 'test-model', 'prd_test', now(), CASE WHEN i % 2 = 0 THEN now() END
		FROM generate_series(1, 2 * $2::int) i
		ORDER BY i`, session, n, someQuestion, someAnswer)
	s.exec(t, `
		INSERT INTO checkpoints (session_id, checkpoint_id, organization_id, parent_id, message_id, task_id, model, prompt_version)
		SELECT $1, 'ckp_' || i, 'org_local', CASE WHEN i > 2 THEN 'ckp_' || (i - 2) END, 'msg_' || i, 'tutor@1', 'test-model', 'p1'
		FROM generate_series(2, 2 * $2::int, 2) i`, session, n)
	if n > 8 {
		s.exec(t, `INSERT INTO summaries (session_id, message_id, organization_id, content, tokens, model) VALUES ($1, 'msg_' || $2::int, 'org_local', 'They spoke of indexes.', 6, 'test-model')`, session, 2*(n-6))
	}
}

// A turn leaves two commits and three rows behind, whose size is that of its text and
// little more, in a session's first turn as in its thousandth.
func TestWhatATurnCosts(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	if err := ensureTasks(as(t, ann), s.db, ann.Organization); err != nil {
		t.Fatal(err)
	}
	db := s.one(t)
	s.turn(t, db, s.session(t, ann).ID) // statements are prepared once
	for _, before := range []int{0, 99, 999} {
		session := s.session(t, ann)
		s.fill(t, session.ID, before)
		var c cost
		for try := 0; try < 3 && c.commits != 2; try++ { // what the database does by itself may come in between
			bytes := s.number(t, sizeOfSession, session.ID)
			from := s.settled(t, db)
			s.turn(t, db, session.ID)
			to := s.counters(t, db)
			c = cost{
				commits: to.commits - from.commits - looking, rows: to.rows - from.rows, updates: to.updates - from.updates,
				bytes: s.number(t, sizeOfSession, session.ID) - bytes, text: int64(len(someQuestion) + len(someAnswer)),
			}
		}
		t.Logf("turn %d: %d commits, %d rows, one of them updated %d times, %d bytes for %d of text", before+1, c.commits, c.rows, c.updates, c.bytes, c.text)
		if c.commits != 2 || c.rows != 3 || c.updates != 1 || 2*c.bytes > 3*c.text {
			t.Errorf("turn %d costs %+v", before+1, c)
		}
	}
}
