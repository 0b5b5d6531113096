package conversation

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
)

func TestTurn(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	session := s.session(t, ann)
	first := s.mustOpen(t, ann, session.ID, Prompt{Content: "What is a tuple?"})
	if first.Question.Content != "What is a tuple?" || first.Question.Role != User || first.Question.Parent != "" || first.Answer.Parent != first.Question.ID ||
		first.Answer.State != Streaming || first.Task.Name != DefaultTask || first.Task.Instructions == "" || first.Session.Answering != first.Answer.ID ||
		first.Again || first.Continues != nil || first.Summary != nil || len(first.History) != 0 || first.ParentCheckpoint != "" || first.Question.Tokens == 0 {
		t.Errorf("the first turn is %+v", first)
	}
	answer := s.end(t, first, Outcome{Content: "A row.", Tokens: 3})
	second := s.mustOpen(t, ann, session.ID, Prompt{Content: "And a page?"})
	if diff := cmp.Diff([]string{"What is a tuple?", "A row."}, contents(second.History)); diff != "" || second.Question.Parent != answer.ID || second.ParentCheckpoint != first.checkpoint {
		t.Errorf("the second turn is %+v: %s", second, diff)
	}
	if called, err := GetSession(as(t, ann), s.db, ann, session.ID); err != nil || called.Title != "What is a tuple?" || called.Answering != second.Answer.ID {
		t.Errorf("the session is %+v, %v", called, err)
	}
}

// What finish gives is what is read later, byte by byte.
func TestAnswersAreReadAsTheyEnded(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	right := true
	for name, o := range map[string]Outcome{
		"complete": {
			State: Complete, Content: "It is **so** [1]. \u202e ", Model: "m", Finish: llm.Stop, Usage: llm.Usage{Input: 7, Output: 9}, Tokens: 5, TTFB: 123456 * time.Microsecond, Events: 4,
			Citations: []Citation{{N: 1, Name: "a \"b\" <c> \u2028", Evidence: course.Evidence{Passage: "psg_1", Source: "src_1", Page: 3, Start: 1, End: 4, Quote: "so"}}},
			Quiz:      &Quiz{Question: "qst_1", Lesson: "les_1", Judged: "qst_0", Right: &right},
		},
		"stopped":     {State: Stopped, Content: "It", Model: "m", Events: 1},
		"interrupted": {State: Interrupted, Content: "It", Problem: "The model broke off.", Model: "m", TTFB: 1},
		"failed":      {State: Failed, Problem: "No model could be reached."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session := s.session(t, ann)
			turn := s.mustOpen(t, ann, session.ID, Prompt{Content: "So?"})
			ended := s.end(t, turn, o)
			read, err := GetMessage(as(t, ann), s.db, ann, session.ID, turn.Answer.ID)
			if err != nil || encoded(t, ended) != encoded(t, read) || ended.Events != read.Events || ended.Tokens != read.Tokens {
				t.Errorf("ended as %s, is read as %s, error %v", encoded(t, ended), encoded(t, read), err)
			}
			if listed := s.every(t, ann, session.ID, 10); encoded(t, listed[1]) != encoded(t, ended) {
				t.Errorf("is listed as %s", encoded(t, listed[1]))
			}
			if ended.State != o.State || ended.Content != o.Content || ended.Problem != o.Problem || ended.FinishedAt == nil || (o.TTFB > 0) != (ended.TTFB != nil) {
				t.Errorf("ended as %+v", ended)
			}
		})
	}
}

// F50: of several sends at once one is answered, and the others are told by which answer.
func TestOneAnswerAtATime(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	for _, n := range []int{5, 100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			session := s.session(t, ann)
			var wait sync.WaitGroup
			turns, errs := make([]Turn, n), make([]error, n)
			begin := make(chan struct{})
			for i := range n {
				wait.Go(func() {
					<-begin
					turns[i], errs[i] = s.open(t, ann, session.ID, Prompt{Content: fmt.Sprintf("I am %d", i)})
				})
			}
			close(begin)
			wait.Wait()
			won := ""
			for i := range n {
				if errs[i] == nil && won != "" {
					t.Fatal("two answers are being made")
				} else if errs[i] == nil {
					won = turns[i].Answer.ID
				}
			}
			for _, err := range errs {
				busy, ok := errors.AsType[*Busy](err)
				if err != nil && (!ok || busy.Message != won || !fault.Is(err, fault.Conflict)) {
					t.Fatalf("got %v, want Busy with %s", err, won)
				}
			}
			if got := s.every(t, ann, session.ID, 10); len(got) != 2 || won == "" {
				t.Errorf("%d messages, won by %q", len(got), won)
			}
		})
	}
}

