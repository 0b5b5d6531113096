package conversation

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// F20, F25: what has been told of turns is there after the database went down as in a
// power failure: every message that was taken, with its answer's row, its money, and
// every word that a reader has seen. Turns are opened without waiting for the disk, and
// what waits later must have waited for them, too.
func TestToldIsKept(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := pgtest.Durable(t)
	s := &shelf{pool: server.Pool, db: pgtest.As(t, server.Pool, postgres.Tenant)}
	s.exec(t, `INSERT INTO users (user_id, organization_id, name, role) VALUES ('usr_ann', 'org_local', 'Ann', 'learner')`)
	held := make(chan struct{})
	d := &desk{shelf: s}
	d.tutor = New(Parts{DB: s.db, Relay: relay.New(relay.Options{DB: d.logPool(t)}), Model: &scripted{
		stream: func(_ context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
			if req.Messages[len(req.Messages)-1].Text == "Well?" {
				if err := emit(llm.Piece{Text: "Water "}); err != nil {
					return llm.Response{}, err
				}
			}
			<-held
			return llm.Response{}, errBroke
		},
	}})
	d.charging(t, 1_000_000_000, func() {})

	const rounds, atOnce = 5, 4
	told := map[string]bool{} // and whether they were read
	var mu sync.Mutex
	var all sync.WaitGroup
	for range atOnce {
		var sessions []Session
		for range rounds {
			sessions = append(sessions, s.session(t, ann))
		}
		all.Go(func() {
			for _, session := range sessions {
				turn, err := d.tutor.Send(as(t, ann), ann, session.ID, Prompt{Content: "Well?"})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				told[turn.Answer.ID] = true
				mu.Unlock()
				read, err := d.tutor.Follow(as(t, ann), ann, session.ID, turn.Answer.ID, "")
				if err == nil {
					err = read(as(t, ann), func(e Event) error {
						if e.Name == "delta" {
							return errEnough
						}
						return nil
					})
				}
				if !errors.Is(err, errEnough) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	// Behind the last one nothing is written any more that would keep it.
	last, err := d.tutor.Send(as(t, ann), ann, s.session(t, ann).ID, Prompt{Content: "And now?"})
	server.Crash()
	if err != nil {
		t.Fatal(err)
	}
	told[last.Answer.ID] = false
	server.Start()
	close(held)
	for range 3000 { // what was open is broken
		if _, err = s.pool.Exec(ctx, `SELECT 1`); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for answer, wasRead := range told {
		if n := s.number(t, `SELECT count(*) FROM messages a JOIN messages q ON q.message_id = a.parent_id WHERE a.message_id = $1`, answer); n != 1 {
			t.Errorf("the answer %s is gone", answer)
		}
		if n := s.number(t, `SELECT count(*) FROM stream_events WHERE message_id = $1 AND data LIKE '%Water%'`, answer); wasRead && n != 1 {
			t.Errorf("what was read of the answer %s is gone", answer)
		}
	}
	if n := s.number(t, `SELECT count(*) FROM ledger`); n < int64(len(told)) {
		t.Errorf("%d reservations of %d are there", n, len(told))
	}
}
