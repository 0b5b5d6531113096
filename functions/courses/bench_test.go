package courses

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/queue"
)

// queries counts what goes to the database.
type queries struct{ n atomic.Int64 }

func (q *queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	q.n.Add(1)
	return ctx
}

func (q *queries) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	q.n.Add(int64(d.Batch.Len()))
	return ctx
}

func (q *queries) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (q *queries) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (q *queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// counted is a handler whose queries are counted, with a lesson that has a video.
func counted(t testing.TB) (h http.Handler, count *queries, ids map[string]string) {
	count = new(queries)
	url := pgtest.URL(t)
	open := func(o postgres.Options) *pgxpool.Pool {
		db, err := postgres.Open(context.Background(), url, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return db
	}
	db := open(postgres.Options{Tracer: count})
	r := &rig{t: t, db: open(postgres.Options{Role: postgres.Owner}), bucket: new(blob.Memory), board: new(live.Memory), queue: new(queue.Memory)}
	r.runner = &job.Runner{DB: db, Queue: r.queue, Board: r.board}
	r.Handler = New(Deps{DB: db, Bucket: r.bucket, Board: r.board, Runner: r.runner, Gate: gate})
	c := r.course(3, 5)
	lesson := c.Modules[0].Lessons[0].ID
	r.do("PUT", "/v1/lessons/"+lesson+"/slides", map[string]any{"items": []any{pointsSlide("A"), pointsSlide("B")}}).Want(200)
	r.publish(lesson)
	_, err := r.db.Exec(t.Context(), `INSERT INTO jobs (job_id, organization_id, kind, subject, course_id, content, state, created_by)
		VALUES ('job_1', $1, 'render', $2, $3, 'c', 'queued', 'user_local')`, account.Local.Organization, lesson, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	return r.Handler, count, map[string]string{
		"course": "/v1/courses/" + c.ID, "lesson": "/v1/lessons/" + lesson, "slides": "/v1/lessons/" + lesson + "/slides",
		"questions": "/v1/lessons/" + lesson + "/questions", "job": "/v1/jobs/job_1", "nothing": "/healthz",
	}
}

func TestAReadTakesTwoQueriesAtMost(t *testing.T) {
	t.Parallel()
	h, count, paths := counted(t)
	for name, path := range paths {
		before := count.n.Load()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if n := count.n.Load() - before; w.Code != 200 || n > 2 {
			t.Errorf("%s: status %d, %d queries", name, w.Code, n)
		}
	}
}

// BenchmarkGet reads by id over real connections, two for each processor.
// CPU-µs/op is what the process spends, user and system, the benchmark's own thin
// client included; Postgres is another process. The log is written, to nowhere. The read of
// nothing is what connection, client and edge cost on the machine as it is now.
func BenchmarkGet(b *testing.B) {
	slog.SetDefault(edge.Logger(io.Discard, slog.LevelInfo, "bench"))
	h, count, paths := counted(b)
	server := httptest.NewServer(h)
	defer server.Close()
	for _, name := range []string{"nothing", "course", "lesson", "slides", "job"} {
		b.Run(name, func(b *testing.B) {
			dial(b, server.Listener.Addr().String(), paths[name]).get(b)
			before, queries := cpu(b), count.n.Load()
			b.SetParallelism(2)
			b.RunParallel(func(pb *testing.PB) {
				client := dial(b, server.Listener.Addr().String(), paths[name])
				for pb.Next() {
					client.get(b)
				}
			})
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/1000/float64(b.N), "CPU-µs/op")
			b.ReportMetric(float64(count.n.Load()-queries)/float64(b.N), "queries/op")
		})
	}
}

// cpu is what the process has spent so far.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
