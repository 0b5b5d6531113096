package ingest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/functions/ingest"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/source"
	"lectern.dev/lectern/internal/source/extract"
	"lectern.dev/lectern/internal/source/sample"
)

func TestMain(m *testing.M) {
	extract.ChildMain()
	os.Exit(m.Run())
}

// house is the function with the ports' fakes, on a database of its own that holds one course.
type house struct {
	http.Handler
	db     *pgxpool.Pool
	bucket *blob.Memory
	runner *job.Runner
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{db: pgtest.New(t), bucket: &blob.Memory{}}
	tasks, board := &queue.Memory{}, &live.Memory{}
	db := pgtest.As(t, h.db, postgres.System)
	h.runner = &job.Runner{DB: db, Queue: tasks, Board: board}
	h.Handler = ingest.New(ingest.Deps{
		Callers: edgetest.Anyone,
		DB:      db, Queue: tasks, Board: board, Bucket: h.bucket, TempDir: t.TempDir(),
		Limits: extract.Limits{Wall: 10 * time.Minute, Silence: 10 * time.Minute, Memory: 1 << 30},
	})
	_, err := h.db.Exec(t.Context(), `
		INSERT INTO courses (course_id, organization_id, title, created_by)
		VALUES ('crs_1', $1, 'Networks', $2)`, account.Local.Organization, account.Local.User)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// upload creates a source, puts its file into the bucket, tells so, and gives the task.
func (h *house) upload(t *testing.T, name string, content []byte) (id string, task job.Ref) {
	t.Helper()
	var s source.Source
	err := postgres.InTx(t.Context(), h.db, func(tx pgx.Tx) (err error) {
		s, err = source.Create(t.Context(), tx, account.Local.Organization, "crs_1", source.NewSource{Name: name, Size: int64(len(content))})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := h.bucket.Write(t.Context(), s.Object, strings.NewReader(string(content)), blob.WriteOptions{ContentType: s.ContentType})
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Uploaded(t.Context(), h.runner, info); err != nil {
		t.Fatal(err)
	}
	jobs, err := job.ForCourse(t.Context(), h.db, account.Local.Organization, "crs_1", 1)
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	return s.ID, job.Ref{Job: jobs[0].ID, Step: "ingest"}
}

// deliver posts the task as the queue does and gives the status.
func (h *house) deliver(t *testing.T, ctx context.Context, task job.Ref) int {
	t.Helper()
	body, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(string(body))))
	return w.Code
}

func (h *house) source(t *testing.T, id string) source.Source {
	t.Helper()
	s, err := source.Get(t.Context(), h.db, account.Local.Organization, id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheSampleBecomesPassages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id, task := h.upload(t, sample.Name, sample.Document)
	for range 2 { // a task that comes again finds its work done
		if code := h.deliver(t, t.Context(), task); code != http.StatusOK {
			t.Fatalf("status %d", code)
		}
	}
	s := h.source(t, id)
	if s.State != source.Ready || s.Title != "Home networks explained" || s.Language != "en" {
		t.Errorf("the source: %+v", s)
	}
	hits, err := source.Search(t.Context(), h.db, account.Local.Organization, "crs_1", "Does a wall of concrete stop the signal?", 3)
	if err != nil || len(hits) == 0 || hits[0].Heading[len(hits[0].Heading)-1] != "Placing an access point" {
		t.Errorf("hits: %+v, %v", hits, err)
	}
	kinds := map[extract.Kind]int{}
	passages, err := source.Library{DB: h.db}.Passages(t.Context(), account.Local.Organization, "crs_1", []source.Part{{Source: id, To: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range passages {
		kinds[p.Kind]++
	}
	if kinds[extract.Table] < 5 || kinds[extract.Code] < 4 || kinds[extract.Prose] < 40 {
		t.Errorf("passages: %v", kinds)
	}
}

// The queue gets 200 for a document that can never be read: it would only fail again.
func TestABadDocumentIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id, task := h.upload(t, "report.pdf", []byte("%PDF-1.7\nthat is all"))
	if code := h.deliver(t, t.Context(), task); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	if s := h.source(t, id); s.State != source.Failed || !strings.Contains(s.Reason, "damaged") {
		t.Errorf("%s: %q", s.State, s.Reason)
	}
	j, err := job.Get(t.Context(), h.db, account.Local.Organization, task.Job)
	if err != nil || j.State != job.Failed || !strings.Contains(j.Error, "damaged") {
		t.Errorf("the job: %s, %q, %v", j.State, j.Error, err)
	}
}

func TestAFailureThatMayPassIsTriedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id, task := h.upload(t, sample.Name, sample.Document)
	h.bucket.Fail(fault.New(fault.Unavailable, "The bucket is down."))
	if code := h.deliver(t, t.Context(), task); code != http.StatusServiceUnavailable {
		t.Errorf("status %d", code)
	}
	h.bucket.Fail(nil)
	ended, end := context.WithCancel(t.Context())
	end()
	if code := h.deliver(t, ended, task); code == http.StatusOK {
		t.Error("a delivery that was over before it began is told to be done")
	}
	if code := h.deliver(t, t.Context(), task); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	if s := h.source(t, id); s.State != source.Ready {
		t.Errorf("%s: %q", s.State, s.Reason)
	}
}

func TestAStrangeTaskIsDropped(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if code := h.deliver(t, t.Context(), job.Ref{Job: "job_none", Step: "ingest"}); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
}
