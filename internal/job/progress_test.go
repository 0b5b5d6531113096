package job_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
)

// log is a board that remembers when it was written.
type log struct {
	live.Memory
	mu     sync.Mutex
	writes []written
}

type written struct {
	at  time.Time
	job job.Job
}

func (l *log) Publish(ctx context.Context, d live.Document) error {
	var j job.Job
	if err := json.Unmarshal(d.Body, &j); err != nil {
		return err
	}
	l.mu.Lock()
	l.writes = append(l.writes, written{time.Now(), j})
	l.mu.Unlock()
	return l.Memory.Publish(ctx, d)
}

// Five steps work at once and report all the time: the board is written once a
// second, and what was reported is seen within a second or so.
func TestProgressOfParallelSteps(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	board := &log{}
	h.Board, h.Beat = board, 100*time.Millisecond
	const parallel, units = 5, 40
	var steps []job.NewStep
	for i := range parallel {
		steps = append(steps, job.NewStep{Name: fmt.Sprintf("write/%d", i), Kind: "write", Units: units})
	}
	j := h.start(t, "crs_1", steps...)
	begin := time.Now()
	var all sync.WaitGroup
	for _, s := range steps {
		all.Go(func() {
			err := h.Execute(t.Context(), body(j, s.Name), func(ctx context.Context, run *job.Run) (job.Result, error) {
				tick := time.NewTicker(100 * time.Millisecond)
				defer tick.Stop()
				for n := range int64(units) {
					run.Progress(n, units, fmt.Sprintf("%s is at %d", run.Step.Name, n))
					<-tick.C
				}
				return job.Result{}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	took := time.Since(begin)

	board.mu.Lock()
	defer board.mu.Unlock()
	last := board.writes[len(board.writes)-1]
	if last.job.State != job.Succeeded || last.job.Done != parallel*units || last.job.SecondsLeft != nil {
		t.Errorf("at the end the board shows %+v", last.job)
	}
	running := board.writes[:len(board.writes)-1]
	if first := running[0]; first.job.State != job.Running || first.at.Sub(begin) > time.Second {
		t.Errorf("after %v it shows that the job is %s", first.at.Sub(begin), first.job.State)
	}
	for i, w := range running {
		if i == 0 {
			continue
		}
		// The database counts the second; the writes themselves may jitter.
		if pause := w.at.Sub(running[i-1].at); pause < 800*time.Millisecond || pause > 2*time.Second {
			t.Errorf("write %d came %v after the one before", i, pause)
		}
		if w.job.Done <= running[i-1].job.Done || w.job.Version <= running[i-1].job.Version || w.job.Message == "" {
			t.Errorf("write %d shows %+v", i, w.job)
		}
		want := float64(parallel) * w.at.Sub(begin).Seconds() * 10
		if d := float64(w.job.Done); d < want-parallel*15 || d > want+parallel*5 {
			t.Errorf("write %d shows %v units done, %v were reported", i, d, want)
		}
		if left := w.job.SecondsLeft; w.job.Done*20 >= w.job.Total && left != nil {
			if truth := took.Seconds() - w.at.Sub(begin).Seconds(); *left < truth*0.6-1 || *left > truth*1.7+1 {
				t.Errorf("write %d tells %.1f s left, and it took %.1f s", i, *left, truth)
			}
		} else if w.job.Done*20 >= w.job.Total {
			t.Errorf("write %d tells no time", i)
		}
	}
	if n := len(running); n < 3 {
		t.Errorf("%d writes in %v", n, took)
	}
}

// Steps that end one after the other within a second are shown once, and the rest
// with the end.
func TestQuickStepsAreNotShownOneByOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	board := &log{}
	h.Board = board
	var steps []job.NewStep
	for i := range 20 {
		steps = append(steps, step(fmt.Sprintf("write/%d", i)))
	}
	j := h.start(t, "crs_1", steps...)
	begin := time.Now()
	for _, s := range steps {
		if err := h.Execute(t.Context(), body(j, s.Name), write); err != nil {
			t.Fatal(err)
		}
	}
	if most := 2 + int(time.Since(begin)/time.Second); len(board.writes) > most+1 {
		t.Errorf("%d writes, want at most %d", len(board.writes), most+1)
	}
}

// The pace of a resumed job counts from the resume: what was done before costs no
// time now.
func TestTimeLeftAfterAResume(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", job.NewStep{Name: "a", Kind: "write", Units: 80}, job.NewStep{Name: "b", Kind: "write", Units: 20})
	if err := h.Execute(t.Context(), body(j, "a"), write); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Cancel(t.Context(), organization, j.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Resume(t.Context(), organization, j.ID); err != nil {
		t.Fatal(err)
	}
	err := h.Execute(t.Context(), body(j, "b"), func(ctx context.Context, run *job.Run) (job.Result, error) {
		if left := h.get(t, j).SecondsLeft; left != nil {
			t.Errorf("%.1f s left, before anything was done", *left)
		}
		h.exec(t, `UPDATE jobs SET started_at = now() - interval '10 seconds' WHERE job_id = $1`, j.ID)
		run.Progress(5, 20, "A quarter")
		eventually(t, "a time left", func() bool { return h.get(t, j).SecondsLeft != nil })
		if left := *h.get(t, j).SecondsLeft; left < 29 || left > 45 {
			t.Errorf("a quarter took ten seconds, and %.1f s are left", left)
		}
		return job.Result{}, nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A step that ends before the first heartbeat has said what it does all the same,
// and a job that has ended says nothing.
func TestQuickStepsAreHeard(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Lease, h.Beat = time.Hour, time.Hour
	j := h.start(t, "crs_1", step("a"), step("b"))
	quick := func(name string) job.Job {
		err := h.Execute(t.Context(), body(j, name), func(_ context.Context, run *job.Run) (job.Result, error) {
			run.Progress(0, 1, "Doing "+name)
			return job.Result{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return h.get(t, j)
	}
	if got := quick("a"); got.Message != "Doing a" {
		t.Errorf("after the first: %q", got.Message)
	}
	if got := quick("b"); got.Message != "" || got.State != job.Succeeded {
		t.Errorf("in the end: %s, %q", got.State, got.Message)
	}
}

// A board that is down holds nothing up.
func TestBoardThatIsDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.board.Fail(errBroken)
	j := h.start(t, "crs_1", step("write"))
	if err := h.Execute(t.Context(), body(j, "write"), write); err != nil {
		t.Error(err)
	}
	if got := h.get(t, j).State; got != job.Succeeded {
		t.Errorf("the job is %s", got)
	}
}

// Commit does not hold a connection while the work thinks, and heartbeats go on
// while it holds the step.
func TestCommitWhileBeating(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Lease, h.Beat = 400*time.Millisecond, 20*time.Millisecond
	j := h.start(t, "crs_1", step("write"))
	err := h.Execute(t.Context(), body(j, "write"), func(ctx context.Context, run *job.Run) (job.Result, error) {
		for i := range 20 {
			if err := run.Commit(ctx, func(tx pgx.Tx) error { return effect(ctx, tx, "part") }); err != nil {
				return job.Result{}, fmt.Errorf("part %d: %w", i, err)
			}
		}
		return job.Result{}, nil
	})
	if err != nil {
		t.Error(err)
	}
	if got := h.effects(t)["part"]; got != 20 {
		t.Errorf("%d parts", got)
	}
}
