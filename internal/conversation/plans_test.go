package conversation

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// manyMessages is how many rows there are in the table of TestTurnsReadByIndex:
// LECTERN_MESSAGES=100000 tries it with so many.
func manyMessages(t *testing.T) int {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("LECTERN_MESSAGES"), "10000"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// With very many messages in the table every statement of a turn finds its rows by an
// index, and touches a number of pages that does not depend on how many there are;
// also with the plan that a connection keeps for all values.
func TestTurnsReadByIndex(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	if err := ensureTasks(as(t, ann), s.db, ann.Organization); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	session := s.session(t, ann)
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, sql := range []string{
		`SET session_replication_role = replica`, // no triggers and no foreign keys: the rows are good
		`INSERT INTO sessions (session_id, organization_id, user_id, task) SELECT 'ses_' || s, 'org_local', 'usr_' || s % 50, 'tutor' FROM generate_series(1, 500) s`,
		`INSERT INTO messages (session_id, message_id, organization_id, parent_id, role, task_id, state, content, finished_at)
			SELECT 'ses_' || s, 'msg_' || s || '_' || i, 'org_local', CASE WHEN i > 1 THEN 'msg_' || s || '_' || (i - 1) END, CASE WHEN i % 2 = 1 THEN 'user' ELSE 'assistant' END,
				'tutor@1', 'complete', 'A few words, as they are said.', now()
			FROM generate_series(1, EACH) i, generate_series(1, 500) s`,
		`INSERT INTO checkpoints (session_id, checkpoint_id, organization_id, message_id, task_id, model, prompt_version)
			SELECT session_id, 'ckp' || message_id, organization_id, message_id, task_id, 'm', 'p' FROM messages WHERE role = 'assistant'`,
		`INSERT INTO summaries (session_id, message_id, organization_id, content, tokens, model)
			SELECT 'ses_' || s, 'msg_' || s || '_' || i, 'org_local', 'They spoke.', 3, 'm' FROM generate_series(20, EACH, 40) i, generate_series(1, 500) s`,
		`INSERT INTO stream_events (message_id, seq, organization_id, kind, data) SELECT 'msg_' || s || '_EACH', i, 'org_local', 'delta', '{}' FROM generate_series(1, 50) i, generate_series(1, 500) s`,
		`SET session_replication_role = DEFAULT`,
	} {
		if _, err := conn.Exec(ctx, strings.ReplaceAll(sql, "EACH", strconv.Itoa(manyMessages(t)/500))); err != nil {
			t.Fatal(err)
		}
	}
	s.fill(t, session.ID, 1000)
	for _, sql := range []string{`ANALYZE`, `SET plan_cache_mode = force_generic_plan`, `SET ROLE lectern_tenant`, `SET lectern.organization = 'org_local'`} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		sql  string
		args string
		most int // pages
	}{
		"begin":      {beginTurn, `$1, $2, $3, 'msg_new', 'Why?', '', '', 'msg_answer', 'prd_1', '', 5, 200, 3, '{tutor}', '{1}', 0, NULL, 5000000`, 200},
		"again":      {beginTurn, `$1, $2, $3, 'msg_1', 'Why?', '', '', 'msg_answer', 'prd_1', '', 5, 200, 3, '{tutor}', '{1}', 0, NULL, 5000000`, 100},
		"regenerate": {beginTurn, `$1, $2, $3, 'msg_new', '', 'msg_1001', '', 'msg_answer', 'prd_1', '', 5, 200, 3, '{tutor}', '{1}', 0, NULL, 5000000`, 200},
		"branch":     {selectBranch, `$1, $2, $3, 'msg_2000', '', '', 400, 600000`, 250},
		"first":      {selectBranch, `$1, $2, $3, 'none', 'msg_1999', '', 400, 600000`, 250},
		"session":    {selectSession, `$1, $2, $3`, 30},
		"message":    {selectMessage, `$1, $2, $3, 'msg_1000'`, 20},
		"page":       {selectMessages, `$1, $2, $3, 0, 51`, 100},
		"end": {
			endTurn, `$1, $3, 'msg_2000', 'prd_test', 'complete', 'x', NULL, NULL, '', 'm', 'stop', 1, 1, 1, 1, 1, 'ckp_new', '', NULL, 'p1'`, 60,
		},
	} {
		t.Run(name, func(t *testing.T) {
			args := strings.NewReplacer("$1", "'org_local'", "$2", "'usr_ann'", "$3", "'"+session.ID+"'").Replace(c.args)
			plan := explain(t, conn.Conn(), c.sql, args)
			if scan := regexp.MustCompile(`Seq Scan on (messages|sessions|checkpoints|summaries|stream_events)\b.*`).FindString(plan); scan != "" {
				t.Errorf("%s:\n%s", scan, plan)
			}
			pages := 0
			for _, n := range regexp.MustCompile(`(?:hit|read)=(\d+)`).FindAllStringSubmatch(strings.SplitN(regexp.MustCompile(`Buffers: shared.*`).FindString(plan), "\n", 2)[0], -1) {
				more, _ := strconv.Atoi(n[1])
				pages += more
			}
			if t.Logf("%d pages", pages); pages == 0 || pages > c.most {
				t.Errorf("%d pages are touched:\n%s", pages, plan)
			}
		})
	}
}

// explain runs a statement with a plan for all values, and takes back what it did.
func explain(t *testing.T, conn *pgx.Conn, sql, args string) string {
	t.Helper()
	ctx := t.Context()
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	for _, sql := range []string{`DEALLOCATE ALL`, `PREPARE hot AS ` + sql} {
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	results, err := conn.PgConn().Exec(ctx, fmt.Sprintf(`EXPLAIN (ANALYZE, BUFFERS) EXECUTE hot(%s)`, args)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var plan strings.Builder
	for _, row := range results[0].Rows {
		plan.Write(row[0])
		plan.WriteByte('\n')
	}
	return plan.String()
}
