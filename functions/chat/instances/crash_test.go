package instances

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lectern.dev/lectern/internal/budget"
)

// mortal is the chat's program, built to die where CRASHPOINT says; see internal/crash.
var mortal = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lectern-instances-")
	if err != nil {
		return "", err
	}
	scratch = append(scratch, dir)
	path := filepath.Join(dir, "chat")
	build := exec.Command("go", "build", "-tags", "crashpoints,grpcnotrace", "-o", path, "../cmd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as lint has compiled it
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return path, nil
})

// scratch are folders that all tests share; they go at the end.
var scratch []string

// F01: an instance is killed at a line of a turn. What anybody was told stays; the
// question is answered, or its answer is interrupted or failed, once and for everybody;
// and the conversation goes on.
func TestCrashes(t *testing.T) {
	t.Parallel()
	program, err := mortal()
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	survivor := h.start()
	t.Run("at", func(t *testing.T) {
		for place, state := range map[string]string{
			"turn.opened":      "failed",      // the row is there, and nobody has been told
			"budget.reserved":  "failed",      // the money is put aside
			"relay.appended":   "interrupted", // the first words are in the log, and nobody has seen them
			"relay.appended:3": "interrupted",
			"turn.before-end":  "interrupted", // all words are there, and the end is not
			"turn.ended":       "complete",    // and nobody has been told that it is
		} {
			t.Run(place, func(t *testing.T) {
				t.Parallel()
				h.dieAt(t, program, survivor, place, state)
			})
		}
	})
	h.audit(t)
}

const spokenWords = 12

func (h *house) dieAt(t *testing.T, program string, survivor *instance, place, state string) {
	session := h.session()
	question := fmt.Sprintf(`{"id":"q_1","content":"%d words, one every 30 ms"}`, spokenWords)
	victim := h.run(program, "CRASHPOINT="+place)
	var asker, other transcript
	_, _ = h.listenFor(t.Context(), patient, victim, session, question, "", asker.give) // until it dies
	<-victim.exited
	if status, ok := victim.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("it ended otherwise: %v: %s", victim.cmd.ProcessState, victim.log.String())
	}
	if asker.over() {
		t.Errorf("an end was told: %s", &asker)
	}
	h.exec(t, `
		UPDATE producers SET alive_until = now() - interval '1 second'
		WHERE producer_id = (SELECT producer_id FROM messages WHERE session_id = $1 AND role = 'assistant')`, session)

	// Who heard of an answer reads on; who did not sends the question again.
	if asker.events == nil {
		if status, err := h.listenFor(t.Context(), patient, survivor, session, question, "", asker.give); asker.events == nil {
			t.Fatalf("%d, %v", status, err)
		}
	}
	h.resume(survivor, session, &asker)
	other.events = append(other.events, asker.events[0])
	h.resume(survivor, session, &other)
	last := "error"
	if state == "complete" {
		last = "done"
	}
	if got := h.same(&asker, &other); got.State != state || asker.last().name != last {
		t.Errorf("%+v, %+v", got, asker.last())
	}

	// It goes on from there: with the rest, where there is one, or with another answer.
	next, whole := `{"parent":"q_1"}`, ""
	if state == "interrupted" && strings.Count(asker.text(), "w") < spokenWords {
		next, whole = fmt.Sprintf(`{"parent":%q}`, asker.answer("")), asker.text()
	}
	var rest transcript
	if status, err := h.listenFor(t.Context(), patient, survivor, session, next, "", rest.give); status != 200 || err != nil || rest.last().name != "done" {
		t.Errorf("%d, %v: %s", status, err, &rest)
	}
	if whole += rest.text(); strings.Join(strings.Fields(whole), " ") != strings.TrimSpace(strings.Join(words(0, spokenWords), "")) {
		t.Errorf("together: %q", whole)
	}
}

// audit checks what is left when all is over: every answer has ended, with a checkpoint,
// and the money adds up when what nobody settled is out of date.
func (h *house) audit(t *testing.T) {
	h.exec(t, `UPDATE ledger SET expires_at = now() - interval '1 second' WHERE state = 'reserved'`)
	if _, err := (&budget.Ledger{DB: h.db, Defaults: budget.Limits{Soft: 1e11, Hard: 1e11}}).Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	for what, sql := range map[string]string{
		"a question was asked twice":   `SELECT count(*) FROM (SELECT FROM messages WHERE role = 'user' GROUP BY session_id HAVING count(*) > 1) twice`,
		"an answer has not ended":      `SELECT count(*) FROM messages WHERE state = 'streaming'`,
		"an answer has no checkpoint":  `SELECT count(*) FROM messages m LEFT JOIN checkpoints c USING (session_id, message_id) WHERE m.role = 'assistant' AND c.checkpoint_id IS NULL`,
		"a row is not what the log is": `SELECT count(*) FROM messages m WHERE m.role = 'assistant' AND m.content <> (SELECT coalesce(string_agg(e.data::json ->> 'text', '' ORDER BY e.seq) FILTER (WHERE e.kind = 'delta'), '') FROM stream_events e WHERE e.message_id = m.message_id)`,
		"money is still put aside":     `SELECT count(*) FROM ledger_months WHERE reserved_micros <> 0`,
		"the month is not the sum":     `SELECT count(*) FROM ledger_months m WHERE spent_micros <> (SELECT coalesce(sum(micros), 0) FROM ledger l WHERE l.organization_id = m.organization_id AND l.month = m.month AND l.state IN ('settled', 'expired'))`,
	} {
		var n int
		if err := h.db.QueryRow(context.Background(), sql).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d, %v", what, n, err)
		}
	}
}

func (h *house) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := h.db.Exec(context.Background(), sql, args...); err != nil {
		t.Error(err)
	}
}
