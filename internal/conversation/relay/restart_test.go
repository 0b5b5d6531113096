package relay_test

import (
	"context"
	"testing"
	"time"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// F20: the database goes down as in a power failure and comes back. No answer is
// lost: everybody has time to say that they live, and what was added meanwhile is
// logged then.
func TestDatabaseRestarts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := pgtest.Durable(t)
	db := server.Pool
	h := &house{db}
	h.exec(t, `INSERT INTO tasks (organization_id, task_id, task, version, built_in, title, instructions) VALUES ('org_local', 'tutor@1', 'tutor', 1, true, 'x', 'x')`)

	way := &process{Beginner: h.pool(t)}
	other := &process{Beginner: h.pool(t)}
	// Who reads it doubts for ten seconds: a machine may take long to start a database.
	here, there := h.relay(t, relay.Options{DB: way, Lease: time.Second}), h.relay(t, relay.Options{DB: other, Lease: time.Minute})
	a := h.answer(t, here)
	live := here.Begin(a, 0, make(causes, 1).cancel)
	must(t, live.Text("One, "))
	_, err := live.Flush(ctx)
	must(t, err)
	var seen transcript
	ended := make(chan error, 1)
	go func() { ended <- there.Follow(ctx, a, 0, seen.give) }()
	server.Crash()
	must(t, live.Text("two"))
	time.Sleep(1200 * time.Millisecond) // longer than the lease
	way.freeze()                        // the others are back before
	server.Start()
	looks := other.looks.Load()
	eventually(t, "who reads it has looked again", func() bool { return other.looks.Load() > looks+1 })
	way.thaw()
	n, err := live.Flush(ctx)
	must(t, err)
	var finished bool
	eventually(t, "the end is stored", func() bool {
		_, err := db.Exec(ctx, `SELECT 1`)
		return err == nil
	})
	finished = h.finish(t, here, a, "complete", "One, two", n)
	live.End()
	must(t, <-ended)
	if got := h.get(t, a); !finished || got.State != "complete" || seen.String() != h.logged(t, a) {
		t.Errorf("%+v, seen: %s", got, seen.String())
	}
}
