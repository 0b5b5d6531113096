package chat

import (
	"slices"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
)

// The contract: an answer is start, deltas, done; each has an id; the row has all of it.
func TestAnAnswerStreams(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ses := r.session()
	a := r.do("POST", "/v1/chat/sessions/"+ses+"/messages", map[string]any{"content": "When do owls hunt?"}).Want(200)
	if kind := a.Header().Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("the content type is %s", kind)
	}
	all := told(t, a.Body)
	if all[0].name != "start" || all[len(all)-1].name != "done" || text(t, all) != "Owls hunt at night." {
		t.Fatalf("%+v", all)
	}
	ids := map[string]bool{}
	for _, e := range all {
		ids[e.id] = true
	}
	if len(ids) != len(all) {
		t.Errorf("ids repeat: %+v", all)
	}
	started := edgetest.Decode[conversation.Started](t, all[0].data)
	if started.Session != ses || started.Message.State != conversation.Streaming || started.Message.Role != conversation.Assistant {
		t.Errorf("started: %+v", started)
	}
	done := edgetest.Decode[conversation.Done](t, all[len(all)-1].data)
	if m := done.Message; m.ID != started.Message.ID || m.State != conversation.Complete || m.Content != "Owls hunt at night." || done.Model != "scripted-1" || done.Usage == nil || done.Usage.Output != 10 {
		t.Errorf("done: %+v", done)
	}
	if done.Message.TTFB == nil {
		t.Error("the time to the first byte is not in the row")
	}
	rows := edgetest.Into[edge.List[conversation.Message]](r.do("GET", "/v1/chat/sessions/"+ses+"/messages", nil).Want(200)).Items
	if len(rows) != 2 || rows[0].Role != conversation.User || rows[0].Content != "When do owls hunt?" || rows[1].ID != done.Message.ID || rows[1].Parent != rows[0].ID {
		t.Errorf("rows: %+v", rows)
	}
	one := edgetest.Into[conversation.Message](r.do("GET", "/v1/chat/sessions/"+ses+"/messages/"+done.Message.ID, nil).Want(200))
	if one.Content != done.Message.Content {
		t.Errorf("the row: %+v", one)
	}
}

// Who comes late reads the same bytes; who has seen the end is told that nothing comes.
func TestAnAnswerIsToldAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ses := r.session()
	at := "/v1/chat/sessions/" + ses + "/stream"
	r.do("GET", at, nil).Want(204)
	all := r.send(ses, map[string]any{"content": "When?"})
	r.do("GET", at, nil).Want(204)
	for i, e := range all {
		a := r.do("GET", at, nil, "Last-Event-ID", e.id)
		if i == len(all)-1 {
			a.Want(204)
			continue
		}
		if rest := told(t, a.Want(200).Body); !slices.Equal(rest, all[i+1:]) {
			t.Errorf("from behind %s: %+v, want %+v", e.id, rest, all[i+1:])
		}
	}
	for _, wrong := range []string{"x", "0", "msg_x", all[0].id + "9999999999999999999", strings.Repeat("9", 101)} {
		if a := r.do("GET", at, nil, "Last-Event-ID", wrong); a.Code != 422 && a.Code != 404 {
			t.Errorf("from behind %q: %d", wrong, a.Code)
		}
	}
}

// The same message twice is the same message; another text under its id is a Conflict.
func TestAMessageSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ses := r.session()
	first := r.send(ses, map[string]any{"id": "mine-1", "content": "When?"})
	if again := r.send(ses, map[string]any{"id": "mine-1", "content": "When?"}); !slices.Equal(first, again) {
		t.Errorf("%+v\n%+v", first, again)
	}
	r.do("POST", "/v1/chat/sessions/"+ses+"/messages", map[string]any{"id": "mine-1", "content": "Where?"}).Want(409)
	if n := r.model.asked; n != 1 {
		t.Errorf("the model was asked %d times", n)
	}
}

