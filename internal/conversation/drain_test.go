package conversation

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
)

// leave has an answer begin, and its process end alone: it waits for nothing.
func (d *desk) leave(t *testing.T, in Prompt, said string) (session, answer string) {
	t.Helper()
	spoken := make(chan struct{})
	ending := d.process(t, &scripted{stream: func(ctx context.Context, _ llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
		if err := emit(llm.Piece{Text: said}); err != nil {
			return llm.Response{}, err
		}
		close(spoken)
		<-ctx.Done()
		return llm.Response{}, llm.Interrupted(ctx.Err())
	}})
	ending.p.Alone = true
	session = d.on(t, ann, NewSession{}).ID
	turn, err := ending.Send(as(t, ann), ann, session, in)
	if err != nil {
		t.Fatal(err)
	}
	<-spoken
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	drained := make(chan struct{})
	go func() {
		ending.Drain(ctx)
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(time.Minute):
		t.Fatal("it waits")
	}
	return session, turn.Answer.ID
}

// Who ends alone waits for no answer: what there is of it is kept, all of it, and the
// next start goes on with it.
func TestDrainAlone(t *testing.T) {
	t.Parallel()
	d := newDesk(t, says(nil, " at night."))
	s, answer := d.leave(t, Prompt{Content: "When?"}, "Owls hunt")
	if m := hear(t, d.tutor, ann, s, answer, "").message(); m.State != Complete || m.Content != "Owls hunt at night." {
		t.Errorf("%+v", m)
	}
}

// away is a database whose first batches fail.
type away struct {
	postgres.Beginner
	batches atomic.Int64
}

func (a *away) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if a.batches.Add(-1) >= 0 {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		return a.Beginner.SendBatch(gone, b)
	}
	return a.Beginner.SendBatch(ctx, b)
}

// An answer is gone on with also when the database is away for a moment just then.
func TestTakenUpLater(t *testing.T) {
	t.Parallel()
	d := newDesk(t, says(nil))
	s, answer := d.leave(t, Prompt{Content: "When?"}, "Owls hunt")
	f := &away{Beginner: d.db}
	f.batches.Store(2)
	next := d.process(t, says(nil, " at night."))
	next.p.DB = f
	if m := hear(t, next, ann, s, answer, "").message(); m.State != Complete || m.Content != "Owls hunt at night." {
		t.Errorf("%+v", m)
	}
	next.mu.Lock()
	defer next.mu.Unlock()
	if f.batches.Load() >= 0 || len(next.making) != 0 {
		t.Errorf("%d batches would still fail, %d answers are not forgotten", f.batches.Load(), len(next.making))
	}
}
