package conversation

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
)

func TestSessions(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx := as(t, ann)
	beside, err := CreateSession(ctx, s.db, ann, NewSession{LessonID: "les_1", Task: "explain", Title: "Mine"})
	if err != nil || beside.CourseID != "crs_1" || beside.LessonID != "les_1" || beside.Task != "explain" || beside.Title != "Mine" || beside.CreatedAt.IsZero() {
		t.Fatalf("%+v, %v", beside, err)
	}
	for name, c := range map[string]struct {
		n    NewSession
		kind fault.Kind
	}{
		"no such course":        {NewSession{CourseID: "crs_0"}, fault.NotFound},
		"another's course":      {NewSession{CourseID: "crs_e"}, fault.NotFound},
		"a lesson of no course": {NewSession{LessonID: "les_0"}, fault.NotFound},
		"a lesson elsewhere":    {NewSession{CourseID: "crs_2", LessonID: "les_1"}, fault.NotFound},
		"no such task":          {NewSession{Task: "nonsense"}, fault.Invalid},
		"a long title":          {NewSession{Title: strings.Repeat("x", MaxTitle+1)}, fault.Invalid},
		"U+0000":                {NewSession{Title: "\x00"}, fault.Invalid},
	} {
		_, err := CreateSession(ctx, s.db, ann, c.n)
		if !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// As eve, whose statements see every row: the conditions themselves hold.
	if _, err := CreateSession(t.Context(), s.pool, eve, NewSession{CourseID: "crs_1"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("another's course, in sight: %v", err)
	}

	untitled := s.session(t, ann)
	s.say(t, ann, untitled.ID, "What is a tuple, after all, and how does it differ from what the page holds of it on disk?\nMore.", "A row.")
	if got, err := GetSession(ctx, s.db, ann, untitled.ID); err != nil || got.Title != "What is a tuple, after all, and how does it differ from what the page holds of i" {
		t.Errorf("it is called %q, %v", got.Title, err)
	}
	renamed, err := RenameSession(ctx, s.db, ann, untitled.ID, "Tuples")
	if got, _ := GetSession(ctx, s.db, ann, untitled.ID); err != nil || renamed.Title != "Tuples" || got != renamed {
		t.Errorf("%+v, %+v, %v", renamed, got, err)
	}
	if renamed, err = RenameSession(ctx, s.db, ann, untitled.ID, ""); err != nil || !strings.HasPrefix(renamed.Title, "What is") {
		t.Errorf("%+v, %v", renamed, err)
	}
	wantKind(t, second(RenameSession(ctx, s.db, ann, "ses_0", "x")), fault.NotFound)
	wantKind(t, DeleteSession(ctx, s.db, ann, "ses_0"), fault.NotFound)
}

func TestSessionsArePaged(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx := as(t, ann)
	var want []string
	for i := range 9 {
		n := NewSession{}
		if i%2 == 0 {
			n.CourseID = "crs_1"
		}
		session, err := CreateSession(ctx, s.db, ann, n)
		if err != nil {
			t.Fatal(err)
		}
		want = append([]string{session.ID}, want...)
	}
	s.exec(t, `UPDATE sessions SET created_at = date_trunc('minute', created_at)`) // many at the same moment
	list := func(course string) (got []string) {
		for cursor := ""; ; {
			page, next, err := ListSessions(ctx, s.db, ann, course, cursor, 2)
			if err != nil || len(page) > 2 {
				t.Fatal(page, err)
			}
			for _, session := range page {
				got = append(got, session.ID)
			}
			if cursor = next; next == "" {
				return got
			}
		}
	}
	got := list("")
	if len(got) != len(want) || len(list("crs_1")) != 5 || len(list("crs_2")) != 0 {
		t.Errorf("listed %q", got)
	}
	seen := map[string]bool{}
	for _, id := range got {
		seen[id] = true
	}
	if len(seen) != len(want) {
		t.Errorf("some twice: %q", got)
	}
	for _, cursor := range []string{"!", "AAAA", cursorOf("1.usr_1"), cursorOf("-1.ses_1"), cursorOf("zzzzzzzzzzzz.ses_1")} {
		wantKind(t, third(ListSessions(ctx, s.db, ann, "", cursor, 2)), fault.Invalid)
	}
	wantKind(t, third(Messages(ctx, s.db, ann, got[0], "!", 2)), fault.Invalid)
}

// Nothing of a deleted session is left, the log of its answers included, and nothing
// of others goes with it.
func TestDeletedSessionsAreGone(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	doomed, kept := s.session(t, ann), s.session(t, ann)
	log := `INSERT INTO stream_events (message_id, seq, organization_id, kind, data) VALUES ($1, 1, 'org_local', 'delta', '{}')`
	for _, session := range []Session{doomed, kept} {
		_, answer := s.say(t, ann, session.ID, "Q", "A")
		s.sum(t, session.ID, answer.ID, "S")
		running := s.mustOpen(t, ann, session.ID, Prompt{Content: "Q"})
		s.exec(t, log, answer.ID)
		s.exec(t, log, running.Answer.ID)
	}
	if err := s.tx(as(t, ann), func(tx pgx.Tx) error { return DeleteSession(as(t, ann), tx, ann, doomed.ID) }); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, table := range []string{"sessions", "messages", "summaries", "checkpoints", "stream_events"} {
		got[table] = s.number(t, `SELECT count(*) FROM `+table)
	}
	if diff := cmp.Diff(map[string]int64{"sessions": 1, "messages": 4, "summaries": 1, "checkpoints": 1, "stream_events": 2}, got); diff != "" {
		t.Error(diff)
	}
	wantKind(t, second(GetSession(as(t, ann), s.db, ann, doomed.ID)), fault.NotFound)
}

// A course that is deleted leaves the sessions beside it.
func TestSessionsOutliveTheirCourse(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	session, err := CreateSession(as(t, ann), s.db, ann, NewSession{LessonID: "les_1"})
	if err != nil {
		t.Fatal(err)
	}
	s.say(t, ann, session.ID, "Q", "A")
	s.exec(t, `DELETE FROM courses WHERE course_id = 'crs_1'`)
	if got, err := GetSession(as(t, ann), s.db, ann, session.ID); err != nil || got.CourseID != "" || got.LessonID != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

// A long session goes within the time that a statement has.
func TestLongSessionsCanBeDeleted(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	if err := ensureTasks(as(t, ann), s.db, ann.Organization); err != nil {
		t.Fatal(err)
	}
	session := s.session(t, ann)
	s.fill(t, session.ID, 5000)
	if err := DeleteSession(as(t, ann), s.db, ann, session.ID); err != nil {
		t.Fatal(err)
	}
	if n := s.number(t, `SELECT count(*) FROM messages`); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

func TestMemories(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx := as(t, ann)
	remember := func(p account.Principal, course, kind, content string) {
		t.Helper()
		if err := note(as(t, p), s.db, p, course, kind, content); err != nil {
			t.Fatal(err)
		}
	}
	list := func(p account.Principal, course string) (said []string) {
		t.Helper()
		memories, err := Memories(as(t, p), s.db, p, course)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range memories {
			said = append(said, m.Kind+" "+m.Content)
		}
		return said
	}
	for i := range MaxMemories + 5 {
		remember(ann, "crs_1", Asked, string(rune('a'+i)))
	}
	remember(ann, "crs_1", Asked, "z") // once more: it is the newest now
	remember(ann, "crs_1", Asked, " z ")
	remember(ann, "crs_1", Missed, "two\nlines\x00"+strings.Repeat("é", 300))
	remember(ann, "crs_2", Asked, "elsewhere")
	remember(bob, "crs_1", Asked, "bob's")
	remember(program, "crs_1", Asked, "a program's")
	remember(ann, "crs_e", Asked, "not ours")
	remember(ann, "", Asked, "of no course")
	remember(ann, "crs_1", Asked, "  ")
	said := list(ann, "crs_1")
	if len(said) != MaxMemories+1 || said[1] != "asked z" || said[2] != "asked y" || strings.Join(said, " ") == "" || strings.Contains(strings.Join(said, "|"), "asked a") {
		t.Errorf("remembered %q", said)
	}
	if long := strings.TrimPrefix(said[0], "missed "); len([]rune(long)) != MaxMemory || !strings.HasPrefix(long, "two lines\uFFFDéé") || !strings.HasSuffix(long, "é…") {
		t.Errorf("a long one became %q", long)
	}
	if all := list(ann, ""); len(all) != MaxMemories+2 || all[0] != "asked elsewhere" {
		t.Errorf("in all courses: %q", all)
	}
	if got := list(program, ""); got != nil {
		t.Errorf("of a program: %q", got)
	}
	newest, err := Memories(ctx, s.db, ann, "crs_1")
	if err != nil {
		t.Fatal(err)
	}
	if err := Forget(ctx, s.db, ann, newest[0].ID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, Forget(ctx, s.db, ann, newest[0].ID), fault.NotFound)
	if got := list(ann, "crs_1"); len(got) != MaxMemories {
		t.Errorf("after one was forgotten: %q", got)
	}
	if err := ForgetAll(ctx, s.db, ann, "crs_1"); err != nil {
		t.Fatal(err)
	}
	if got := list(ann, ""); len(got) != 1 || got[0] != "asked elsewhere" || len(list(bob, "")) != 1 {
		t.Errorf("after the course was forgotten: %q", got)
	}
	if err := ForgetAll(ctx, s.db, ann, ""); err != nil || list(ann, "") != nil {
		t.Errorf("after all was forgotten: %q %v", list(ann, ""), err)
	}
}
