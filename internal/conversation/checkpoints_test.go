package conversation

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/fault"
)

// talk is a session of five turns, with a summary after the second, and the turns.
func (s *shelf) talk(t *testing.T) (session Session, turns []Turn) {
	t.Helper()
	session = s.session(t, ann)
	for i, said := range []string{"1", "2", "3", "4", "5"} {
		turn, answer := s.say(t, ann, session.ID, "Q"+said, "A"+said)
		turns = append(turns, turn)
		if i == 1 {
			s.sum(t, session.ID, answer.ID, "They spoke of 1 and 2.")
		}
	}
	return session, turns
}

func (s *shelf) sum(t *testing.T, session, message, content string) {
	t.Helper()
	stored, err := saveSummary(as(t, ann), s.db, ann, session, Summary{Message: message, Content: content, Tokens: 7, Model: "m"})
	if !stored || err != nil {
		t.Fatal(stored, err)
	}
}

// A summary stands for what was before it, on its own branch and no other.
func TestSummaryStandsForTheBeginning(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	session, turns := s.talk(t)
	last := turns[4]
	if diff := cmp.Diff([]string{"Q3", "A3", "Q4", "A4"}, contents(last.History)); diff != "" || last.Summary == nil ||
		last.Summary.Content != "They spoke of 1 and 2." || last.Summary.Message != turns[1].Answer.ID || last.Summary.Tokens != 7 || last.ParentCheckpoint != turns[3].checkpoint {
		t.Errorf("shown: %s %+v", diff, last.Summary)
	}
	if stored, err := saveSummary(as(t, ann), s.db, ann, session.ID, Summary{Message: turns[1].Answer.ID, Content: "Otherwise", Model: "m"}); stored || err != nil {
		t.Errorf("a second summary of the same: %t, %v", stored, err)
	}
	third := turns[2] // right behind the summary
	if len(third.History) != 0 || third.Summary == nil || third.ParentCheckpoint != turns[1].checkpoint {
		t.Errorf("right behind it: %+v", third)
	}
	other := s.mustOpen(t, ann, session.ID, Prompt{Parent: turns[1].Question.ID})
	if other.Summary != nil || len(other.History) != 2 {
		t.Errorf("beside it: %+v", other)
	}
	s.end(t, other, Outcome{Content: "A2'"})
	// Whoever goes on with an answer that was summed up all the same sees its question.
	broken := s.mustOpen(t, ann, session.ID, Prompt{Content: "Q6", Parent: turns[4].Answer.ID})
	half := s.end(t, broken, Outcome{State: Interrupted, Content: "Ha"})
	s.sum(t, session.ID, half.ID, "Too early.")
	on := s.mustOpen(t, ann, session.ID, Prompt{Parent: half.ID})
	if on.Continues == nil || on.Question.Content != "Q6" || on.Summary.Content != "They spoke of 1 and 2." || len(on.History) != 6 {
		t.Errorf("going on: %+v", on)
	}
}

// A branch without a summary is shown as far as the bounds go.
func TestWhatIsShownIsBounded(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	session := s.session(t, ann)
	if err := ensureTasks(as(t, ann), s.db, ann.Organization); err != nil {
		t.Fatal(err)
	}
	s.fill(t, session.ID, 8)
	s.exec(t, `
		INSERT INTO messages (session_id, message_id, organization_id, parent_id, role, task_id, state, content, finished_at)
		SELECT $1, 'msg_' || i, 'org_local', 'msg_' || (i - 1), CASE WHEN i % 2 = 1 THEN 'user' ELSE 'assistant' END, 'tutor@1', 'complete', 'x', now()
		FROM generate_series(17, 1000) i
		ORDER BY i`, session.ID)
	if turn := s.mustOpen(t, ann, session.ID, Prompt{Content: "x"}); len(turn.History) != maxShown-2 {
		t.Errorf("%d messages are shown", len(turn.History))
	}
	wide := s.session(t, ann)
	s.exec(t, `
		INSERT INTO messages (session_id, message_id, organization_id, parent_id, role, task_id, state, content, finished_at)
		SELECT $1, 'msg_' || i, 'org_local', CASE WHEN i > 1 THEN 'msg_' || (i - 1) END, CASE WHEN i % 2 = 1 THEN 'user' ELSE 'assistant' END, 'tutor@1', 'complete', repeat('x', 30000), now()
		FROM generate_series(1, 200) i
		ORDER BY i`, wide.ID)
	if turn := s.mustOpen(t, ann, wide.ID, Prompt{Content: "x"}); len(turn.History) != maxShownBytes/30000 {
		t.Errorf("%d long messages are shown", len(turn.History))
	}
}