// F50: the same message twice is the same message, whoever comes first, also when it
// has been answered.
func TestTheSameMessageAgain(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	session := s.session(t, ann)
	s.say(t, ann, session.ID, "Before", "Yes")
	const n = 40
	var wait sync.WaitGroup
	var mu sync.Mutex
	answers, again := map[string]int{}, 0
	for range n {
		wait.Go(func() {
			turn, err := s.open(t, ann, session.ID, Prompt{ID: "mine", Content: "Once"})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			answers[turn.Answer.ID]++
			if turn.Again {
				again++
			}
			if turn.Question.ID != "mine" || turn.Question.Content != "Once" || turn.Task.ID == "" || len(turn.History) != 2 {
				t.Errorf("the turn is %+v", turn)
			}
		})
	}
	wait.Wait()
	if len(answers) != 1 || again != n-1 {
		t.Fatalf("%d answers, %d times again", len(answers), again)
	}
	turn, err := s.open(t, ann, session.ID, Prompt{ID: "mine", Content: "Once"})
	if err != nil {
		t.Fatal(err)
	}
	ended := s.end(t, turn, Outcome{Content: "Two"})
	s.say(t, ann, session.ID, "Later", "Three")
	turn, err = s.open(t, ann, session.ID, Prompt{ID: "mine", Content: "Once"})
	if err != nil || !turn.Again || encoded(t, turn.Answer) != encoded(t, ended) {
		t.Errorf("after its end: %+v, %v", turn, err)
	}
	if _, err := s.open(t, ann, session.ID, Prompt{ID: "mine", Content: "Once", Parent: turn.Question.Parent}); err != nil {
		t.Errorf("with its parent named: %v", err)
	}
	for name, in := range map[string]Prompt{
		"other content": {ID: "mine", Content: "Twice"},
		"other parent":  {ID: "mine", Content: "Once", Parent: Root},
		"an answer's":   {ID: turn.Answer.ID, Content: "Two"},
	} {
		_, err := s.open(t, ann, session.ID, in)
		if _, busy := errors.AsType[*Busy](err); busy || !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := s.session(t, ann) // an id is unique in its session only
	if turn, err := s.open(t, ann, other.ID, Prompt{ID: "mine", Content: "Elsewhere"}); err != nil || turn.Again {
		t.Errorf("in another session: %+v, %v", turn, err)
	}
	if got := s.every(t, ann, session.ID, 3); len(got) != 6 {
		t.Errorf("%d messages", len(got))
	}
}

func TestBranches(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	session := s.session(t, ann)
	one, answer := s.say(t, ann, session.ID, "One", "1")
	two, _ := s.say(t, ann, session.ID, "Two", "2")

	edited := s.mustOpen(t, ann, session.ID, Prompt{Content: "Two, otherwise", Parent: answer.ID})
	if diff := cmp.Diff([]string{"One", "1"}, contents(edited.History)); diff != "" || edited.Question.Parent != answer.ID || edited.ParentCheckpoint != one.checkpoint {
		t.Errorf("edited: %s %+v", diff, edited)
	}
	s.end(t, edited, Outcome{Content: "2'"})

	regenerated := s.mustOpen(t, ann, session.ID, Prompt{Parent: two.Question.ID})
	if regenerated.Question.ID != two.Question.ID || regenerated.Answer.Parent != two.Question.ID || len(regenerated.History) != 2 || regenerated.Continues != nil {
		t.Errorf("another answer: %+v", regenerated)
	}
	broken := s.end(t, regenerated, Outcome{State: Interrupted, Content: "Half ", Tokens: 1})

	on := s.mustOpen(t, ann, session.ID, Prompt{Parent: broken.ID})
	if on.Continues == nil || on.Continues.ID != broken.ID || on.Question.ID != two.Question.ID || on.Answer.Parent != broken.ID || len(on.History) != 2 ||
		on.ParentCheckpoint != regenerated.checkpoint {
		t.Errorf("the rest of it: %+v", on)
	}
	stopped := s.end(t, on, Outcome{State: Stopped, Content: "and more "})
	further := s.mustOpen(t, ann, session.ID, Prompt{}) // the newest is open-ended
	if further.Continues == nil || further.Continues.ID != stopped.ID || further.Continues.Content != "Half and more " || further.Question.ID != two.Question.ID {
		t.Errorf("further: %+v", further.Continues)
	}
	failed := s.end(t, further, Outcome{State: Failed, Problem: "Nobody there."})
	after := s.mustOpen(t, ann, session.ID, Prompt{Parent: failed.ID}) // what failed has nothing: what it was to go on with is meant
	if after.Continues == nil || after.Continues.ID != stopped.ID || after.Answer.Parent != stopped.ID {
		t.Errorf("after a failure: %+v", after.Continues)
	}
	long := s.end(t, after, Outcome{Content: "cut", Finish: llm.Length})
	rest := s.mustOpen(t, ann, session.ID, Prompt{Parent: long.ID})
	if rest.Continues == nil || rest.Continues.Content != "Half and more cut" {
		t.Errorf("after a cut: %+v", rest.Continues)
	}
	whole := s.end(t, rest, Outcome{Content: ", done."})
	next := s.mustOpen(t, ann, session.ID, Prompt{Content: "Three"})
	if diff := cmp.Diff([]string{"One", "1", "Two", "Half ", "and more ", "cut", ", done."}, contents(next.History)); diff != "" {
		t.Errorf("what is shown after an answer in parts: %s", diff)
	}
	s.end(t, next, Outcome{State: Failed})

	anew := s.mustOpen(t, ann, session.ID, Prompt{Content: "Anew", Parent: Root})
	if anew.Question.Parent != "" || len(anew.History) != 0 || anew.ParentCheckpoint != "" {
		t.Errorf("anew: %+v", anew)
	}
	wantKind(t, second(s.open(t, ann, session.ID, Prompt{Parent: one.Question.ID})), fault.Conflict) // one at a time in all branches
	s.end(t, anew, Outcome{Content: "A"})

	for name, c := range map[string]struct {
		in   Prompt
		kind fault.Kind
	}{
		"a whole answer":        {Prompt{Parent: whole.ID}, fault.Conflict},
		"nothing to say":        {Prompt{Parent: Root}, fault.Invalid},
		"no such parent":        {Prompt{Content: "x", Parent: "msg_0"}, fault.Invalid},
		"behind a question":     {Prompt{Content: "x", Parent: two.Question.ID}, fault.Invalid},
		"no such task":          {Prompt{Content: "x", Task: "nonsense"}, fault.Invalid},
		"no such version":       {Prompt{Content: "x", Task: "tutor@99"}, fault.Invalid},
		"an id and no content":  {Prompt{ID: "x", Parent: two.Question.ID}, fault.Invalid},
		"an id with a space":    {Prompt{ID: "a b", Content: "x"}, fault.Invalid},
		"an id called root":     {Prompt{ID: Root, Content: "x"}, fault.Invalid},
		"no such checkpoint":    {Prompt{Replay: &Checkpoint{ID: "ckp_0"}}, fault.NotFound},
		"content in a replay":   {Prompt{Content: "x", Replay: &Checkpoint{ID: one.checkpoint}}, fault.Invalid},
		"too much":              {Prompt{Content: strings.Repeat("x", MaxContent+1)}, fault.Invalid},
		"only spaces":           {Prompt{Content: " \n "}, fault.Invalid},
		"U+0000":                {Prompt{Content: "a\x00b"}, fault.Invalid},
		"no UTF-8":              {Prompt{Content: "a\xffb"}, fault.Invalid},
		"a surrogate":           {Prompt{Content: "a\xed\xa0\x80b"}, fault.Invalid},
		"a megabyte of accents": {Prompt{Content: "e" + strings.Repeat("\u0301", 500_000)}, fault.Invalid},
	} {
		_, err := s.open(t, ann, session.ID, c.in)
		if !fault.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
	}
	empty := s.session(t, ann)
	wantKind(t, second(s.open(t, ann, empty.ID, Prompt{})), fault.Invalid)
}

func second[T any](_ T, err error) error { return err }

// F90: whatever can be stored is stored exactly.
func TestTextIsKeptAsItIs(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	session := s.session(t, ann)
	for _, said := range []string{
		"e\u0301 is not é", "\u202Eright to left", "👩\u200d👩\u200d👧", "\uFFFD \uFFFF \U0010FFFF", "a\r\nb\rc\u2028d", "\u0001\u007F", " spaces ",
		"e" + strings.Repeat("\u0301", MaxContent-1), strings.Repeat("𝄞", MaxContent), `\u0000 "quoted" {{.}} $1 '; --`,
	} {
		turn, answer := s.say(t, ann, session.ID, said, said)
		if turn.Question.Content != said || answer.Content != said {
			t.Errorf("%.40q became %.40q and %.40q", said, turn.Question.Content, answer.Content)
		}
		if all := s.every(t, ann, session.ID, 50); all[len(all)-2].Content != said {
			t.Errorf("%.40q is listed as %.40q", said, all[len(all)-2].Content)
		}
	}
	// A model says what it likes; its words are kept, but for what no text can hold.
	_, answer := s.say(t, ann, session.ID, "x", "a\x00b\xffc")
	if answer.Content != "a\uFFFDb\uFFFDc" {
		t.Errorf("kept %q", answer.Content)
	}
}

// Limits hold among many at once, and say whose they are.
func TestAnswersAreLimited(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	const each = 12
	try := func(limits Limits) (opened map[string]int, refused []string) {
		opened = map[string]int{}
		var mu sync.Mutex
		var wait sync.WaitGroup
		for range each {
			for _, p := range []string{"ann", "bob"} {
				who := ann
				if p == "bob" {
					who = bob
				}
				session := s.session(t, who)
				wait.Go(func() {
					_, err := open(as(t, who), s.db, who, session.ID, Prompt{Content: "x"}, testProducer, limits, testModel)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						opened[p]++
						return
					}
					if !fault.Is(err, fault.Exhausted) {
						t.Error(err)
					}
					refused = append(refused, fault.Message(err))
				})
			}
		}
		wait.Wait()
		s.exec(t, `UPDATE messages SET state = 'failed', finished_at = now() WHERE state = 'streaming'`)
		return opened, refused
	}
	opened, refused := try(Limits{AnswersPerUser: 3})
	if opened["ann"] != 3 || opened["bob"] != 3 || !strings.HasPrefix(refused[0], "You already have 3 answers") {
		t.Errorf("of each person 3: %v, %q", opened, refused[0])
	}
	opened, refused = try(Limits{AnswersPerOrganization: 5})
	if opened["ann"]+opened["bob"] != 5 || !strings.HasPrefix(refused[0], "Your organization already has 5 answers") {
		t.Errorf("of all 5: %v, %q", opened, refused[0])
	}
	if opened, _ = try(Limits{}); opened["ann"]+opened["bob"] != 2*each {
		t.Errorf("without limits: %v", opened)
	}
}