// Another answer is a branch, an interrupted one is gone on with, and checkpoints are
// listed, read, replayed and forked.
func TestBranchesAndCheckpoints(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ses := r.session()
	at := "/v1/chat/sessions/" + ses
	first := last(t, r.send(ses, map[string]any{"content": "When?"}))
	second := last(t, r.send(ses, map[string]any{"parent": first.Parent}))
	if second.Parent != first.Parent || second.ID == first.ID {
		t.Errorf("another answer: %+v", second)
	}
	beginning := last(t, r.send(ses, map[string]any{"content": "Anew", "parent": conversation.Root}))
	if q := edgetest.Into[conversation.Message](r.do("GET", at+"/messages/"+beginning.Parent, nil).Want(200)); q.Parent != "" {
		t.Errorf("a new beginning: %+v", q)
	}
	checkpoints := edgetest.Into[edge.List[conversation.Checkpoint]](r.do("GET", at+"/checkpoints", nil).Want(200)).Items
	if len(checkpoints) != 3 || checkpoints[0].Message != first.ID {
		t.Fatalf("%+v", checkpoints)
	}
	c := at + "/checkpoints/" + checkpoints[0].ID
	if s := edgetest.Into[conversation.Snapshot](r.do("GET", c, nil).Want(200)); s.Checkpoint.ID != checkpoints[0].ID || len(s.Messages) != 1 {
		t.Errorf("%+v", s)
	}
	if again := last(t, told(t, r.do("POST", c+"/replays", nil).Want(200).Body)); again.Parent != first.Parent || again.TaskID != first.TaskID {
		t.Errorf("replayed: %+v", again)
	}
	forked := r.do("POST", c+"/forks", map[string]any{"title": "Anew"}, "Idempotency-Key", "k").Want(201)
	fork := edgetest.Into[conversation.Session](forked)
	if fork.ForkedFrom != checkpoints[0].ID || fork.Title != "Anew" || forked.Header().Get("Location") != "/v1/chat/sessions/"+fork.ID {
		t.Errorf("%+v", fork)
	}
	if twice := edgetest.Into[conversation.Session](r.do("POST", c+"/forks", map[string]any{"title": "Anew"}, "Idempotency-Key", "k").Want(201)); twice.ID != fork.ID {
		t.Error("forked twice under one key")
	}
	r.do("POST", c+"/forks", nil).Want(201)
	if rows := edgetest.Into[edge.List[conversation.Message]](r.do("GET", "/v1/chat/sessions/"+fork.ID+"/messages", nil).Want(200)).Items; len(rows) != 2 {
		t.Errorf("the fork begins with %+v", rows)
	}
}

func TestSessionsAreListedNamedAndDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var ids []string
	for range 3 {
		ids = append(ids, r.session("Authorization", "learner"))
	}
	page := edgetest.Into[edge.List[conversation.Session]](r.do("GET", "/v1/chat/sessions?limit=2", nil, "Authorization", "learner").Want(200))
	rest := edgetest.Into[edge.List[conversation.Session]](r.do("GET", "/v1/chat/sessions?limit=2&cursor="+page.NextCursor, nil, "Authorization", "learner").Want(200))
	if len(page.Items) != 2 || len(rest.Items) != 1 || page.Items[0].ID != ids[2] || rest.NextCursor != "" {
		t.Errorf("%+v, then %+v", page, rest)
	}
	at := "/v1/chat/sessions/" + ids[0]
	if s := edgetest.Into[conversation.Session](r.do("PATCH", at, map[string]any{"title": "Owls"}, "Authorization", "learner").Want(200)); s.Title != "Owls" || s.Task != conversation.DefaultTask {
		t.Errorf("%+v", s)
	}
	r.do("DELETE", at, nil, "Authorization", "learner").Want(204)
	r.do("GET", at, nil, "Authorization", "learner").Want(404)
	one, two := r.do("POST", "/v1/chat/sessions", map[string]any{"task": "explain"}, "Idempotency-Key", "k"), r.do("POST", "/v1/chat/sessions", map[string]any{"task": "explain"}, "Idempotency-Key", "k")
	if a, b := edgetest.Into[conversation.Session](one.Want(201)), edgetest.Into[conversation.Session](two.Want(201)); a.ID != b.ID || a.Task != "explain" {
		t.Errorf("%+v, then %+v", a, b)
	}
	r.do("POST", "/v1/chat/sessions", map[string]any{"task": "juggle"}).Want(422)
	r.do("POST", "/v1/chat/sessions", map[string]any{"course": "crs_none"}).Want(404)
}

func TestTasks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	tasks := edgetest.Into[edge.List[conversation.Task]](r.do("GET", "/v1/chat/tasks", nil).Want(200)).Items
	for _, name := range []string{"tutor", "explain", "quiz-me", "summarise"} {
		if !slices.ContainsFunc(tasks, func(k conversation.Task) bool { return k.Name == name && k.BuiltIn && k.Instructions != "" }) {
			t.Errorf("%s is not among %+v", name, tasks)
		}
	}
	own := map[string]any{"task": "socratic", "title": "Socratic", "instructions": "Answer with questions."}
	if k := edgetest.Into[conversation.Task](r.do("POST", "/v1/chat/tasks", own).Want(201)); k.ID != "socratic@1" || k.BuiltIn {
		t.Errorf("%+v", k)
	}
	if k := edgetest.Into[conversation.Task](r.do("POST", "/v1/chat/tasks", own).Want(201)); k.ID != "socratic@2" {
		t.Errorf("%+v", k)
	}
	r.do("POST", "/v1/chat/tasks", map[string]any{"task": "tutor", "title": "T", "instructions": "x"}).Want(409)
	ses := r.session()
	if m := last(t, r.send(ses, map[string]any{"content": "When?", "task": "socratic"})); m.TaskID != "socratic@2" {
		t.Errorf("answered by %s", m.TaskID)
	}
	if others := edgetest.Into[edge.List[conversation.Task]](r.do("GET", "/v1/chat/tasks", nil, "Authorization", "stranger").Want(200)).Items; len(others) != len(tasks) {
		t.Errorf("another organisation has %+v", others)
	}
}

