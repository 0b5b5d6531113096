package chat

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/tmaxmax/go-sse"

	"lectern.dev/lectern/internal/access/accesstest"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// rig is the handler on a real database, with a model that follows a script.
type rig struct {
	http.Handler
	t     testing.TB
	db    *pgxpool.Pool
	model *scripted
	deps  Deps
	*server
}

// The people of the tests, by the Authorization that makes one of them ask.
var askers = accesstest.Names{
	"":         {Organization: "org_local", User: "user_local", Role: account.Owner, SignIn: "sgn_1"},
	"learner":  {Organization: "org_local", User: "user_learner", Role: account.Learner, SignIn: "sgn_2"},
	"program":  {Organization: "org_local", User: "cred_1", Scopes: []string{account.Chat}},
	"stranger": {Organization: "org_other", User: "user_other", Role: account.Owner, SignIn: "sgn_3"},
}

// scripted is a model that streams what its script says.
type scripted struct {
	llm.Fake
	mu     sync.Mutex
	script func(ctx context.Context, req llm.Request, say func(text string) error) error
	asked  int
}

// says sets the script.
func (m *scripted) says(script func(ctx context.Context, req llm.Request, say func(text string) error) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.script = script
}

// Stream implements llm.Streamer.
func (m *scripted) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	m.mu.Lock()
	script := m.script
	m.asked++
	m.mu.Unlock()
	var said strings.Builder
	err := script(ctx, req, func(text string) error {
		said.WriteString(text)
		return emit(llm.Piece{Text: text})
	})
	r := llm.Response{Text: said.String(), Model: "scripted-1", Usage: llm.Usage{Input: 100, Output: 10}}
	if err == nil {
		r.Finish = llm.Stop
	}
	return r, err
}

// words says them one after another.
func words(all ...string) func(context.Context, llm.Request, func(string) error) error {
	return func(_ context.Context, _ llm.Request, say func(string) error) error {
		for _, w := range all {
			if err := say(w); err != nil {
				return err
			}
		}
		return nil
	}
}

// held says the words, then waits for the channel, and then says the rest.
func held(goOn <-chan struct{}, before, after string) func(context.Context, llm.Request, func(string) error) error {
	return func(ctx context.Context, _ llm.Request, say func(string) error) error {
		if err := say(before); err != nil {
			return err
		}
		select {
		case <-goOn:
			return say(after)
		case <-ctx.Done():
			return llm.Interrupted(ctx.Err())
		}
	}
}

func newRig(t testing.TB, change ...func(*Deps)) *rig {
	t.Helper()
	r := &rig{t: t, db: pgtest.New(t), model: &scripted{script: words("Owls ", "hunt ", "at ", "night.")}}
	r.exec(`INSERT INTO organizations (organization_id, name) VALUES ('org_other', 'Other')`)
	r.exec(`INSERT INTO users (user_id, organization_id, name, role) VALUES ('user_learner', 'org_local', 'L', 'learner'), ('user_other', 'org_other', 'O', 'owner')`)
	system := pgtest.As(t, r.db, postgres.System)
	r.deps = Deps{
		DB: pgtest.As(t, r.db, postgres.Tenant), System: system, Relay: relay.New(relay.Options{DB: system}), Model: r.model, Gate: askers,
	}
	for _, c := range change {
		c(&r.deps)
	}
	r.serve(r.deps)
	return r
}

// serve makes the handler from the parts.
func (r *rig) serve(d Deps) {
	s := newServer(d)
	r.server = s
	r.Handler = edge.HTTP(s.api(), edge.Options{Drain: s.drain})
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2100*time.Millisecond) // of which 2 s are for handing over
		defer cancel()
		s.drain(ctx) // nothing may use the database when it goes
	})
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.db.Exec(context.Background(), sql, args...); err != nil {
		r.t.Fatal(err)
	}
}

// find reads one text.
func (r *rig) find(sql string, args ...any) (found string) {
	r.t.Helper()
	if err := r.db.QueryRow(context.Background(), sql, args...).Scan(&found); err != nil {
		r.t.Fatal(err)
	}
	return found
}

// do sends a request; body is marshalled unless it is a string, headers come in pairs.
func (r *rig) do(method, path string, body any, headers ...string) edgetest.Answer {
	r.t.Helper()
	return edgetest.Send(r.t, r, edgetest.Request(r.t, method, path, body, headers...))
}

// session begins one, as who the headers say.
func (r *rig) session(headers ...string) string {
	r.t.Helper()
	return edgetest.Into[conversation.Session](r.do("POST", "/v1/chat/sessions", map[string]any{}, headers...).Want(201)).ID
}

// event is one that a client has read.
type event struct{ id, name, data string }

// told are the events of a stream that has ended, as a parser of the standard sees them.
func told(t testing.TB, stream io.Reader) (all []event) {
	t.Helper()
	for e, err := range sse.Read(stream, &sse.ReadConfig{MaxEventSize: 1 << 22}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, event{e.LastEventID, e.Type, e.Data})
	}
	return all
}

// text is what the deltas say together.
func text(t testing.TB, all []event) string {
	t.Helper()
	var b strings.Builder
	for _, e := range all {
		if e.name == "delta" {
			b.WriteString(edgetest.Decode[conversation.TextDelta](t, e.data).Text)
		}
	}
	return b.String()
}

// send sends a message and reads the answer to its end.
func (r *rig) send(session string, body map[string]any, headers ...string) []event {
	r.t.Helper()
	return told(r.t, r.do("POST", "/v1/chat/sessions/"+session+"/messages", body, headers...).Want(200).Body)
}

// message is the answer's row as the last event shows it.
func last(t testing.TB, all []event) conversation.Message {
	t.Helper()
	if len(all) == 0 {
		t.Fatal("no events")
	}
	return edgetest.Decode[conversation.Done](t, all[len(all)-1].data).Message
}

// eventually waits for what becomes true in the background.
func eventually(t testing.TB, done func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("it does not become true")
		}
	}
}
