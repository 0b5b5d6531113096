package sweep_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/functions/sweep"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/course/coursetest"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/logtest"
	"lectern.dev/lectern/internal/mail"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/queue"
)

const organization = "org_local"

// limits are what an organization may spend.
var limits = budget.Limits{Soft: 500, Hard: 1000}

// house is sweep with the ports' fakes, on a database that holds one lesson.
type house struct {
	http.Handler
	db             *pgxpool.Pool
	queue          *queue.Memory
	bucket         *blob.Memory
	board          *live.Memory
	runner         *job.Runner
	course, lesson string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{db: pgtest.New(t), queue: &queue.Memory{}, bucket: &blob.Memory{}, board: &live.Memory{}}
	db := pgtest.As(t, h.db, postgres.System)
	h.Handler = sweep.New(sweep.Deps{Callers: edgetest.Anyone, Pool: db, Ledger: &budget.Ledger{DB: db, Defaults: limits}, Mail: mail.Log{}, Queue: h.queue, Board: h.board, Bucket: h.bucket})
	h.runner = &job.Runner{DB: db, Queue: h.queue, Board: h.board}
	h.course, h.lesson = coursetest.Lesson(t, h.db, organization)
	return h
}

func (h *house) do(t *testing.T, fn func(context.Context, pgx.Tx) error) {
	t.Helper()
	if err := postgres.InTx(t.Context(), h.db, func(tx pgx.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func (h *house) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := h.db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func (h *house) value(t *testing.T, sql string, args ...any) (v string) {
	t.Helper()
	if err := h.db.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (h *house) put(t *testing.T, key string, metadata map[string]string) {
	t.Helper()
	_, err := h.bucket.Write(t.Context(), key, strings.NewReader("content"), blob.WriteOptions{Metadata: metadata})
	if err != nil {
		t.Fatal(err)
	}
}

// keys gives what is in the bucket, joined.
func (h *house) keys(t *testing.T) string {
	t.Helper()
	objects, err := h.bucket.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, o := range objects {
		keys = append(keys, o.Key)
	}
	return strings.Join(keys, " ")
}

// sweep calls the function as the scheduler does.
func (h *house) sweep(t *testing.T) (report sweep.Report, status int) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &report); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return report, w.Code
}

func (h *house) want(t *testing.T, want sweep.Report) {
	t.Helper()
	got, status := h.sweep(t)
	if diff := cmp.Diff(want, got); diff != "" || status != http.StatusOK {
		t.Errorf("status %d, report (-want +got):\n%s", status, diff)
	}
}

// start makes a job of one render step.
func (h *house) start(t *testing.T, content string) job.Ref {
	t.Helper()
	var j job.Job
	h.do(t, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		j, _, err = job.Start(ctx, tx, job.NewJob{
			Organization: organization, User: account.Local.User, Kind: job.Render, Subject: h.lesson, CourseID: h.course, Content: content,
			Steps: []job.NewStep{{Name: "render", Kind: "render", Subject: h.lesson, Content: content}},
		})
		return err
	})
	return job.Ref{Job: j.ID, Step: "render"}
}

// deliver executes a render step up to its delivery; its film is put into the
// bucket when there is one.
func (h *house) deliver(t *testing.T, ref job.Ref, content string, there bool) {
	t.Helper()
	body, err := json.Marshal(ref)
	if err != nil {
		t.Fatal(err)
	}
	err = h.runner.Execute(t.Context(), body, func(ctx context.Context, run *job.Run) (job.Result, error) {
		s := run.Step
		folder := film.Folder(s, content)
		err := run.Commit(ctx, func(tx pgx.Tx) error {
			return course.SaveManifest(ctx, tx, organization, course.NewVideo{
				Lesson: h.lesson, Content: content, LessonVersion: 1, Attempt: s.Attempt, Folder: folder,
			})
		})
		if there {
			h.put(t, folder+course.VideoFile, map[string]string{
				"organization": s.Organization, "job": s.Job, "step": s.Name, "attempt": strconv.FormatInt(s.Attempt, 10),
			})
		}
		return job.Result{Delivered: true}, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingToDo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start(t, "c1") // its task may still be on the way
	h.want(t, sweep.Report{})
}

func TestLostTaskIsSentAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start(t, "c1")
	h.exec(t, `UPDATE job_steps SET changed_at = now() - interval '2 minutes'`)
	h.want(t, sweep.Report{Lost: 1})
	if n := len(h.queue.Waiting()); n != 1 {
		t.Errorf("%d tasks", n)
	}
	h.want(t, sweep.Report{})
}

func TestStuckStepIsFreed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ref := h.start(t, "c1")
	h.exec(t, `UPDATE job_steps SET state = 'running', attempt = 1, lease_until = now() - interval '10 seconds'`)
	h.want(t, sweep.Report{Stuck: 1})
	if got := h.value(t, `SELECT state || failures FROM job_steps WHERE job_id = $1`, ref.Job); got != "queued1" {
		t.Errorf("the step is %s", got)
	}
}

// F11: the event never arrives.
func TestFilmWithoutEventIsPublished(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ref := h.start(t, "c1")
	h.deliver(t, ref, "c1", true)
	h.want(t, sweep.Report{}) // the event may still be on the way
	h.exec(t, `UPDATE job_steps SET lease_until = now() - interval '1 second' WHERE state = 'delivered'`)
	h.want(t, sweep.Report{Unheard: 1})
	if got := h.value(t, `SELECT v.state || ' ' || j.state FROM videos v, jobs j`); got != "ready succeeded" {
		t.Errorf("video and job are %s", got)
	}
	h.want(t, sweep.Report{})
}

func TestFilmThatIsNotThereIsMadeAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ref := h.start(t, "c1")
	h.deliver(t, ref, "c1", false)
	h.exec(t, `UPDATE job_steps SET lease_until = now() - interval '1 second' WHERE state = 'delivered'`)
	h.want(t, sweep.Report{Unheard: 1})
	if got := h.value(t, `SELECT state FROM job_steps`); got != "queued" || len(h.queue.Waiting()) != 1 {
		t.Errorf("the step is %s, %d tasks", got, len(h.queue.Waiting()))
	}
	h.deliver(t, ref, "c1", true)
	h.exec(t, `UPDATE job_steps SET lease_until = now() - interval '1 second' WHERE state = 'delivered'`)
	h.want(t, sweep.Report{Unheard: 1})
	if got := h.value(t, `SELECT v.state || ' ' || j.state FROM videos v, jobs j`); got != "ready succeeded" {
		t.Errorf("video and job are %s", got)
	}
}

