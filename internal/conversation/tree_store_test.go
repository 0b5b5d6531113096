package conversation

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// Whatever is sent, edited, regenerated, continued, replayed and forked: every message
// that was ever given stays where it was and as it was, and what a model is shown is
// the branch of the question, oldest first.
func TestEveryBranchStaysReachable(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	rapid.Check(t, func(r *rapid.T) {
		session := s.session(t, ann).ID
		known := map[string]map[string]Message{session: {}} // by session and id
		checkpoints := map[string][]Checkpoint{}
		sessions := []string{session}
		steps := 0
		r.Repeat(map[string]func(*rapid.T){
			"turn": func(r *rapid.T) {
				if steps++; steps > 15 {
					r.Skip("enough")
				}
				session := rapid.SampledFrom(sessions).Draw(r, "session")
				in := Prompt{Parent: Root, Content: "first"}
				if all := s.every(t, ann, session, 1000); len(all) > 0 {
					named := rapid.SampledFrom(all).Draw(r, "named")
					in.Parent = named.ID
					if in.Content = fmt.Sprintf("question %d", steps); named.Role == User || rapid.Bool().Draw(r, "go on") {
						in.Content = ""
					}
				}
				if rapid.IntRange(0, 9).Draw(r, "replay") == 0 && len(checkpoints[session]) > 0 {
					c := rapid.SampledFrom(checkpoints[session]).Draw(r, "checkpoint")
					in = Prompt{Replay: &c}
				}
				turn, err := s.open(t, ann, session, in)
				if err != nil { // what makes no sense is refused, and leaves nothing
					return
				}
				state := rapid.SampledFrom([]State{Complete, Stopped, Interrupted, Failed}).Draw(r, "state")
				o := Outcome{State: state, Content: fmt.Sprintf("answer %d", steps)}
				if o.Finish = llm.Stop; state == Failed {
					o.Content, o.Finish = "", ""
				}
				answer := s.end(t, turn, o)
				known[session][turn.Question.ID], known[session][answer.ID] = turn.Question, answer
				shown := append([]Message(nil), turn.History...)
				if len(shown) > 0 && turn.Question.Parent != shown[len(shown)-1].ID || len(shown) == 0 && turn.Question.Parent != "" && turn.Summary == nil {
					r.Fatalf("what is shown does not lead to the question: %+v", turn)
				}
				for i, m := range shown {
					if i > 0 && m.Parent != shown[i-1].ID || encoded(t, m) != encoded(t, known[session][m.ID]) {
						r.Fatalf("what is shown is no branch, or not what was said: %v", contents(shown))
					}
				}
				found, _, err := Checkpoints(as(t, ann), s.db, ann, session, "", 1000)
				if err != nil {
					r.Fatal(err)
				}
				checkpoints[session] = found
			},
			"fork": func(r *rapid.T) {
				session := rapid.SampledFrom(sessions).Draw(r, "session")
				if len(checkpoints[session]) == 0 || len(sessions) > 3 {
					r.Skip("nothing to fork")
				}
				c := rapid.SampledFrom(checkpoints[session]).Draw(r, "checkpoint")
				fork, err := Fork(as(t, ann), s.db, ann, session, c.ID, "")
				if err != nil {
					r.Fatal(err)
				}
				sessions, known[fork.ID] = append(sessions, fork.ID), map[string]Message{}
				for _, m := range s.every(t, ann, fork.ID, 1000) {
					known[fork.ID][m.ID] = m
				}
				var line []string // the branch as it was
				for m, ok := known[session][c.Message]; ok; m, ok = known[session][m.Parent] {
					line = append([]string{m.Content}, line...)
				}
				if got := contents(s.every(t, ann, fork.ID, 1000)); strings.Join(got, "|") != strings.Join(line, "|") {
					r.Fatalf("the copy is %q of %q", got, line)
				}
				if checkpoints[fork.ID], _, err = Checkpoints(as(t, ann), s.db, ann, fork.ID, "", 1000); err != nil {
					r.Fatal(err)
				}
			},
		})
		for session, messages := range known {
			there := map[string]Message{}
			for _, m := range s.every(t, ann, session, 7) {
				if _, before := there[m.Parent]; m.Parent != "" && !before {
					r.Fatalf("%s comes before its parent", m.ID)
				}
				there[m.ID] = m
			}
			if len(there) != len(messages) {
				r.Fatalf("%d messages are there, %d were given", len(there), len(messages))
			}
			for id, m := range messages {
				if encoded(t, m) != encoded(t, there[id]) {
					r.Fatalf("%s became %s", encoded(t, m), encoded(t, there[id]))
				}
			}
		}
	})
}

