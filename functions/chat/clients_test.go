package chat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/access/accesstest"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/openai"
	"lectern.dev/lectern/internal/openai/clienttest"
	"lectern.dev/lectern/internal/openai/openaitest"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// OpenAI's own clients, unchanged, against the whole handler: the real gate, budget and
// database, and a model's server that follows a script. They check what they get.
func TestOfficialClients(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it starts interpreters")
	}
	for name, run := range map[string]func(t *testing.T, e endpoint) []string{
		"python": func(t *testing.T, e endpoint) []string {
			return e.script(t, tool(t, "python/bin/python"), "testdata/clients/python.py")
		},
		"node": func(t *testing.T, e endpoint) []string {
			e.client = tool(t, "node/node_modules/openai")
			node, err := exec.LookPath("node")
			if err != nil {
				lacking(t, err)
			}
			return e.script(t, node, "testdata/clients/node.mjs")
		},
		"go": func(t *testing.T, e endpoint) (held []string) {
			err := clienttest.Check(t.Context(), e.url, e.key, e.reader, e.poor, func(name string) { held = append(held, name) })
			if err != nil {
				t.Errorf("after %q: %v", held, err)
			}
			return held
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t)
			held := run(t, e)
			if len(held) < 30 {
				t.Errorf("only %d checks held: %q", len(held), held)
			}
			eventually(t, func() bool { // the model's server answers nobody who has gone
				for _, c := range e.upstream.Calls() {
					if c.Ended.IsZero() {
						return false
					}
				}
				return true
			})
		})
	}
}

// tool gives what scripts/setup.sh installs.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../.tools/openai", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		lacking(t, err)
	}
	return path
}

func lacking(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err, "(make setup-test)")
}

// endpoint is what clients are given.
type endpoint struct {
	url                       string // with /v1
	key, reader, poor, client string
	upstream                  *openaitest.Server
	db                        *pgxpool.Pool
}

// script runs a program that prints "ok" and a name for every check that held.
func (e endpoint) script(t *testing.T, interpreter, file string) (held []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // interpreters start slowly beside browsers
	defer cancel()
	cmd := exec.CommandContext(ctx, interpreter, file)
	cmd.WaitDelay = time.Minute
	cmd.Env = append(os.Environ(), "BASE_URL="+e.url, "KEY="+e.key, "READER_KEY="+e.reader, "POOR_KEY="+e.poor, "CLIENT="+e.client, "NO_PROXY=*")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	for line := range strings.Lines(out.String()) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "ok "); ok {
			held = append(held, name)
		}
	}
	if err != nil {
		t.Errorf("after %q: %v\n%s", held, err, errs.String())
	}
	return held
}

func newEndpoint(t *testing.T) endpoint {
	t.Helper()
	db := pgtest.New(t)
	tenants := pgtest.As(t, db, postgres.Tenant)
	gate := accesstest.New(t, db, tenants)
	prices, err1 := budget.LoadPrices(`{"small": {"kind": "tokens", "input": 1, "output": 2, "max_output": 1000}}`)
	ledger := &budget.Ledger{DB: tenants, Prices: prices, Defaults: budget.Limits{Soft: 1 << 40, Hard: 1 << 40}}
	e := endpoint{db: db, upstream: openaitest.NewFunc(t, upstreamScript)}
	server, err2 := openai.New(openai.Config{BaseURL: e.upstream.URL + "/v1", Model: "small"})
	_, err3 := db.Exec(t.Context(), `INSERT INTO organizations (organization_id, name) VALUES ('org_poor', 'Poor')`)
	_, err4 := (&budget.Ledger{DB: db}).SetLimits(t.Context(), "org_poor", budget.Limits{Soft: 1, Hard: 1}, "user_local")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	e.key, e.reader, e.poor = gate.Program("org_local", "", account.Chat), gate.Program("org_local", "", account.ReadCourses), gate.Program("org_poor", "", account.Chat)
	handler := New(Deps{
		DB: tenants, System: pgtest.As(t, db, postgres.System), Gate: gate,
		Model:  &moody{Streamer: &budget.Streamer{Streamer: openai.Model{Server: server}, Ledger: ledger}},
		Limits: Limits{RequestsPerMinutePerOrganization: 100_000, TokensPerDayPerOrganization: 1_000_000_000, AnswersPerOrganization: 100},
	})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(commented{w}, r) }))
	t.Cleanup(s.Close)
	e.url = s.URL + "/v1"
	return e
}

