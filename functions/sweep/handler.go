// Package sweep is the function that the scheduler calls every few minutes: it
// makes good what was lost on the way, and removes what nobody needs any more.
package sweep

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/mail"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/source"
)

// Bucket is what sweep looks into and cleans.
type Bucket interface {
	blob.Store
	blob.Lister
}

// Deps are the parts that sweep works with.
type Deps struct {
	Callers edge.Callers // who may call this function
	Pool    *pgxpool.Pool
	Queue   queue.Queue
	Board   live.Board
	Bucket  Bucket
	Ledger  *budget.Ledger
	Mail    mail.Sender // to owners whose budget runs out
	// SegmentAge is how long a film's segments are kept for the next render; 0: 30 days.
	SegmentAge time.Duration
}

// Report counts what one sweep made good.
type Report struct {
	Busy      bool   `json:"busy"`       // another sweep was at work, and nothing was done
	Lost      int    `json:"lost"`       // steps whose task had vanished: sent again
	Stuck     int    `json:"stuck"`      // steps whose worker had vanished: freed
	Unheard   int    `json:"unheard"`    // films whose event had not come: published, or made again
	Uploads   int    `json:"uploads"`    // uploads whose event had not come: noted
	Abandoned int    `json:"abandoned"`  // uploads that never came: failed
	Retired   int    `json:"retired"`    // videos that nobody will see again
	Removed   int    `json:"removed"`    // objects of what was deleted or retired
	Segments  int    `json:"segments"`   // old segments
	Answers   int    `json:"answers"`    // answers remembered for Idempotency-Key, out of date
	TakenDown int    `json:"taken_down"` // progress documents of jobs that ended long ago
	Expired   int    `json:"expired"`    // reservations that nobody settled: counted in full
	Resumed   int    `json:"resumed"`    // jobs that waited for their budget
	Letters   int    `json:"letters"`    // to owners whose budget runs out
	Accounts  int    `json:"accounts"`   // sign-ins, links and throttles that are over
	Cut       int    `json:"cut"`        // the tutor's answers that nobody makes any more: kept as interrupted
	Events    int    `json:"events"`     // logged events of answers that ended long ago
	Error     string `json:"error,omitempty"`
}

// Survey is how all work stands after a sweep. Operators are told of it, by the log; the
// scheduler is not.
type Survey struct {
	job.Survey
	BudgetsUsedUp int `json:"budgets_used_up"` // organizations with less than a twentieth of their month's budget left
}

// New serves the scheduler's POST: one sweep, answered with its Report.
func New(d Deps) http.Handler {
	s := sweeper{Deps: d, runner: &job.Runner{DB: d.Pool, Queue: d.Queue, Board: d.Board, Bill: budget.Bill}}
	s.SegmentAge = cmp.Or(d.SegmentAge, 30*24*time.Hour)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", s.serve)
	return edge.HTTP(edge.Private(d.Callers, mux), edge.Options{})
}

type sweeper struct {
	Deps
	runner *job.Runner
}

func (s sweeper) serve(w http.ResponseWriter, r *http.Request) {
	edge.LongLived(w)
	status := http.StatusOK
	report, survey, err := s.alone(r.Context())
	if err != nil {
		edge.Failed(r.Context(), err)
		report.Error = fault.Message(err)
		status = edge.ProblemOf(r.Context(), err).Status
	}
	slog.InfoContext(r.Context(), "swept", "report", report, "survey", survey)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(report) // the scheduler may be gone
}

// turn is the advisory lock of the sweep that is at work.
const turn = 7_732_901

// alone sweeps unless another sweep is at work. Two would do no harm, only the
// same work twice.
func (s sweeper) alone(ctx context.Context) (report Report, survey *Survey, err error) {
	conn, err := s.Pool.Acquire(ctx)
	if err != nil {
		return Report{}, nil, postgres.Fault(err)
	}
	defer conn.Release()
	var mine bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, turn).Scan(&mine); err != nil {
		return Report{}, nil, postgres.Fault(err)
	}
	if !mine {
		return Report{Busy: true}, nil, nil
	}
	defer func() {
		// The lock belongs to the connection; one that could not let go of it must not be used again.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if _, err := conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, turn); err != nil {
			_ = conn.Conn().Close(ctx)
		}
	}()
	report, err1 := s.sweep(ctx)
	survey, err2 := s.look(ctx)
	return report, survey, errors.Join(err1, err2)
}

// look makes the survey. None is not one of an idle house, which metrics would take it for.
func (s sweeper) look(ctx context.Context) (*Survey, error) {
	work, err1 := s.runner.Look(ctx)
	usedUp, err2 := s.Ledger.UsedUp(ctx)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return &Survey{work, usedUp}, nil
}

// sweep does each part, whatever becomes of the others.
func (s sweeper) sweep(ctx context.Context) (Report, error) {
	var r Report
	swept, err1 := s.runner.Sweep(ctx, func(ctx context.Context, step job.Step) (bool, error) {
		return film.Unheard(ctx, s.runner, s.Bucket, step)
	})
	r.Lost, r.Stuck, r.Unheard = swept.Lost, swept.Stuck, swept.Unheard
	var err2, err3, err4, err5, err6, err7, err8, err9, err10, err11 error
	r.Uploads, r.Abandoned, err2 = source.Overdue(ctx, s.runner, s.Bucket)
	r.Retired, err3 = course.Retire(ctx, s.Pool)
	r.Removed, err4 = course.Clean(ctx, s.Pool, s.Bucket)
	r.Segments, err5 = film.Expire(ctx, s.Bucket, time.Now().Add(-s.SegmentAge))
	r.Answers, err6 = forget(ctx, s.Pool)
	r.TakenDown, err7 = s.runner.TakeDown(ctx)
	r.Expired, err8 = s.Ledger.Expire(ctx)
	r.Resumed, err9 = s.runner.ResumeWaiting(ctx, s.Ledger.Holds)
	r.Accounts, err10 = account.Expire(ctx, s.Pool)
	r.Letters, err11 = s.Ledger.Tell(ctx, s.Mail)
	answers, err12 := relay.Sweep(ctx, s.Pool)
	r.Cut, r.Events = answers.Interrupted, answers.Events
	return r, errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9, err10, err11, err12)
}

// forget removes answers that were remembered for a day (see functions/courses).
func forget(ctx context.Context, q postgres.Querier) (int, error) {
	tag, err := q.Exec(ctx, `
		DELETE FROM idempotency
		WHERE (organization_id, user_id, operation, key) IN (
			SELECT organization_id, user_id, operation, key FROM idempotency
			WHERE created_at < now() - interval '1 day'
			LIMIT 1000)`)
	return int(tag.RowsAffected()), postgres.Fault(err)
}
