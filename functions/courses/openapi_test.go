package courses

import (
	"encoding/json"
	"maps"
	"net/url"
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
		if o.Summary == "" || o.Description == "" || o.OperationID == "" {
			t.Errorf("%s %s has no summary or description", o.Method, o.Path)
		}
		if o.Method != "GET" && !slices.ContainsFunc(o.Parameters, func(p *huma.Param) bool { return p.Name == "Idempotency-Key" }) &&
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
		path := o.Path
		for name, id := range ids {
			path = strings.ReplaceAll(path, "{"+name+"}", id)
		}
		if strings.Contains(path, "{") {
			t.Fatalf("%s: no id for the path", o.Path)
		}
		var body any
		if schema := edgetest.BodySchema(o); schema != nil {
			body = edgetest.Sample{Schemas: r.api.OpenAPI().Components.Schemas}.Valid(schema)
		}
		for name, caller := range map[string]string{"stranger": "org_other", "nobody": "nonsense"} {
			want := map[string]int{"stranger": 404, "nobody": 401}[name]
			a := r.do(o.Method, path+query(o), body, "Authorization", caller)
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
		var body any
		if schema := edgetest.BodySchema(o); schema != nil {
			body = edgetest.Sample{Schemas: r.api.OpenAPI().Components.Schemas}.Valid(schema)
		}
		a := r.do(o.Method, o.Path+query(o), body, "Idempotency-Key", "k")
		if a.Code != 503 || a.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d: %s", o.OperationID, a.Code, a.Body)
		}
	}
}

// query gives an operation its required query parameters.
func query(o *huma.Operation) string {
	q := url.Values{}
	for _, p := range o.Parameters {
		if p.In == "query" && p.Required {
			q.Set(p.Name, "owl")
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
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
	path := g.Path(o, ids)
	values := url.Values{}
	var headers []string
	for _, p := range o.Parameters {
		text := rapid.SampledFrom([]string{"", "1", "0", "-1", "1e99", "x", "\x00", "\xff", "*", `"1"`, "99999999999999999999", strings.Repeat("y", 250)}).Draw(rt, p.Name)
		switch p.In {
		case "query":
			values.Set(p.Name, text)
		case "header":
			headers = append(headers, p.Name, strings.Map(printable, text))
		}
	}
	body := g.Body(o)
	a := r.do(o.Method, path+"?"+values.Encode(), body, headers...)
	if _, declared := o.Responses[strconv.Itoa(a.Code)]; !declared && a.Code != 404 && a.Code != 307 { // a path that is no longer this operation's
		rt.Fatalf("%s %s with %v %.500v: %d is not declared: %.500s", o.Method, path, headers, body, a.Code, a.Body)
	}
	if a.Code >= 500 {
		rt.Fatalf("%s %s with %v %.2000v: %d %s", o.Method, path, headers, body, a.Code, a.Body)
	}
	if a.Code >= 400 {
		var p edge.Problem
		if err := json.Unmarshal(a.Body.Bytes(), &p); err != nil || p.Detail == "" {
			rt.Fatalf("%s %s: not a problem: %s", o.Method, path, a.Body)
		}
	}
	return o.OperationID + " " + strconv.Itoa(a.Code)[:1], a.Code == 204
}

func printable(c rune) rune {
	if c < ' ' || c > '~' {
		return -1
	}
	return c
}

// plain are texts that are right in most fields.
var plain = []string{"Owls", "Barn owls fly by night.", "日本語", "e\u0301", "a\nb"}