// commented puts a heartbeat before all that a stream sends.
type commented struct{ http.ResponseWriter }

func (c commented) Write(b []byte) (int, error) {
	if strings.HasPrefix(c.Header().Get("Content-Type"), "text/event-stream") {
		if _, err := c.ResponseWriter.Write([]byte(": still here\n\n")); err != nil {
			return 0, err
		}
	}
	return c.ResponseWriter.Write(b)
}

func (c commented) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// moody is a model that fails when it is asked to.
type moody struct {
	llm.Streamer
	mu   sync.Mutex
	seen map[string]bool
}

func (m *moody) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	text := req.Messages[len(req.Messages)-1].Text
	m.mu.Lock()
	again := m.seen[text]
	if m.seen == nil {
		m.seen = map[string]bool{}
	}
	m.seen[text] = true
	m.mu.Unlock()
	switch {
	case text == "explode":
		return llm.Response{}, errors.New("our own mistake")
	case text == "down":
		return llm.Response{}, fault.New(fault.Unavailable, "The language model cannot be reached.")
	case text == "busy", strings.HasPrefix(text, "busy at first") && !again:
		return llm.Response{}, &fault.Error{Kind: fault.Exhausted, Message: "That is too much at once.", RetryAfter: time.Second}
	}
	return m.Streamer.Stream(ctx, req, emit)
}

// upstreamScript answers by the last message.
func upstreamScript(r openaitest.Request) openaitest.Reply {
	messages, _ := r.Body["messages"].([]any)
	var roles, tools []string
	last := ""
	for _, m := range messages {
		m := m.(map[string]any)
		last, _ = m["content"].(string)
		roles = append(roles, fmt.Sprint(m["role"], ":", last))
		if m["role"] == "tool" {
			tools = append(tools, m["tool_call_id"].(string))
		}
	}
	switch {
	case len(tools) > 0:
		return openaitest.Reply{Text: last + " " + strings.Join(tools, " and ")}
	case last == "hello":
		return openaitest.Reply{Pieces: []string{"Hello, ", "wörld ", "🦉!"}}
	case last == "echo":
		stop, _ := r.Body["stop"].([]any)
		return openaitest.Reply{Text: fmt.Sprintf("%s stop=['%v'] seed=%v most=%v", strings.Join(roles, " "), stop[0], r.Body["seed"], r.Body["max_tokens"])}
	case last == "length":
		return openaitest.Reply{Text: "one two", Finish: "length"}
	case last == "refuse":
		return openaitest.Reply{Refusal: "No."}
	case last == "tools":
		return openaitest.Reply{ToolCalls: []openaitest.ToolCall{{ID: "call_1", Name: "look", Arguments: `{"bird":"barn owl"}`}, {ID: "call_2", Name: "look", Arguments: `{"bird":"rook"}`}}}
	case last == "bird":
		return openaitest.Reply{Text: `{"name":"Tyto alba","wings":2}`}
	case last == "broken":
		return openaitest.Reply{Pieces: []string{"Hel", "lo"}, Finish: "none", NoDone: true}
	case strings.HasPrefix(last, "endless"):
		return openaitest.Reply{Pieces: []string{"One ", "two"}, StallAt: 1, Stall: openaitest.Forever}
	case strings.HasPrefix(last, "busy at first"):
		return openaitest.Reply{Text: "Now."}
	}
	return openaitest.Reply{}
}
