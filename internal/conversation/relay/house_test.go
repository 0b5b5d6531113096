package relay_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

const organization = "org_local"

// house is a database with sessions, on which several relays work as processes do.
type house struct {
	db *pgxpool.Pool // sees everything
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{pgtest.New(t)}
	h.exec(t, `INSERT INTO tasks (organization_id, task_id, task, version, built_in, title, instructions) VALUES ('org_local', 'tutor@1', 'tutor', 1, true, 'x', 'x')`)
	return h
}

func (h *house) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := h.db.Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// pool is one process's connections for the log.
func (h *house) pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	db, err := postgres.Open(context.Background(), h.db.Config().ConnString(), postgres.Options{Role: postgres.System, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// relay is a process with quick habits.
func (h *house) relay(t testing.TB, o relay.Options) *relay.Relay {
	t.Helper()
	if o.DB == nil {
		o.DB = h.pool(t)
	}
	r := relay.New(o)
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil && !fault.Is(err, fault.Unavailable) { // of what was killed
			t.Error(err)
		}
	})
	return r
}

// answer makes a session with the row of an answer that a process makes.
func (h *house) answer(t testing.TB, r *relay.Relay) relay.Answer {
	t.Helper()
	producer, err := r.Producer(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return h.row(t, producer)
}

func (h *house) row(t testing.TB, producer string) relay.Answer {
	t.Helper()
	a := relay.Answer{Organization: organization, Session: id.New(id.Session), Message: id.New(id.Message)}
	h.exec(t, `
		WITH s AS (INSERT INTO sessions (session_id, organization_id, user_id, task) VALUES ($2, $1, 'user_local', 'tutor'))
		INSERT INTO messages (session_id, message_id, organization_id, role, task_id, state, producer_id) VALUES ($2, $3, $1, 'assistant', 'tutor@1', 'streaming', $4)`,
		a.Organization, a.Session, a.Message, producer)
	return a
}

// finish fills in a row, as a turn does at its end, and tells whether it was still
// that process's.
func (h *house) finish(t testing.TB, r *relay.Relay, a relay.Answer, state, content string, events int64) bool {
	t.Helper()
	producer := relay.ID(r)
	tag, err := h.db.Exec(context.Background(), `
		UPDATE messages SET state = $4, content = $5, events = $6, finished_at = now()
		WHERE organization_id = $1 AND session_id = $2 AND message_id = $3 AND state = 'streaming' AND producer_id = $7`,
		a.Organization, a.Session, a.Message, state, content, events, producer)
	if err != nil {
		t.Fatal(err)
	}
	return tag.RowsAffected() == 1
}

type row struct {
	State, Content, Citations, Problem string
	Events                             int64
}

func (h *house) get(t testing.TB, a relay.Answer) (r row) {
	t.Helper()
	err := h.db.QueryRow(context.Background(), `
		SELECT state, content, coalesce(citations::text, ''), coalesce(problem, ''), coalesce(events, -1) FROM messages
		WHERE organization_id = $1 AND session_id = $2 AND message_id = $3`, a.Organization, a.Session, a.Message).
		Scan(&r.State, &r.Content, &r.Citations, &r.Problem, &r.Events)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// logged is what the log says of an answer, as it is sent.
func (h *house) logged(t testing.TB, a relay.Answer) string {
	t.Helper()
	var all string
	err := h.db.QueryRow(context.Background(), `
		SELECT coalesce(string_agg(seq || ' ' || kind || ' ' || data || E'\n', '' ORDER BY seq), '') FROM stream_events WHERE message_id = $1`, a.Message).Scan(&all)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// transcript collects what a reader was given, as it is sent.
type transcript struct {
	strings.Builder
	last int64
	gaps []int64
}

func (s *transcript) give(events []relay.Event) error {
	for _, e := range events {
		if e.Seq != s.last+1 {
			s.gaps = append(s.gaps, s.last, e.Seq)
		}
		s.last = e.Seq
		line, _ := json.Marshal(e.Seq)
		s.Write(line)
		s.WriteString(" " + string(e.Kind) + " " + string(e.Data) + "\n")
	}
	return nil
}

// text is what the deltas say together.
func (s *transcript) text(t testing.TB) string {
	t.Helper()
	var text strings.Builder
	for line := range strings.Lines(s.String()) {
		_, rest, _ := strings.Cut(line, " ")
		if data, ok := strings.CutPrefix(rest, "delta "); ok {
			var d struct{ Text string }
			if err := json.Unmarshal([]byte(data), &d); err != nil {
				t.Fatal(err)
			}
			text.WriteString(d.Text)
		}
	}
	return text.String()
}

// eventually waits for something that comes in its own time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: it does not come", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
