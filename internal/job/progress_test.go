package job_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
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

// shows waits until so many units were shown as done.
func (l *log) shows(ctx context.Context, done int64) error {
	for {
		l.mu.Lock()
		there := slices.ContainsFunc(l.writes, func(w written) bool { return w.job.Done >= done })
		l.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d units are not shown: %w", done, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Five steps work at once and report: all that was reported is seen, nothing else is,
// and the board is written once a second.
func TestProgressOfParallelSteps(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	board := &log{}
	h.Board, h.Beat = board, 100*time.Millisecond
	const parallel, units, reports, each = 5, 40, 4, 9
	var steps []job.NewStep
	for i := range parallel {
		steps = append(steps, job.NewStep{Name: fmt.Sprintf("write/%d", i), Kind: "write", Units: units})
	}
	j := h.start(t, "crs_1", steps...)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	begin := time.Now()
	var all sync.WaitGroup
	for _, s := range steps {
		all.Go(func() {
			err := h.Execute(ctx, body(j, s.Name), func(ctx context.Context, run *job.Run) (job.Result, error) {
				for n := range int64(reports) { // nobody goes on before all were seen
					run.Progress((n+1)*each, units, fmt.Sprintf("%s is at %d", run.Step.Name, n))
					if err := board.shows(ctx, parallel*(n+1)*each); err != nil {
						return job.Result{}, err
					}
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
	// Two workers may publish what they were told in another order.
	slices.SortFunc(board.writes, func(a, b written) int { return cmp.Compare(a.job.Version, b.job.Version) })
	last := board.writes[len(board.writes)-1]
	if last.job.State != job.Succeeded || last.job.Done != parallel*units || last.job.SecondsLeft != nil {
		t.Errorf("at the end the board shows %+v", last.job)
	}
	running := board.writes[:len(board.writes)-1]
	seen := int64(0) // reports of all steps
	for i, w := range running {
		if w.job.State != job.Running || w.job.Message == "" && i > 0 {
			t.Errorf("write %d shows %+v", i, w.job)
		}
		if i > 0 && (w.job.Done < running[i-1].job.Done || w.job.Version <= running[i-1].job.Version) {
			t.Errorf("write %d shows %+v behind %+v", i, w.job, running[i-1].job)
		}
		if seen < reports && (w.job.Done%each != 0 || w.job.Done > parallel*each*(seen+1)) {
			t.Errorf("write %d shows %d units done, %d were reported", i, w.job.Done, parallel*each*(seen+1))
		}
		seen = w.job.Done / (parallel * each) // behind the last report the steps end, one by one
		if w.job.Done*20 < w.job.Total {
			continue
		}
		// The database counts the second, and begins to when the first step does.
		rest := float64(w.job.Total-w.job.Done) / float64(w.job.Done)
		if left := w.job.SecondsLeft; left == nil || *left < rest*float64(i) || *left > rest*w.at.Sub(begin).Seconds() {
			t.Errorf("write %d after %v: %+v", i, w.at.Sub(begin), w.job)
		}
	}
	if n := len(running); n < reports || n > 1+int(took/time.Second) {
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
		since := time.Now()
		h.exec(t, `UPDATE jobs SET started_at = now() - interval '10 seconds' WHERE job_id = $1`, j.ID)
		run.Progress(5, 20, "A quarter")
		eventually(t, "a time left", func() bool { return h.get(t, j).SecondsLeft != nil })
		if left := *h.get(t, j).SecondsLeft; left < 30 || left > 30+3*time.Since(since).Seconds() {
			t.Errorf("a quarter took ten seconds and a moment, and %.1f s are left", left)
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
	h.Beat = 20 * time.Millisecond
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