func TestUploads(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	upload := func(age string, there bool) string {
		source := id.New(id.Source)
		key := "sources/" + source + "/upload"
		h.exec(t, `
			INSERT INTO sources (source_id, course_id, organization_id, name, content_type, size, state, object, created_at)
			VALUES ($1, $2, $3, 'notes.md', 'text/markdown', 7, 'uploading', $4, now() - $5::interval)`,
			source, h.course, organization, key, age)
		if there {
			h.put(t, key, nil)
		}
		return source
	}
	unheard, young, late, abandoned := upload("10 minutes", true), upload("1 minute", true), upload("2 hours", false), upload("25 hours", false)
	h.want(t, sweep.Report{Uploads: 1, Abandoned: 1})
	for source, want := range map[string]string{unheard: "queued", young: "uploading", late: "uploading", abandoned: "failed"} {
		if got := h.value(t, `SELECT state FROM sources WHERE source_id = $1`, source); got != want {
			t.Errorf("a source is %s, want %s", got, want)
		}
	}
	if n := len(h.queue.Waiting()); n != 1 {
		t.Errorf("%d tasks", n)
	}
}

func TestDeletedCourseLeavesNoObjects(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ref := h.start(t, "c1")
	h.deliver(t, ref, "c1", true)
	h.put(t, "segments/keep.mp4", nil)
	h.do(t, func(ctx context.Context, tx pgx.Tx) error {
		return course.Delete(ctx, tx, organization, h.course, nil)
	})
	h.want(t, sweep.Report{Removed: 1})
	if got := h.keys(t); got != "segments/keep.mp4" {
		t.Errorf("left: %s", got)
	}
}

