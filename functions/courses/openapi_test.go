package courses

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/queue"
)

func TestEveryOperationIsDescribed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, o := range edgetest.Operations(r.api.OpenAPI()) {
		if lacks := edgetest.Described(o); lacks != "" {
			t.Error(lacks)
		}
		if o.Method != "GET" && !edgetest.Keyed(o) &&
			!strings.HasPrefix(o.Path, "/v1/jobs/") { // canceling and resuming are the same, however often
			t.Errorf("%s takes no Idempotency-Key", o.OperationID)
		}
	}
}

// What a link, an image or a prefetch can make a browser ask for changes nothing: it
// is never an operation for those who write.
func TestReadingIsNotWriting(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, o := range edgetest.Operations(r.api.OpenAPI()) {
		need, _ := o.Extensions["x-lectern-policy"].(map[string]string)
		if writes := need["scope"] == account.WriteCourses; need == nil || writes != (o.Method != "GET") {
			t.Errorf("%s %s is for %v", o.Method, o.Path, need)
		}
	}
}

// Every operation on something of another organization answers 404, tells nothing
// about it and changes nothing. A new route is covered by being there.
func TestOthersFindNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids := r.one()
	before := r.everything()
	checked := 0
	for _, o := range edgetest.Operations(r.api.OpenAPI()) {
		if !strings.Contains(o.Path, "{") {
			continue
		}
		path := edgetest.PathOf(o, ids)
		if strings.Contains(path, "{") {
			t.Fatalf("%s: no id for the path", o.Path)
		}
		body := edgetest.Sample{Schemas: r.api.OpenAPI().Components.Schemas}.ValidBody(o)
		for name, caller := range map[string]string{"stranger": "org_other", "nobody": "nonsense"} {
			want := map[string]int{"stranger": 404, "nobody": 401}[name]
			a := r.do(o.Method, path+edgetest.Required(o, "owl"), body, "Authorization", caller)
			if a.Code != want {
				t.Errorf("%s %s as %s: %d, want %d: %s", o.Method, o.Path, name, a.Code, want, a.Body)
			}
			for _, id := range ids {
				if strings.Contains(a.Body.String(), id) && !strings.Contains(path, id) {
					t.Errorf("%s tells the id %s", o.OperationID, id)
				}
			}
			checked++
		}
	}
	if checked < 40 {
		t.Errorf("only %d checks", checked)
	}
	if after := r.everything(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	if courses := edgetest.Into[edge.List[any]](r.do("GET", "/v1/courses", nil, "Authorization", "org_other")); len(courses.Items) != 0 {
		t.Error("a stranger lists courses")
	}
}

// Without its database every operation says so soon, and that it may come again.
func TestADeadDatabaseIsTold(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(t.Context(), "postgres://nobody@127.0.0.1:1/none", postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d := Deps{DB: db, Bucket: new(blob.Memory), Board: new(live.Memory), Gate: gate, StartRender: film.StartRender, StartRenders: film.StartRenders}
	d.Runner = &job.Runner{DB: db, Queue: new(queue.Memory), Board: d.Board}
	r := &rig{t: t, api: newAPI(d), Handler: New(d)}
	for _, o := range edgetest.Operations(r.api.OpenAPI()) {
		body := edgetest.Sample{Schemas: r.api.OpenAPI().Components.Schemas}.ValidBody(o)
		a := r.do(o.Method, o.Path+edgetest.Required(o, "owl"), body, "Idempotency-Key", "k")
		if a.Code != 503 || a.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d: %s", o.OperationID, a.Code, a.Body)
		}
	}
}

// everything is the state of all tables that requests can change.
func (r *rig) everything() string {
	r.t.Helper()
	var state strings.Builder
	for _, table := range []string{"courses", "modules", "lessons", "slides", "questions", "sources", "jobs", "job_steps", "videos", "deletions"} {
		var rows string
		err := r.db.QueryRow(r.t.Context(), `SELECT coalesce(jsonb_agg(t ORDER BY t::text), '[]')::text FROM `+table+` t`).Scan(&rows)
		if err != nil {
			r.t.Fatal(err)
		}
		state.WriteString(table + rows + "\n")
	}
	return state.String()
}

// Whatever is sent, the answer is one that the document declares, and never our fault.
func TestNoInputIsOurFault(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids := r.one()
	operations := edgetest.Operations(r.api.OpenAPI())
	reached := map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		for range 10 {
			outcome, gone := r.throw(rt, operations, ids)
			reached[outcome] = true
			if gone {
				ids = r.one() // something to go on with
			}
		}
	})
	if len(reached) < 40 {
		t.Errorf("only %d outcomes were reached: %v", len(reached), slices.Sorted(maps.Keys(reached)))
	}
}

// throw sends one request that is wrong somewhere. It tells the operation with the
// first digit of the status, and whether something was deleted.
func (r *rig) throw(rt *rapid.T, operations []*huma.Operation, ids map[string]string) (outcome string, gone bool) {
	o := rapid.SampledFrom(operations).Draw(rt, "operation")
	if o.OperationID == "watch-job" || strings.HasPrefix(o.OperationID, "delete-") && rapid.IntRange(0, 9).Draw(rt, "spare") > 0 {
		return "spared", false
	}
	g := edgetest.Sample{Schemas: r.api.OpenAPI().Components.Schemas, T: rt, Texts: plain}
	a := g.Throw(o, ids, r.do)
	return o.OperationID + " " + strconv.Itoa(a.Code)[:1], a.Code == 204
}

// plain are texts that are right in most fields.
var plain = []string{"Owls", "Barn owls fly by night.", "日本語", "e\u0301", "a\nb"}