func TestCheckpoints(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx := as(t, ann)
	session, turns := s.talk(t)
	var all []Checkpoint
	for cursor := ""; ; {
		page, next, err := Checkpoints(ctx, s.db, ann, session.ID, cursor, 2)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, page...); next == "" {
			break
		}
		cursor = next
	}
	for i, c := range all {
		want := Checkpoint{ID: turns[i].checkpoint, Message: turns[i].Answer.ID, TaskID: turns[i].Task.ID, Model: testModel, PromptVersion: "p1", CreatedAt: c.CreatedAt}
		if i > 0 {
			want.Parent = turns[i-1].checkpoint
		}
		if i > 1 {
			want.Summary = turns[1].Answer.ID
		}
		if diff := cmp.Diff(want, c); diff != "" {
			t.Error(diff)
		}
	}
	if len(all) != 5 {
		t.Fatalf("%d checkpoints", len(all))
	}
	s.sum(t, session.ID, turns[3].Answer.ID, "Newer.") // changes nothing of what was
	for i, turn := range turns {
		state, err := StateAt(ctx, s.db, ann, session.ID, turn.checkpoint)
		shown := append(append([]Message(nil), turn.History...), turn.Question)
		if diff := cmp.Diff(shown, state.Messages); diff != "" || err != nil || !cmp.Equal(state.Summary, turn.Summary) || state.Checkpoint != all[i] {
			t.Errorf("turn %d: %v, %s", i, err, diff)
		}
	}
	wantKind(t, second(StateAt(ctx, s.db, ann, session.ID, "ckp_0")), fault.NotFound)
	wantKind(t, third(Checkpoints(ctx, s.db, ann, session.ID, "!", 2)), fault.Invalid)
	wantKind(t, third(Checkpoints(ctx, s.db, ann, "ses_0", "", 2)), fault.NotFound)
}

// A replay is made of what the first answer was made of, whatever came later.
func TestReplay(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx := as(t, ann)
	session := s.session(t, ann)
	for _, text := range []string{"Be brief.", "Be long."} {
		if _, err := CreateTask(ctx, s.db, bob, NewTask{Name: "ours", Title: "Ours", Instructions: text}); err != nil {
			t.Fatal(err)
		}
		turn := s.mustOpen(t, ann, session.ID, Prompt{Content: text, Task: "ours"})
		s.end(t, turn, Outcome{Content: "Yes."})
	}
	first := s.every(t, ann, session.ID, 10)
	s.sum(t, session.ID, first[1].ID, "Brief.")
	checkpoints, _, err := Checkpoints(ctx, s.db, ann, session.ID, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	again := s.mustOpen(t, ann, session.ID, Prompt{Replay: &checkpoints[0]})
	if again.Task.ID != "ours@1" || again.Task.Instructions != "Be brief." || again.Question.ID != first[0].ID || again.Answer.Parent != first[0].ID || len(again.History) != 0 {
		t.Errorf("the first: %+v", again)
	}
	s.end(t, again, Outcome{Content: "No."})
	again = s.mustOpen(t, ann, session.ID, Prompt{Replay: &checkpoints[1]})
	if again.Task.ID != "ours@2" || again.Summary != nil || len(again.History) != 2 || again.ParentCheckpoint != checkpoints[0].ID {
		t.Errorf("the second, which knew no summary: %+v", again)
	}
	s.end(t, again, Outcome{Content: "No."})
	anew := s.mustOpen(t, ann, session.ID, Prompt{Parent: first[2].ID})
	if anew.Summary == nil || len(anew.History) != 0 {
		t.Errorf("another answer, which knows it: %+v", anew)
	}
}

func TestFork(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx := as(t, ann)
	session, turns := s.talk(t)
	fork, err := Fork(ctx, s.db, ann, session.ID, turns[3].checkpoint, "Another way")
	if err != nil || fork.ForkedFrom != turns[3].checkpoint || fork.Title != "Another way" || fork.Task != session.Task || fork.ID == session.ID {
		t.Fatalf("%+v, %v", fork, err)
	}
	copies := s.every(t, ann, fork.ID, 3)
	if diff := cmp.Diff([]string{"Q1", "A1", "Q2", "A2", "Q3", "A3", "Q4", "A4"}, contents(copies)); diff != "" {
		t.Error(diff)
	}
	ids := map[string]bool{}
	for _, m := range s.every(t, ann, session.ID, 100) {
		ids[m.ID] = true
	}
	for i, m := range copies {
		if ids[m.ID] || i > 0 && m.Parent != copies[i-1].ID {
			t.Errorf("a copy is %+v", m)
		}
	}
	checkpoints, _, err := Checkpoints(ctx, s.db, ann, fork.ID, "", 10)
	if err != nil || len(checkpoints) != 4 || checkpoints[3].Parent != checkpoints[2].ID || checkpoints[3].Summary != copies[3].ID || checkpoints[3].Message != copies[7].ID {
		t.Errorf("%+v, %v", checkpoints, err)
	}
	there, err1 := StateAt(ctx, s.db, ann, session.ID, turns[3].checkpoint)
	here, err2 := StateAt(ctx, s.db, ann, fork.ID, checkpoints[3].ID)
	if diff := cmp.Diff(contents(there.Messages), contents(here.Messages)); diff != "" || err1 != nil || err2 != nil || here.Summary.Content != there.Summary.Content {
		t.Errorf("the state differs: %s %v %v", diff, err1, err2)
	}
	turn := s.mustOpen(t, ann, fork.ID, Prompt{Content: "Q5'"})
	if diff := cmp.Diff([]string{"Q3", "A3", "Q4", "A4"}, contents(turn.History)); diff != "" || turn.Summary == nil || turn.ParentCheckpoint != checkpoints[3].ID {
		t.Errorf("the next turn: %s", diff)
	}
	if err := DeleteSession(ctx, s.db, ann, session.ID); err != nil {
		t.Fatal(err)
	}
	if left := s.every(t, ann, fork.ID, 100); len(left) != 10 {
		t.Errorf("%d messages are left", len(left))
	}
	wantKind(t, second(Fork(ctx, s.db, ann, fork.ID, "ckp_0", "")), fault.NotFound)
}