func TestOldVideosAndSegmentsGo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	video := func(content, state string, version int, age string) {
		h.exec(t, `
			INSERT INTO videos (lesson_id, content, course_id, organization_id, state, folder, generation, lesson_version, updated_at)
			VALUES ($1, $2, $3, $4, $5, 'videos/' || $2 || '/', CASE WHEN $5 = 'ready' THEN 1 ELSE 0 END, $6, now() - $7::interval)`,
			h.lesson, content, h.course, organization, state, version, age)
		h.put(t, "videos/"+content+"/video.mp4", nil)
	}
	video("replaced", "ready", 1, "3 days")
	video("replacement", "ready", 2, "2 days")
	video("fresh", "ready", 3, "1 hour")
	video("failed", "failed", 3, "2 days")
	video("abandoned", "rendering", 3, "2 days")
	video("current", "rendering", 3, "1 hour")
	h.put(t, "segments/a.mp4", nil)
	h.want(t, sweep.Report{Retired: 3, Removed: 3})
	want := "segments/a.mp4 videos/current/video.mp4 videos/fresh/video.mp4 videos/replacement/video.mp4"
	if got := h.keys(t); got != want {
		t.Errorf("left: %s\nwant: %s", got, want)
	}

	impatient := sweep.New(sweep.Deps{Callers: edgetest.Anyone, Pool: h.db, Ledger: &budget.Ledger{DB: h.db, Defaults: limits}, Mail: mail.Log{}, Queue: h.queue, Board: h.board, Bucket: h.bucket, SegmentAge: time.Nanosecond})
	h.Handler = impatient
	for range 1000 { // each draws a sixteenth
		if got, _ := h.sweep(t); got.Segments == 1 && !strings.Contains(h.keys(t), "segments/") {
			return
		}
	}
	t.Errorf("a segment is never old: %s", h.keys(t))
}

func TestWhatIsOutOfDateIsForgotten(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.exec(t, `
		INSERT INTO idempotency (organization_id, user_id, operation, key, request, created_at)
		VALUES ($1, 'u', 'o', 'old', '', now() - interval '25 hours'), ($1, 'u', 'o', 'new', '', now())`, organization)
	ref := h.start(t, "c1")
	j, err := h.runner.Cancel(t.Context(), organization, ref.Job)
	if err != nil {
		t.Fatal(err)
	}
	h.want(t, sweep.Report{Answers: 1})
	if _, shown := h.board.Shown(j.ID); !shown {
		t.Fatal("the job was not shown")
	}
	h.exec(t, `UPDATE jobs SET finished_at = now() - interval '25 hours'`)
	h.want(t, sweep.Report{TakenDown: 1})
	if _, shown := h.board.Shown(j.ID); shown {
		t.Error("the job is still shown")
	}
	h.want(t, sweep.Report{})
}

func TestTwoSweepsDoNotMeet(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start(t, "c1")
	h.exec(t, `UPDATE job_steps SET changed_at = now() - interval '2 minutes'`)
	other, err := h.db.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), `SELECT pg_advisory_lock($1)`, sweep.Turn); err != nil {
		t.Fatal(err)
	}
	h.want(t, sweep.Report{Busy: true})
	if _, err := other.Exec(t.Context(), `SELECT pg_advisory_unlock($1)`, sweep.Turn); err != nil {
		t.Fatal(err)
	}
	other.Release()
	h.want(t, sweep.Report{Lost: 1})
}

// One part that fails keeps no other from its work, and the scheduler learns of it.
func TestFailureOfOnePart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start(t, "c1")
	h.exec(t, `UPDATE job_steps SET changed_at = now() - interval '2 minutes'`)
	h.bucket.Fail(fault.New(fault.Unavailable, "The bucket is down."))
	report, status := h.sweep(t)
	if status != http.StatusServiceUnavailable || report.Lost != 1 || report.Error != "The bucket is down." {
		t.Errorf("status %d, report %+v", status, report)
	}
}

