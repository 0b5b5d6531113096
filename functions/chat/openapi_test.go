package chat

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
)

// foreign tells whether an operation speaks as OpenAI's do.
func foreign(o *huma.Operation) bool {
	return o.Path == "/v1/chat/completions" || strings.HasPrefix(o.Path, "/v1/models")
}

func TestEveryOperationIsDescribed(t *testing.T) {
	t.Parallel()
	once := []string{"send-message", "replay-checkpoint", "stop-answer", "create-completion"} // messages have ids, a replay is another answer each time
	for _, o := range edgetest.Operations(newServer(Deps{Gate: askers}).api().OpenAPI()) {
		if lacks := edgetest.Described(o); lacks != "" {
			t.Error(lacks)
		}
		need, _ := o.Extensions["x-lectern-policy"].(map[string]string)
		if need["role"] == "" {
			t.Errorf("%s is for %v", o.OperationID, need)
		}
		if ok := o.Responses["200"]; ok != nil && ok.Content["text/event-stream"] != nil && o.Responses["201"] != nil {
			t.Errorf("%s streams, and is said to answer 201, too", o.OperationID)
		}
		if o.Method != "GET" && !edgetest.Keyed(o) && !slices.Contains(once, o.OperationID) {
			t.Errorf("%s takes no Idempotency-Key", o.OperationID)
		}
	}
}

// F21: without its database every operation says so soon, and that it may come again.
func TestADeadDatabaseIsTold(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(t.Context(), "postgres://nobody@127.0.0.1:1/none", postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d := Deps{DB: db, System: db, Relay: relay.New(relay.Options{DB: db}), Model: &llm.Fake{}, Gate: askers, Limits: Limits{RequestsPerMinutePerUser: 1}}
	for _, limited := range []bool{true, false} {
		if !limited {
			d.Limits = Limits{}
		}
		s := newServer(d)
		r := &rig{t: t, Handler: s.api()}
		for _, o := range edgetest.Operations(s.api().OpenAPI()) {
			if foreign(o) {
				continue
			}
			body := edgetest.Sample{Schemas: s.api().OpenAPI().Components.Schemas}.ValidBody(o)
			if o.OperationID == "send-message" {
				body = map[string]any{"content": "When?"}
			}
			if o.OperationID == "create-task" {
				body = map[string]any{"task": "socratic", "title": "x", "instructions": "x"}
			}
			path := edgetest.PathOf(o, map[string]string{"session": "ses_1", "message": "msg_1", "checkpoint": "ckp_1", "memory": "mem_1"})
			a := r.do(o.Method, path+edgetest.Required(o, "crs_1"), body)
			if a.Code != 503 || a.Header().Get("Retry-After") == "" {
				if o.OperationID == "list-tasks" && a.Code == 200 {
					continue
				}
				t.Errorf("%s: %d: %s", o.OperationID, a.Code, a.Body)
			}
		}
	}
}

// Whatever is sent, the answer is one that the document declares, and never our fault.
func TestNoInputIsOurFault(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids := r.some()
	operations := edgetest.Operations(r.api().OpenAPI())
	schemas := r.api().OpenAPI().Components.Schemas
	reached := map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		for range 10 {
			o := rapid.SampledFrom(operations).Draw(rt, "operation")
			if foreign(o) {
				continue
			}
			g := edgetest.Sample{
				Schemas: schemas, T: rt, Texts: []string{"Owls", "tutor", "root", "日本語", "a\nb", ids["answer"], ids["message"]},
				Parameters: []string{ids["answer"] + ".1", ids["answer"] + ".999"},
			}
			a := g.Throw(o, ids, r.do)
			reached[o.OperationID+" "+strconv.Itoa(a.Code)[:1]] = true
			if o.OperationID == "delete-session" && a.Code == 204 {
				ids = r.some()
			}
		}
	})
	if len(reached) < 25 {
		t.Errorf("only %d outcomes were reached: %v", len(reached), slices.Sorted(maps.Keys(reached)))
	}
}

// some are a session with an answer, its checkpoint, and what is remembered; ids by the
// names that paths use.
func (r *rig) some() map[string]string {
	r.t.Helper()
	ses := r.session()
	m := last(r.t, r.send(ses, map[string]any{"content": "When?"}))
	c := edgetest.Into[edge.List[conversation.Checkpoint]](r.do("GET", "/v1/chat/sessions/"+ses+"/checkpoints", nil).Want(200)).Items[0]
	return map[string]string{"session": ses, "message": m.Parent, "answer": m.ID, "checkpoint": c.ID, "memory": "mem_none"}
}

// F81: a session is not there for anybody but who began it: colleagues, programs of the
// same organisation, and others. Nothing of it is told, and nothing changes.
func TestOthersFindNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids := r.some()
	rows := func() string {
		return r.find(`SELECT (SELECT jsonb_agg(s ORDER BY session_id) FROM sessions s)::text || (SELECT jsonb_agg(m ORDER BY ordinal) FROM messages m)::text`)
	}
	before, tried := rows(), 0
	for _, o := range edgetest.Operations(r.api().OpenAPI()) {
		if !strings.Contains(o.Path, "{session}") {
			continue
		}
		path := edgetest.PathOf(o, ids)
		var body any
		switch o.OperationID {
		case "send-message":
			body = map[string]any{"content": "When?"}
		case "rename-session":
			body = map[string]any{"title": "x"}
		}
		for _, as := range []string{"learner", "program", "stranger"} {
			for _, last := range []string{"", ids["answer"] + ".0"} {
				a := r.do(o.Method, path, body, "Authorization", as, "Last-Event-ID", last)
				if a.Code != 404 || strings.Contains(a.Body.String(), "Owls") {
					t.Errorf("%s: %s gets %d: %s", o.OperationID, as, a.Code, a.Body)
				}
				tried++
			}
		}
	}
	if after := rows(); after != before || tried < 60 {
		t.Errorf("after %d tries:\n%s\n%s", tried, before, after)
	}
}
