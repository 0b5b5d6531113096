package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/queue"
)

const organization = "org_local"

// house is a runner on a database of its own, with the ports' fakes.
type house struct {
	*job.Runner
	pool  *pgxpool.Pool
	queue *queue.Memory
	board *live.Memory
	// deafBoard is one that nobody looks at.
	deafBoard live.Memory
}

// newHouse beats faster than production, so that tests need not wait; a machine that
// stalls must not lose a step, so it leases for longer.
func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{pool: pgtest.New(t), queue: &queue.Memory{}, board: &live.Memory{}}
	h.Runner = &job.Runner{DB: pgtest.As(t, h.pool, postgres.System), Queue: h.queue, Board: h.board, Lease: time.Minute, Beat: 50 * time.Millisecond}
	return h
}

// start makes a job of steps and dispatches it.
func (h *house) start(t *testing.T, subject string, steps ...job.NewStep) job.Job {
	t.Helper()
	j, _ := h.open(t, newJob(job.Generate, subject, "", steps...))
	if err := h.Dispatch(t.Context(), organization, j.ID); err != nil {
		t.Fatal(err)
	}
	return j
}

// open is job.Start in a transaction of its own.
func (h *house) open(t *testing.T, n job.NewJob) (job.Job, bool) {
	t.Helper()
	j, created, err := h.tryOpen(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return j, created
}

func (h *house) tryOpen(ctx context.Context, n job.NewJob) (j job.Job, created bool, err error) {
	err = postgres.InTx(ctx, h.pool, func(tx pgx.Tx) error {
		j, created, err = job.Start(ctx, tx, n)
		return err
	})
	return j, created, err
}

func newJob(kind job.Kind, subject, content string, steps ...job.NewStep) job.NewJob {
	return job.NewJob{
		Organization: organization, User: account.Local.User, Kind: kind,
		Subject: subject, CourseID: "crs_1", Content: content, Message: "Waiting", Steps: steps,
	}
}

func step(name string, needs ...string) job.NewStep {
	return job.NewStep{Name: name, Kind: "write", Needs: needs}
}

func body(j job.Job, name string) []byte {
	raw, err := json.Marshal(job.Ref{Job: j.ID, Step: name})
	if err != nil {
		panic(err)
	}
	return raw
}

func (h *house) get(t *testing.T, j job.Job) job.Job {
	t.Helper()
	got, err := job.Get(t.Context(), h.pool, organization, j.ID)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// stepState reads "state/attempt/failures" of a step.
func (h *house) stepState(t *testing.T, j job.Job, name string) string {
	t.Helper()
	var state string
	var attempt, failures int64
	err := h.pool.QueryRow(context.WithoutCancel(t.Context()),
		`SELECT state, attempt, failures FROM job_steps WHERE organization_id = $1 AND job_id = $2 AND name = $3`,
		organization, j.ID, name).Scan(&state, &attempt, &failures)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s/%d/%d", state, attempt, failures)
}

// exec changes rows behind the runner's back: time that passed, a worker that died.
func (h *house) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := h.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// effects counts what work did, as rows that only a commit makes visible.
func (h *house) effects(t *testing.T) map[string]int {
	t.Helper()
	rows, err := h.pool.Query(t.Context(), `SELECT title, count(*) FROM courses GROUP BY title`)
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]int{}
	var title string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&title, &n}, func() error {
		counted[title] = n
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return counted
}

var serial struct {
	sync.Mutex
	n int
}

// effect writes one row that effects counts.
func effect(ctx context.Context, tx pgx.Tx, name string) error {
	serial.Lock()
	serial.n++
	id := fmt.Sprintf("crs_%06d", serial.n)
	serial.Unlock()
	_, err := tx.Exec(ctx, `
		INSERT INTO courses (course_id, organization_id, title, created_by)
		VALUES ($1, $2, $3, $4)`, id, organization, name, account.Local.User)
	return err
}

// write is work whose effect is one row, written with the step's end.
func write(ctx context.Context, run *job.Run) (job.Result, error) {
	return job.Result{
		Output: run.Step.Name,
		Apply:  func(ctx context.Context, tx pgx.Tx) error { return effect(ctx, tx, run.Step.Name) },
	}, nil
}

// eventually polls until ok, for at most a minute.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func unavailable(err error) bool { return fault.Is(err, fault.Unavailable) }

var errBroken = errors.New("broken")

func TestAJobRunsThroughItsSteps(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	j := h.start(t, "crs_1", step("plan"))
	deliver := func(ctx context.Context, task queue.Task) error {
		return h.Execute(ctx, task.Body, func(ctx context.Context, run *job.Run) (job.Result, error) {
			result, err := write(ctx, run)
			if run.Step.Name == "plan" {
				result.Next = []job.NewStep{step("write/1"), step("write/2"), step("review", "write/1", "write/2")}
			}
			if run.Step.Name == "review" {
				var output string
				if err := job.Output(ctx, h.pool, organization, job.Ref{Job: j.ID, Step: "write/2"}, &output); err != nil || output != "write/2" {
					t.Errorf("output of write/2 is %q, error %v", output, err)
				}
			}
			return result, err
		})
	}
	if err := h.queue.Drain(t.Context(), deliver); err != nil {
		t.Fatal(err)
	}
	got := h.get(t, j)
	if got.State != job.Succeeded || got.Done != 4 || got.Total != 4 || got.Error != "" || got.FinishedAt == nil {
		t.Fatalf("the job ended as %+v", got)
	}
	shown, ok := h.board.Shown(j.ID)
	if !ok || shown.Version != got.Version {
		t.Fatalf("the board shows version %d of %d", shown.Version, got.Version)
	}
}
