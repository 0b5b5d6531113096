package migrations_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/postgres/pgtest"
)

// Answers that ended without a checkpoint get one, behind the one before them on their
// branch, and those that have one or are still being made do not.
func TestCheckpointsOfOldEndings(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file, err := os.ReadFile("0004_endings.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(file), "INSERT INTO checkpoints")
	insert, _, found := strings.Cut(rest, ";")
	if !found {
		t.Fatal("the migration makes no checkpoints")
	}
	_, err = db.Exec(t.Context(), `
		INSERT INTO tasks (organization_id, task_id, task, version, built_in, title, instructions) VALUES ('org_local', 'tutor@1', 'tutor', 1, true, 'x', 'x');
		INSERT INTO sessions (session_id, organization_id, user_id, task) VALUES ('ses_1', 'org_local', 'u', 'tutor'), ('ses_2', 'org_local', 'u', 'tutor');
		INSERT INTO messages (session_id, message_id, organization_id, parent_id, role, task_id, state, model, finished_at) VALUES
			('ses_1', 'msg_q1', 'org_local', NULL, 'user', 'tutor@1', 'complete', NULL, NULL),
			('ses_1', 'msg_a1', 'org_local', 'msg_q1', 'assistant', 'tutor@1', 'complete', 'm', now()),
			('ses_1', 'msg_q2', 'org_local', 'msg_a1', 'user', 'tutor@1', 'complete', NULL, NULL),
			('ses_1', 'msg_a2', 'org_local', 'msg_q2', 'assistant', 'tutor@1', 'interrupted', NULL, now()),
			('ses_1', 'msg_a3', 'org_local', 'msg_a2', 'assistant', 'tutor@1', 'interrupted', NULL, now()),
			('ses_1', 'msg_a4', 'org_local', 'msg_a3', 'assistant', 'tutor@1', 'streaming', NULL, NULL),
			('ses_2', 'msg_q5', 'org_local', NULL, 'user', 'tutor@1', 'complete', NULL, NULL),
			('ses_2', 'msg_a5', 'org_local', 'msg_q5', 'assistant', 'tutor@1', 'failed', NULL, now());
		INSERT INTO checkpoints (session_id, checkpoint_id, organization_id, message_id, task_id, model, prompt_version) VALUES ('ses_1', 'ckp_first', 'org_local', 'msg_a1', 'tutor@1', 'm', 'p')`)
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range []int64{3, 0} {
		tag, err := db.Exec(t.Context(), "INSERT INTO checkpoints"+insert)
		if err != nil || tag.RowsAffected() != more {
			t.Fatalf("%v, %v", tag, err)
		}
	}
	want := []string{"msg_a1: ckp_first behind -", "msg_a2: ckp_a2 behind ckp_first", "msg_a3: ckp_a3 behind ckp_a2", "msg_a5: ckp_a5 behind -"}
	got := lines(t, db, `SELECT format('%s: %s behind %s', message_id, checkpoint_id, coalesce(parent_id, '-')) FROM checkpoints ORDER BY message_id COLLATE "C"`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