func TestWhatIsRememberedIsSeenAndForgotten(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(`INSERT INTO courses (course_id, organization_id, title, language, created_by) VALUES ('crs_1', 'org_local', 'Owls', 'en', 'user_local')`)
	as := []string{"Authorization", "learner"}
	for _, content := range []string{"One?", "Two?", "Three?"} {
		ses := edgetest.Into[conversation.Session](r.do("POST", "/v1/chat/sessions", map[string]any{"course": "crs_1"}, as...).Want(201)).ID
		r.send(ses, map[string]any{"content": content}, as...)
	}
	memories := func(as string) []conversation.Memory {
		t.Helper()
		return edgetest.Into[edge.List[conversation.Memory]](r.do("GET", "/v1/chat/memories?course=crs_1", nil, "Authorization", as).Want(200)).Items
	}
	eventually(t, func() bool { return len(memories("learner")) == 3 })
	if m := memories("learner"); m[0].Content != "Three?" || m[0].Kind != conversation.Asked {
		t.Errorf("%+v", m)
	}
	if m := memories(""); len(m) != 0 {
		t.Errorf("another person sees %+v", m)
	}
	one := memories("learner")[0].ID
	r.do("DELETE", "/v1/chat/memories/"+one, nil).Want(404)
	r.do("DELETE", "/v1/chat/memories/"+one, nil, as...).Want(204)
	r.do("DELETE", "/v1/chat/memories", nil, as...).Want(422)
	r.do("DELETE", "/v1/chat/memories?course=crs_1", nil).Want(204)
	if m := memories("learner"); len(m) != 2 {
		t.Errorf("left: %+v", m)
	}
	r.do("DELETE", "/v1/chat/memories?course=crs_1", nil, as...).Want(204)
	if m := memories("learner"); len(m) != 0 {
		t.Errorf("left: %+v", m)
	}
}

// What can be refused is refused before the stream begins, as a problem.
func TestRefusalsAreProblems(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ses := r.session()
	for name, c := range map[string]struct {
		body   any
		status int
		at     string // in errors[]
	}{
		"nothing":              {map[string]any{}, 422, "body.content"},
		"an empty text":        {map[string]any{"content": ""}, 422, "body.content"},
		"spaces":               {map[string]any{"content": " \n"}, 422, "body.content"},
		"a text too long":      {map[string]any{"content": strings.Repeat("x", conversation.MaxContent+1)}, 422, "body.content"},
		"a megabyte":           {map[string]any{"content": strings.Repeat("x", 1<<20)}, 413, ""},
		"a strange id":         {map[string]any{"id": "a b", "content": "x"}, 422, "body.id"},
		"no such parent":       {map[string]any{"content": "x", "parent": "msg_none"}, 422, "body.parent"},
		"no such task":         {map[string]any{"content": "x", "task": "juggle"}, 422, "body.task"},
		"too many tokens":      {map[string]any{"content": "x", "max_tokens": 1 << 40}, 422, "body.max_tokens"},
		"something undeclared": {map[string]any{"content": "x", "system": "y"}, 422, "body.system"},
	} {
		a := r.do("POST", "/v1/chat/sessions/"+ses+"/messages", c.body).Want(c.status)
		p := edgetest.Into[edge.Problem](a)
		if p.Detail == "" || p.Status != c.status || c.at != "" && !slices.ContainsFunc(p.Errors, func(f edge.ProblemField) bool { return f.Location == c.at }) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if n := r.find(`SELECT count(*)::text FROM messages`); n != "0" || r.model.asked != 0 {
		t.Errorf("%s messages, %d calls", n, r.model.asked)
	}
	r.do("POST", "/v1/chat/sessions/ses_none/messages", map[string]any{"content": "x"}).Want(404)
	r.do("POST", "/v1/chat/sessions/"+ses+"/messages", map[string]any{"content": "x"}, "Authorization", "nobody").Want(401)
}
