package conversation

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
)

func TestBuiltInTasks(t *testing.T) {
	t.Parallel()
	tasks, err := readTasks(taskFiles)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, task := range tasks {
		names[task.Name] = true
		if task.Title == "" || task.Version < 1 || !task.BuiltIn || len(task.Instructions) < 100 {
			t.Errorf("%+v", task)
		}
	}
	for _, name := range []string{"tutor", "explain", "quiz-me", "summarise"} {
		if !names[name] {
			t.Errorf("there is no %s", name)
		}
	}
	for name, file := range map[string]string{
		"no head": "Answer.", "no title": "version: 1\n\nAnswer.", "no version": "title: A\n\nAnswer.", "version 0": "title: A\nversion: 0\n\nAnswer.", "nothing": "title: A\nversion: 1\n\n ",
	} {
		if _, err := readTasks(fstest.MapFS{"tasks/a.md": {Data: []byte(file)}}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestTasks(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx := as(t, bob)
	before, err := Tasks(ctx, s.db, bob.Organization)
	if err != nil || len(before) != len(builtIn()) {
		t.Fatalf("%+v, %v", before, err)
	}
	for version := range 3 {
		task, err := CreateTask(ctx, s.db, bob, NewTask{Name: "socratic", Title: "Socrates", Instructions: fmt.Sprintf("Ask %d.", version+1)})
		if err != nil || task.ID != fmt.Sprintf("socratic@%d", version+1) || task.Version != int64(version+1) || task.BuiltIn {
			t.Fatalf("%+v, %v", task, err)
		}
	}
	if err := ensureTasks(ctx, s.db, bob.Organization); err != nil {
		t.Fatal(err)
	}
	after, err := Tasks(ctx, s.db, bob.Organization)
	if err != nil || len(after) != len(before)+1 {
		t.Fatalf("%+v, %v", after, err)
	}
	for _, task := range after {
		if task.Name == "socratic" && (task.Version != 3 || task.Instructions != "Ask 3." || task.CreatedAt.IsZero()) || task.BuiltIn && strings.Contains(encoded(t, task), "created_at") {
			t.Errorf("%s", encoded(t, task))
		}
	}
	if others, err := Tasks(as(t, eve), s.db, eve.Organization); err != nil || len(others) != len(before) {
		t.Errorf("of others: %+v, %v", others, err)
	}
	if others, err := Tasks(t.Context(), s.pool, eve.Organization); err != nil || len(others) != len(before) {
		t.Errorf("of others, with ours in sight: %+v, %v", others, err)
	}
	for name, c := range map[string]struct {
		n    NewTask
		kind fault.Kind
	}{
		"a built-in name":  {NewTask{"tutor", "T", "I"}, fault.Conflict},
		"capitals":         {NewTask{"Tutor", "T", "I"}, fault.Invalid},
		"a version":        {NewTask{"mine@1", "T", "I"}, fault.Invalid},
		"a long name":      {NewTask{strings.Repeat("a", 41), "T", "I"}, fault.Invalid},
		"no title":         {NewTask{"mine", " ", "I"}, fault.Invalid},
		"no instructions":  {NewTask{"mine", "T", ""}, fault.Invalid},
		"too many of them": {NewTask{"mine", "T", strings.Repeat("x", MaxInstructions+1)}, fault.Invalid},
		"U+0000":           {NewTask{"mine", "T", "a\x00"}, fault.Invalid},
	} {
		_, err := CreateTask(ctx, s.db, bob, c.n)
		if !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Versions are given out one by one, and names up to a bound.
func TestTasksAreWrittenAtOnce(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx := as(t, bob)
	var wait sync.WaitGroup
	for range 6 {
		wait.Go(func() {
			err := s.tx(ctx, func(tx pgx.Tx) error {
				return second(CreateTask(ctx, tx, bob, NewTask{"mine", "T", "I"}))
			})
			if err != nil && !fault.Is(err, fault.Unavailable) {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	n := s.number(t, `SELECT count(*) FROM tasks WHERE task = 'mine'`)
	if newest := s.number(t, `SELECT max(version) FROM tasks WHERE task = 'mine'`); newest != n || n < 2 {
		t.Errorf("%d versions, the newest is %d", n, newest)
	}
	s.exec(t, `INSERT INTO tasks (organization_id, task_id, task, version, built_in, title, instructions) SELECT 'org_local', 'n' || i || '@1', 'n' || i, 1, false, 'T', 'I' FROM generate_series(1, $1::int) i`, maxTasks-1)
	wantKind(t, second(CreateTask(ctx, s.db, bob, NewTask{"another", "T", "I"})), fault.Exhausted)
	if _, err := CreateTask(ctx, s.db, bob, NewTask{"mine", "T", "I"}); err != nil {
		t.Errorf("a new version: %v", err)
	}
}

// A message is answered by the newest version of its task; one that this program
// knows and the table does not is written there first.
func TestWhichTaskAnswers(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	session := s.session(t, ann)
	built := builtIn()[0].Name
	s.exec(t, `INSERT INTO tasks (organization_id, task_id, task, version, built_in, title, instructions) VALUES ('org_local', $1 || '@0.5', $1, 9000000, true, 'T', 'From the future.')`, built)
	ask := func(in Prompt) Turn {
		t.Helper()
		turn := s.mustOpen(t, ann, session.ID, in)
		s.end(t, turn, Outcome{Content: "A"})
		return turn
	}
	if turn := ask(Prompt{Content: "Q", Task: built}); turn.Task.Instructions != "From the future." {
		t.Errorf("a newer program's version: %+v", turn.Task)
	}
	first := ask(Prompt{Content: "Q"})
	if first.Task.Name != DefaultTask || !first.Task.BuiltIn || first.Question.TaskID != first.Task.ID || first.Answer.TaskID != first.Task.ID {
		t.Errorf("the session's: %+v", first)
	}
	if _, err := CreateTask(as(t, bob), s.db, bob, NewTask{"mine", "T", "One"}); err != nil {
		t.Fatal(err)
	}
	one := ask(Prompt{Content: "Q", Task: "mine"})
	if _, err := CreateTask(as(t, bob), s.db, bob, NewTask{"mine", "T", "Two"}); err != nil {
		t.Fatal(err)
	}
	if turn := ask(Prompt{Content: "Q", Task: "mine"}); turn.Task.Instructions != "Two" {
		t.Errorf("the newest: %+v", turn.Task)
	}
	if turn := ask(Prompt{Content: "Q", Task: "mine@1"}); turn.Task.Instructions != "One" {
		t.Errorf("a version by name: %+v", turn.Task)
	}
	if turn := ask(Prompt{Parent: one.Question.ID}); turn.Task.Instructions != "One" {
		t.Errorf("another answer: %+v", turn.Task)
	}
	if turn := ask(Prompt{Parent: one.Question.ID, Task: "mine"}); turn.Task.Instructions != "Two" {
		t.Errorf("another answer by another task: %+v", turn.Task)
	}
}

// What is built in later takes no name away from an organisation.
func TestOwnTasksKeepTheirNames(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.exec(t, `INSERT INTO tasks (organization_id, task_id, task, version, built_in, title, instructions) VALUES ('org_local', 'tutor@7', 'tutor', 7, false, 'T', 'Ours.')`)
	session := s.session(t, ann)
	s.end(t, s.mustOpen(t, ann, session.ID, Prompt{Content: "Q", Task: "explain"}), Outcome{})
	if turn := s.mustOpen(t, ann, session.ID, Prompt{Content: "Q"}); turn.Task.Instructions != "Ours." {
		t.Errorf("%+v", turn.Task)
	}
}
