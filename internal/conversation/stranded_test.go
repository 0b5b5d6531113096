package conversation

import (
	"errors"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/conversation/relay"
)

// stranded gives an answer so much text, and has it ended as that of a dead process.
func (s *shelf) stranded(t *testing.T, text string, turns ...Turn) {
	t.Helper()
	for _, turn := range turns {
		if text != "" {
			s.exec(t, `INSERT INTO stream_events (message_id, seq, organization_id, kind, data) VALUES ($1, 1, $2, 'delta', json_build_object('text', $3::text)::text)`,
				turn.Answer.ID, turn.who.Organization, text)
		}
	}
	swept, err := relay.Sweep(t.Context(), s.logPool(t)) // no process has ever said that it lives
	if err != nil || swept.Interrupted != len(turns) {
		t.Fatalf("%+v, %v", swept, err)
	}
}

// An answer whose process died has a checkpoint like every other: it stands behind the
// one before it on its branch, names the summary that there was, and can be listed,
// replayed, forked and gone on with.
func TestStrandedAnswersHaveCheckpoints(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx := as(t, ann)
	session, fresh := s.session(t, ann).ID, s.session(t, bob).ID
	_, first := s.say(t, ann, session, "One?", "One.")
	s.say(t, ann, session, "Two?", "Two.")
	s.exec(t, `INSERT INTO summaries (session_id, message_id, organization_id, content, tokens, model) VALUES ($1, $2, 'org_local', 'They count.', 3, 'm')`, session, first.ID)
	turn, alone := s.mustOpen(t, ann, session, Prompt{Content: "Three?"}), s.mustOpen(t, bob, fresh, Prompt{Content: "x"})
	// A summary that was made since then has not been shown to the model.
	s.exec(t, `INSERT INTO summaries (session_id, message_id, organization_id, content, tokens, model) VALUES ($1, $2, 'org_local', 'They count on.', 3, 'm')`, session, turn.Question.Parent)
	s.stranded(t, "Three is ", turn, alone)

	all, _, err := Checkpoints(ctx, s.db, ann, session, "", 10)
	if err != nil || len(all) != 3 {
		t.Fatalf("%+v, %v", all, err)
	}
	c := all[2]
	if c.Parent != all[1].ID || c.Message != turn.Answer.ID || c.Summary != first.ID || c.TaskID != "tutor@1" || c.Model != "" {
		t.Errorf("%+v", c)
	}
	at, err := StateAt(ctx, s.db, ann, session, c.ID)
	if err != nil || at.Summary == nil || at.Summary.Content != "They count." || !slices.Equal(contents(at.Messages), []string{"Two?", "Two.", "Three?"}) {
		t.Errorf("%+v, %v", at, err)
	}
	var fork Session
	err = s.tx(ctx, func(tx pgx.Tx) (err error) {
		fork, err = Fork(ctx, tx, ann, session, c.ID, "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := contents(s.every(t, ann, fork.ID, 10)); !slices.Equal(got, []string{"One?", "One.", "Two?", "Two.", "Three?", "Three is "}) {
		t.Errorf("%q", got)
	}
	rest := s.mustOpen(t, ann, session, Prompt{Parent: turn.Answer.ID})
	if rest.ParentCheckpoint != c.ID || rest.Continues == nil || rest.Continues.Content != "Three is " || rest.Continues.Tokens != 3 {
		t.Errorf("%+v", rest)
	}
	s.end(t, rest, Outcome{Content: "four."})
	again := s.mustOpen(t, ann, session, Prompt{Replay: &c})
	if again.Question.ID != turn.Question.ID || again.ParentCheckpoint != all[1].ID {
		t.Errorf("%+v", again)
	}
	s.end(t, again, Outcome{Content: "Three."})

	failed, _, err := Checkpoints(as(t, bob), s.db, bob, fresh, "", 10)
	if err != nil || len(failed) != 1 || failed[0].Parent != "" || failed[0].Summary != "" || failed[0].Message != alone.Answer.ID {
		t.Errorf("%+v, %v", failed, err)
	}
	if without := s.number(t, `SELECT count(*) FROM messages m LEFT JOIN checkpoints c USING (session_id, message_id) WHERE m.role = 'assistant' AND c.checkpoint_id IS NULL`); without != 0 {
		t.Errorf("%d answers have none", without)
	}
}

// An answer whose process died is in nobody's way: who asks further need not wait until
// somebody looks at it. One that is being made still is.
func TestAskingBehindAStrandedAnswer(t *testing.T) {
	t.Parallel()
	d := newDesk(t, says(nil, "At night."))
	s := d.on(t, ann, NewSession{}).ID
	dead := d.mustOpen(t, ann, s, Prompt{Content: "When?"})
	m := d.ask(t, ann, s, Prompt{Content: "And now?", Parent: Root}).message()
	if m.State != Complete || m.Content != "At night." {
		t.Errorf("%+v", m)
	}
	if ended, err := GetMessage(as(t, ann), d.db, ann, s, dead.Answer.ID); err != nil || ended.State != Failed {
		t.Errorf("%+v, %v", ended, err)
	}
	alive := d.mustOpen(t, ann, s, Prompt{Content: "Who?"})
	d.exec(t, `INSERT INTO producers (producer_id, alive_until) VALUES ($1, now() + interval '1 hour')`, testProducer)
	_, err := d.tutor.Send(as(t, ann), ann, s, Prompt{Content: "And then?"})
	if busy, ok := errors.AsType[*Busy](err); !ok || busy.Message != alive.Answer.ID {
		t.Errorf("%v", err)
	}
}

// A person's stop ends at once what nobody makes: an answer whose process died, or that
// was handed over and not taken up.
func TestStopOfNobodys(t *testing.T) {
	t.Parallel()
	d := newDesk(t, says(nil, "unheard"))
	for name, sql := range map[string]string{
		"dead":        `UPDATE messages SET producer_id = 'prd_dead' WHERE message_id = $1`,
		"handed over": `UPDATE messages SET producer_id = NULL, handed_over_at = now() WHERE message_id = $1`,
	} {
		s := d.on(t, ann, NewSession{}).ID
		turn := d.mustOpen(t, ann, s, Prompt{Content: "When?"})
		d.exec(t, `INSERT INTO stream_events (message_id, seq, organization_id, kind, data) VALUES ($1, 1, 'org_local', 'delta', '{"text":"At ni"}')`, turn.Answer.ID)
		d.exec(t, sql, turn.Answer.ID)
		if err := d.tutor.Stop(as(t, ann), ann, s); err != nil {
			t.Fatal(err)
		}
		if m, err := GetMessage(as(t, ann), d.db, ann, s, turn.Answer.ID); err != nil || m.State != Stopped {
			t.Errorf("%s: %s, %v", name, m.State, err)
		}
		h := hear(t, d.tutor, ann, s, turn.Answer.ID, "")
		if m := h.message(); h.last.Name != "done" || m.State != Stopped || m.Content != "At ni" || h.text != "At ni" || m.Problem != "" {
			t.Errorf("%s: %s %+v", name, h.last.Name, m)
		}
		if all, _, err := Checkpoints(as(t, ann), d.db, ann, s, "", 10); err != nil || len(all) != 1 {
			t.Errorf("%s: %d checkpoints, %v", name, len(all), err)
		}
	}
}