// Nobody rewrites what was said: not a tenant, not the system, not even the owner of
// the tables by mistake.
func TestMessagesAreAppendOnly(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	session := s.session(t, ann)
	_, answer := s.say(t, ann, session.ID, "Said", "Answered")
	running := s.mustOpen(t, ann, session.ID, Prompt{Content: "And?"})
	system := pgtest.As(t, s.pool, postgres.System)
	for sql, who := range map[string]string{
		`UPDATE messages SET content = 'x' WHERE message_id = '` + answer.ID + `'`:                                 "tenant system owner",
		`UPDATE messages SET state = 'streaming', finished_at = NULL WHERE message_id = '` + answer.ID + `'`:       "tenant system owner",
		`UPDATE messages SET stop_requested = true WHERE message_id = '` + answer.ID + `'`:                         "tenant system owner",
		`UPDATE messages SET content = 'x' WHERE role = 'user'`:                                                    "tenant system owner",
		`UPDATE messages SET parent_id = NULL WHERE message_id = '` + running.Answer.ID + `'`:                      "tenant system owner",
		`UPDATE messages SET task_id = 'explain@1' WHERE message_id = '` + running.Answer.ID + `'`:                 "tenant system owner",
		`UPDATE messages SET role = 'user', state = 'complete' WHERE message_id = '` + running.Answer.ID + `'`:     "tenant system owner",
		`UPDATE messages SET created_at = now() - interval '1 day' WHERE message_id = '` + running.Answer.ID + `'`: "tenant system owner",
		`DELETE FROM messages WHERE message_id = '` + running.Answer.ID + `'`:                                      "tenant system",
		`DELETE FROM checkpoints`:             "tenant system",
		`UPDATE checkpoints SET model = 'x'`:  "tenant system",
		`UPDATE summaries SET content = 'x'`:  "tenant system",
		`DELETE FROM summaries`:               "tenant system",
		`UPDATE tasks SET instructions = 'x'`: "tenant system",
		`INSERT INTO messages (session_id, message_id, organization_id, parent_id, role, task_id, state) VALUES ('` + session.ID + `', 'm', 'org_local', 'nobody', 'user', 'tutor@1', 'complete')`: "tenant system owner",
		`INSERT INTO messages (session_id, message_id, organization_id, role, task_id, state) VALUES ('` + session.ID + `', 'm', 'org_local', 'user', 'tutor@1', 'streaming')`:                     "tenant system owner",
		`INSERT INTO messages (session_id, message_id, organization_id, role, task_id, state) VALUES ('` + session.ID + `', 'm', 'org_local', 'assistant', 'tutor@1', 'streaming')`:                "tenant system owner",
	} {
		for _, name := range strings.Fields(who) {
			var err error
			switch name {
			case "tenant":
				_, err = s.db.Exec(as(t, ann), sql)
			case "system":
				_, err = system.Exec(t.Context(), sql)
			default:
				_, err = s.pool.Exec(t.Context(), sql)
			}
			if _, refused := errors.AsType[*pgconn.PgError](err); !refused {
				t.Errorf("%s may: %s (%v)", name, sql, err)
			}
		}
	}
}
