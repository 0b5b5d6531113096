package courses

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/source"
)

// rig is the handler on a real database and the ports' fakes.
type rig struct {
	http.Handler
	t      testing.TB
	db     *pgxpool.Pool
	bucket *blob.Memory
	board  *live.Memory
	queue  *queue.Memory
	runner *job.Runner
	api    *edge.API
	deps   Deps
}

var stranger = account.Principal{Organization: "org_other", User: "user_other", Role: account.Owner}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, db: pgtest.New(t), bucket: new(blob.Memory), board: new(live.Memory), queue: new(queue.Memory)}
	r.runner = &job.Runner{DB: r.db, Queue: r.queue, Board: r.board}
	_, err := r.db.Exec(t.Context(), `INSERT INTO organizations (organization_id, name) VALUES ('org_other', 'Other')`)
	if err != nil {
		t.Fatal(err)
	}
	// As in production: without a principal in the ctx the handler sees nothing at all.
	tenants := pgtest.As(t, r.db, postgres.Tenant)
	d := Deps{
		DB: tenants, Bucket: r.bucket, Board: r.board, Runner: &job.Runner{DB: tenants, Queue: r.queue, Board: r.board},
		Gate:        gate{},
		StartRender: film.StartRender, StartRenders: film.StartRenders,
	}
	r.deps = d
	r.api = newAPI(d)
	r.Handler = New(d)
	return r
}

// gate lets the local owner in, and a stranger who says so.
type gate struct{}

func (gate) Admit(q *http.Request, _ edge.Policy) (context.Context, error) {
	switch q.Header.Get("Authorization") {
	case "":
		return account.With(q.Context(), account.Local), nil
	case "org_other":
		return account.With(q.Context(), stranger), nil
	}
	return nil, fault.New(fault.Unauthenticated, "Sign in first.")
}

func (gate) Hold(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}

// answered is a response that has been read.
type answered struct {
	*httptest.ResponseRecorder
	t testing.TB
}

// do sends a request; body is marshalled unless it is a string, headers come in pairs.
func (r *rig) do(method, path string, body any, headers ...string) answered {
	r.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = bytes.NewBufferString(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			r.t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	q := httptest.NewRequest(method, path, reader)
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, q)
	return answered{w, r.t}
}

// want fails unless the status is this one.
func (a answered) want(status int) answered {
	a.t.Helper()
	if a.Code != status {
		a.t.Fatalf("status %d, want %d: %s", a.Code, status, a.Body)
	}
	return a
}

// into decodes the body.
func into[T any](a answered) T {
	a.t.Helper()
	var v T
	if err := json.Unmarshal(a.Body.Bytes(), &v); err != nil {
		a.t.Fatalf("%v: %s", err, a.Body)
	}
	return v
}

// course makes one with modules of lessons.
func (r *rig) course(modules, lessons int) course.Course {
	r.t.Helper()
	c := into[course.Course](r.do("POST", "/v1/courses", map[string]any{"title": "Birds"}).want(201))
	for range modules {
		m := into[course.Module](r.do("POST", "/v1/courses/"+c.ID+"/modules", map[string]any{"title": "Owls"}).want(201))
		for range lessons {
			r.do("POST", "/v1/modules/"+m.ID+"/lessons", map[string]any{"title": "Barn owl"}).want(201)
		}
	}
	return into[course.Course](r.do("GET", "/v1/courses/"+c.ID, nil).want(200))
}

// one is a course with one lesson that has a slide, a question and a job; ids by
// the names that paths use.
func (r *rig) one() map[string]string {
	c := r.course(1, 1)
	lesson := c.Modules[0].Lessons[0].ID
	slides := into[content[course.Slide]](r.do("PUT", "/v1/lessons/"+lesson+"/slides", map[string]any{"items": []any{pointsSlide("One")}}).want(200))
	r.do("PUT", "/v1/lessons/"+lesson+"/questions", map[string]any{"items": []any{
		map[string]any{"prompt": "Why?", "choices": []string{"a", "b"}, "key": 1},
	}}).want(200)
	j := into[struct{ Job job.Job }](r.do("POST", "/v1/courses/"+c.ID+"/generations", map[string]any{}).want(202)).Job
	src := into[struct{ Source source.Source }](r.do("POST", "/v1/courses/"+c.ID+"/sources", map[string]any{"name": "owls.md", "size": 3}).want(201)).Source
	return map[string]string{"source": src.ID, "course": c.ID, "module": c.Modules[0].ID, "lesson": lesson, "slide": slides.Items[0].ID, "job": j.ID}
}

func pointsSlide(title string) map[string]any {
	return map[string]any{
		"kind": "points", "title": title,
		"points":    []any{map[string]any{"text": "It hunts by ear."}},
		"narration": []any{map[string]any{"text": "It hunts by ear, in the dark.", "reveals": 1}},
	}
}
