package courses

import (
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/access/accesstest"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
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

// gate lets the local owner in, and a stranger who says so.
var gate = accesstest.Names{"": account.Local, "org_other": {Organization: "org_other", User: "user_other", Role: account.Owner}}

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
		Gate:        gate,
		StartRender: film.StartRender, StartRenders: film.StartRenders,
	}
	r.deps = d
	r.api = newAPI(d)
	r.Handler = New(d)
	return r
}

// do sends a request; body is marshalled unless it is a string, headers come in pairs.
func (r *rig) do(method, path string, body any, headers ...string) edgetest.Answer {
	r.t.Helper()
	return edgetest.Send(r.t, r, edgetest.Request(r.t, method, path, body, headers...))
}

// course makes one with modules of lessons.
func (r *rig) course(modules, lessons int) course.Course {
	r.t.Helper()
	c := edgetest.Into[course.Course](r.do("POST", "/v1/courses", map[string]any{"title": "Birds"}).Want(201))
	for range modules {
		m := edgetest.Into[course.Module](r.do("POST", "/v1/courses/"+c.ID+"/modules", map[string]any{"title": "Owls"}).Want(201))
		for range lessons {
			r.do("POST", "/v1/modules/"+m.ID+"/lessons", map[string]any{"title": "Barn owl"}).Want(201)
		}
	}
	return edgetest.Into[course.Course](r.do("GET", "/v1/courses/"+c.ID, nil).Want(200))
}

// one is a course with one lesson that has a slide, a question and a job; ids by
// the names that paths use.
func (r *rig) one() map[string]string {
	c := r.course(1, 1)
	lesson := c.Modules[0].Lessons[0].ID
	slides := edgetest.Into[content[course.Slide]](r.do("PUT", "/v1/lessons/"+lesson+"/slides", map[string]any{"items": []any{pointsSlide("One")}}).Want(200))
	r.do("PUT", "/v1/lessons/"+lesson+"/questions", map[string]any{"items": []any{
		map[string]any{"prompt": "Why?", "choices": []string{"a", "b"}, "key": 1},
	}}).Want(200)
	j := edgetest.Into[struct{ Job job.Job }](r.do("POST", "/v1/courses/"+c.ID+"/generations", map[string]any{}).Want(202)).Job
	src := edgetest.Into[struct{ Source source.Source }](r.do("POST", "/v1/courses/"+c.ID+"/sources", map[string]any{"name": "owls.md", "size": 3}).Want(201)).Source
	return map[string]string{"source": src.ID, "course": c.ID, "module": c.Modules[0].ID, "lesson": lesson, "slide": slides.Items[0].ID, "job": j.ID}
}

func pointsSlide(title string) map[string]any {
	return map[string]any{
		"kind": "points", "title": title,
		"points":    []any{map[string]any{"text": "It hunts by ear."}},
		"narration": []any{map[string]any{"text": "It hunts by ear, in the dark.", "reveals": 1}},
	}
}