// Who lost an answer cannot end it, and who only did not hear of the end may repeat it.
func TestFinishIsFenced(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx := as(t, ann)
	o := Outcome{State: Complete, Content: "mine", Model: testModel, Finish: llm.Stop, PromptVersion: "p1"}
	lost := func(t *testing.T, turn Turn) {
		t.Helper()
		_, err := finish(ctx, s.db, turn, o)
		if wantKind(t, err, fault.Conflict); !errors.Is(err, relay.ErrLost) {
			t.Errorf("got %v", err)
		}
	}
	t.Run("another has it", func(t *testing.T) {
		t.Parallel()
		turn := s.mustOpen(t, ann, s.session(t, ann).ID, Prompt{Content: "x"})
		s.exec(t, `UPDATE messages SET producer_id = 'prd_other' WHERE message_id = $1`, turn.Answer.ID)
		lost(t, turn)
		if n := s.number(t, `SELECT count(*) FROM checkpoints WHERE message_id = $1`, turn.Answer.ID); n != 0 {
			t.Error("a checkpoint was left behind")
		}
		other, err := load(ctx, s.db, ann, turn.Session.ID, turn.Answer.ID, "prd_other")
		if err != nil || other.Question.Content != "x" || other.Task.ID != turn.Task.ID {
			t.Fatalf("%+v, %v", other, err)
		}
		if m := s.end(t, other, Outcome{Content: "theirs"}); m.Content != "theirs" {
			t.Errorf("ended as %+v", m)
		}
		lost(t, turn)
	})
	t.Run("it was given up", func(t *testing.T) {
		t.Parallel()
		turn := s.mustOpen(t, ann, s.session(t, ann).ID, Prompt{Content: "x"})
		s.exec(t, `UPDATE messages SET state = 'interrupted', content = 'mine', finished_at = now() WHERE message_id = $1`, turn.Answer.ID)
		lost(t, turn)
	})
	t.Run("it was deleted", func(t *testing.T) {
		t.Parallel()
		turn := s.mustOpen(t, ann, s.session(t, ann).ID, Prompt{Content: "x"})
		if err := DeleteSession(ctx, s.db, ann, turn.Session.ID); err != nil {
			t.Fatal(err)
		}
		lost(t, turn)
	})
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		turn := s.mustOpen(t, ann, s.session(t, ann).ID, Prompt{Content: "x"})
		once, err := finish(ctx, s.db, turn, o)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := finish(ctx, s.db, turn, o); err != nil || encoded(t, once) != encoded(t, twice) {
			t.Errorf("%+v, then %+v, %v", once, twice, err)
		}
	})
}