// An answer that its process gave away, and that nobody went on with, is kept as interrupted;
// the log of one that ended long ago goes, the answer stays.
func TestAbandonedAnswersEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.exec(t, `INSERT INTO tasks (organization_id, task_id, task, version, built_in, title, instructions) VALUES ('org_local', 'tutor@1', 'tutor', 1, true, 'T', 'x')`)
	h.exec(t, `INSERT INTO sessions (session_id, organization_id, user_id, task) VALUES ('ses_1', 'org_local', 'user_local', 'tutor'), ('ses_2', 'org_local', 'user_local', 'tutor')`)
	h.exec(t, `
		INSERT INTO messages (session_id, message_id, organization_id, role, task_id, state, handed_over_at)
		VALUES ('ses_1', 'msg_1', 'org_local', 'assistant', 'tutor@1', 'streaming', now() - interval '5 minutes')`)
	h.exec(t, `
		INSERT INTO messages (session_id, message_id, organization_id, role, task_id, state, content, events, finished_at)
		VALUES ('ses_2', 'msg_00000000000000000000002a', 'org_local', 'assistant', 'tutor@1', 'complete', 'Owls', 1, now() - interval '30 days')`)
	h.exec(t, `
		INSERT INTO stream_events (message_id, seq, organization_id, kind, data)
		VALUES ('msg_1', 1, 'org_local', 'delta', '{"text":"Owls "}'), ('msg_1', 2, 'org_local', 'delta', '{"text":"hunt"}'), ('msg_00000000000000000000002a', 1, 'org_local', 'delta', '{"text":"Owls"}')`)
	h.want(t, sweep.Report{Cut: 1, Events: 1})
	if got := h.value(t, `SELECT state || ': ' || content FROM messages WHERE message_id = 'msg_1'`); got != "interrupted: Owls hunt" {
		t.Errorf("it is %s", got)
	}
	if got := h.value(t, `SELECT state || ': ' || content FROM messages WHERE message_id = 'msg_00000000000000000000002a'`); got != "complete: Owls" {
		t.Errorf("the other is %s", got)
	}
	h.want(t, sweep.Report{})
}

// The one line about a sweep has what it did and how all work stands: alerts are made of it.
func TestASweepIsLogged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start(t, "c1")
	h.exec(t, `UPDATE job_steps SET changed_at = now() - interval '2 minutes', due_at = now() - interval '2 hours'`)
	h.exec(t, `INSERT INTO ledger_months (organization_id, month, spent_micros, tokens_micros) VALUES ($1, date_trunc('month', now() AT TIME ZONE 'UTC')::date, 950, 950)`, organization)
	run := func() (logtest.Line, int) {
		ctx, log := logtest.Under(t.Context())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil))
		return log.One(t, "swept"), w.Code
	}
	line, _ := run()
	for path, want := range map[string]float64{
		"report.lost": 1, "report.stuck": 0, "survey.open_jobs": 1, "survey.queued_steps": 1, "survey.stuck_jobs": 1, "survey.budgets_used_up": 1,
	} {
		if got := line.Number(path); got == nil || *got != want {
			t.Errorf("%s is not %v in %v", path, want, line)
		}
	}
	if oldest := line.Number("survey.oldest_queued_seconds"); oldest == nil || *oldest < 7200 {
		t.Errorf("its task was sent again, but it waits for two hours: %v", line)
	}
	h.exec(t, `UPDATE ledger_months SET spent_micros = 949, tokens_micros = 949`)
	h.bucket.Fail(fault.New(fault.Unavailable, "The bucket is down."))
	failed, status := run()
	if status != http.StatusServiceUnavailable || failed.Text("report.error") == "" || *failed.Number("survey.budgets_used_up") != 0 {
		t.Errorf("status %d, %v", status, failed)
	}
	logtest.Bound(t, line, failed)

	other, err := h.db.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Release()
	if _, err := other.Exec(t.Context(), `SELECT pg_advisory_lock($1)`, sweep.Turn); err != nil {
		t.Fatal(err)
	}
	if busy, _ := run(); busy.Number("survey.queued_steps") != nil {
		t.Errorf("one that found another at work says how all work stands: %v", busy)
	}
	if _, err := other.Exec(t.Context(), `SELECT pg_advisory_unlock($1)`, sweep.Turn); err != nil {
		t.Fatal(err)
	}
}