// Sessions are deleted and opened at the same moment, without anything half.
func TestDeletingRacesWithOpening(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx := as(t, ann)
	for range 20 {
		session := s.session(t, ann)
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := s.open(t, ann, session.ID, Prompt{Content: "x"}); err != nil && !fault.Is(err, fault.NotFound) {
				t.Error(err)
			}
		})
		wait.Go(func() {
			if err := DeleteSession(ctx, s.db, ann, session.ID); err != nil {
				t.Error(err)
			}
		})
		wait.Wait()
	}
	if n := s.number(t, `SELECT count(*) FROM messages`); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

// Others' sessions are not there, in whatever way they are asked for.
func TestOthersSessionsAreNotThere(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	session := s.session(t, ann)
	turn, answer := s.say(t, ann, session.ID, "Mine", "Yours")
	s.exec(t, `INSERT INTO stream_events (message_id, seq, organization_id, kind, data) VALUES ($1, 1, 'org_local', 'delta', '{}')`, answer.ID)
	if err := note(as(t, ann), s.db, ann, "crs_1", Asked, "why"); err != nil {
		t.Fatal(err)
	}
	memories, err := Memories(as(t, ann), s.db, ann, "crs_1")
	if err != nil || len(memories) != 1 {
		t.Fatal(memories, err)
	}
	picture := func() string {
		var text string
		if err := s.pool.QueryRow(t.Context(), `SELECT concat_ws('|', (SELECT string_agg(s::text, ' ') FROM sessions s), (SELECT string_agg(m::text, ' ') FROM messages m),
			(SELECT string_agg(m::text, ' ') FROM memories m), (SELECT string_agg(e::text, ' ') FROM stream_events e), (SELECT count(*) FROM summaries))`).Scan(&text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	before := picture()
	for name, c := range map[string]struct {
		who account.Principal
		all bool // no row is hidden from the statements: their own conditions are what is tested
	}{
		"of the same organization": {bob, false}, "of another": {eve, false}, "a program": {program, false},
		"of another, with our rows in sight": {eve, true},
	} {
		t.Run(name, func(t *testing.T) {
			whom, ctxOf, q := c.who, as(t, c.who), postgres.Beginner(s.db)
			if c.all {
				ctxOf, q = t.Context(), s.pool
			}
			for what, err := range map[string]error{
				"get":         second(GetSession(ctxOf, q, whom, session.ID)),
				"rename":      second(RenameSession(ctxOf, q, whom, session.ID, "x")),
				"delete":      DeleteSession(ctxOf, q, whom, session.ID),
				"messages":    third(Messages(ctxOf, q, whom, session.ID, "", 10)),
				"message":     second(GetMessage(ctxOf, q, whom, session.ID, answer.ID)),
				"checkpoints": third(Checkpoints(ctxOf, q, whom, session.ID, "", 10)),
				"state":       second(StateAt(ctxOf, q, whom, session.ID, turn.checkpoint)),
				"fork":        second(Fork(ctxOf, q, whom, session.ID, turn.checkpoint, "")),
				"open":        second(open(ctxOf, q, whom, session.ID, Prompt{Content: "x"}, testProducer, Limits{}, testModel)),
				"regenerate":  second(open(ctxOf, q, whom, session.ID, Prompt{Parent: turn.Question.ID}, testProducer, Limits{}, testModel)),
				"replay":      second(open(ctxOf, q, whom, session.ID, Prompt{Replay: &Checkpoint{ID: turn.checkpoint}}, testProducer, Limits{}, testModel)),
				"load":        second(load(ctxOf, q, whom, session.ID, answer.ID, testProducer)),
				"forget":      Forget(ctxOf, q, whom, memories[0].ID),
			} {
				if !fault.Is(err, fault.NotFound) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if found, _, err := ListSessions(ctxOf, q, whom, "", "", 10); err != nil || len(found) != 0 {
				t.Errorf("list: %v %v", found, err)
			}
			if found, err := Memories(ctxOf, q, whom, "crs_1"); err != nil || len(found) != 0 {
				t.Errorf("memories: %v %v", found, err)
			}
			if err := ForgetAll(ctxOf, q, whom, ""); err != nil {
				t.Error(err)
			}
			if stored, err := saveSummary(ctxOf, q, whom, session.ID, Summary{Message: answer.ID, Content: "x", Model: "m"}); stored || err != nil {
				t.Errorf("summary: %t, %v", stored, err)
			}
			if after := picture(); after != before {
				t.Errorf("it left a trace:\n%s\n%s", before, after)
			}
		})
	}
}

func third[A, B any](_ A, _ B, err error) error { return err }
