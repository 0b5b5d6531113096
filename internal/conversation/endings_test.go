package conversation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/openai"
	"lectern.dev/lectern/internal/openai/openaitest"
	"lectern.dev/lectern/internal/postgres"
)

// connect is the client of a scripted server.
func connect(t testing.TB, s *openaitest.Server, silence time.Duration) llm.Streamer {
	t.Helper()
	server, err := openai.New(openai.Config{BaseURL: s.URL + "/v1", Model: "small", Wait: time.Millisecond, Silence: silence})
	if err != nil {
		t.Fatal(err)
	}
	return openai.Model{Server: server}
}

// F41: a model's stream that is cut at any byte is never reported as complete, and what
// was shown of it is kept, as the log has it. LECTERN_CUTS=4096 tries every offset of
// a stream of that length.
func TestCutAnywhereIsNeverComplete(t *testing.T) {
	t.Parallel()
	cuts, err := strconv.Atoi(cmp.Or(os.Getenv("LECTERN_CUTS"), "60"))
	if err != nil {
		t.Fatal(err)
	}
	reply := openaitest.Reply{Text: strings.Repeat("Water boils 🍵 at 100 °C [p1]. ", 4)}
	whole := reply.Stream("small")
	server := openaitest.NewFunc(t, func(r openaitest.Request) openaitest.Reply {
		cut := reply
		cut.CutAt, _ = strconv.Atoi(strings.TrimPrefix(lastSaid(r), "cut at "))
		return cut
	})
	d := newDesk(t, connect(t, server, 0))
	offsets := make(chan int)
	var workers sync.WaitGroup
	for range 8 {
		s := d.on(t, ann, NewSession{})
		workers.Go(func() {
			for at := range offsets {
				h := d.ask(t, ann, s.ID, Prompt{Content: fmt.Sprint("cut at ", at), Parent: Root})
				m := h.message()
				switch {
				case at == len(whole) && m.State != Complete:
					t.Errorf("the whole stream is %s: %s", m.State, m.Problem)
				case at < len(whole)-len("[DONE]\n\n") && m.State == Complete:
					t.Errorf("cut at %d of %d: complete: %q", at, len(whole), m.Content)
				case m.State == Interrupted && (m.Content == "" || m.Problem == "" || h.last.Name != "error"),
					m.State == Failed && (m.Content != "" || m.Problem == "" || h.last.Name != "error"):
					t.Errorf("cut at %d: %s, %+v", at, h.last.Name, m)
				case !strings.HasPrefix(strings.ReplaceAll(reply.Text, " [p1]", ""), strings.TrimSuffix(m.Content, " ")):
					t.Errorf("cut at %d: %q", at, m.Content)
				}
			}
		})
	}
	for i := range cuts {
		offsets <- 1 + i*len(whole)/cuts
	}
	offsets <- len(whole)
	close(offsets)
	workers.Wait()
}

// lastSaid is the last message of a request.
func lastSaid(r openaitest.Request) string {
	messages := r.Body["messages"].([]any)
	return messages[len(messages)-1].(map[string]any)["content"].(string)
}

// F42, F43: whatever else is wrong with a stream, the answer is not reported as whole.
func TestBrokenStreams(t *testing.T) {
	t.Parallel()
	whole := openaitest.Reply{Text: "Water boils."}
	noFinish, noDone := whole, whole
	noFinish.Finish, noDone.NoDone = "none", true
	length, empty := whole, openaitest.Reply{Pieces: []string{""}}
	length.Finish = "length"
	tools := openaitest.Reply{ToolCalls: []openaitest.ToolCall{{ID: "c", Name: "read_file", Arguments: `{"path":"/etc/passwd"}`}}}
	both := tools
	both.Text = "Water boils."
	cases := map[string]struct {
		reply  openaitest.Reply
		state  State
		finish string
	}{
		"whole":                  {whole, Complete, "stop"},
		"no finish reason":       {noFinish, Interrupted, ""},
		"no [DONE]":              {noDone, Interrupted, ""},
		"cut by its length":      {length, Complete, "length"},
		"a refusal":              {openaitest.Reply{Refusal: "I cannot help with that."}, Complete, "refusal"},
		"an error object":        {openaitest.Raw("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Water\"}}]}\n\ndata: {\"error\":{\"message\":\"overloaded\"}}\n\n"), Interrupted, ""},
		"garbage":                {openaitest.Raw("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Water\"}}]}\n\ndata: {]\n\n"), Interrupted, ""},
		"nothing but an error":   {openaitest.Error(500, "", "oops"), Failed, ""},
		"a wrong key":            {openaitest.Error(401, "invalid_api_key", "no"), Failed, ""},
		"no connection":          {openaitest.Reply{Drop: true}, Failed, ""},
		"nothing":                {empty, Failed, ""},
		"a call of a tool alone": {tools, Failed, ""},
		"text and a tool's call": {both, Complete, "stop"},
	}
	d := newDesk(t, connect(t, openaitest.NewFunc(t, func(r openaitest.Request) openaitest.Reply { return cases[lastSaid(r)].reply }), 0))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := d.on(t, ann, NewSession{})
			h := d.ask(t, ann, s.ID, Prompt{Content: name})
			m := h.message()
			if m.State != c.state || m.Finish != c.finish {
				t.Errorf("%s %q, %q: %s", m.State, m.Finish, m.Content, m.Problem)
			}
			if (m.State == Failed) != (m.Content == "") || (m.State == Complete) == (m.Problem != "") || strings.Contains(m.Problem, "oops") {
				t.Errorf("%+v", m)
			}
			if m.State == Interrupted && m.Usage == nil {
				t.Error("what it used is not estimated")
			}
			d.over(t)
			d.mu.Lock()
			defer d.mu.Unlock()
			r := d.reports[len(d.reports)-1]
			if r.Message != m.ID || r.State != c.state || (r.Error != nil) != (c.state != Complete) || r.TTLB <= 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// F43: a model that falls silent in the middle has not said all.
func TestASilentModel(t *testing.T) {
	t.Parallel()
	server := openaitest.New(t, openaitest.Reply{Text: "Water boils.", StallAt: 1, Stall: time.Hour})
	for silence := 300 * time.Millisecond; ; silence *= 4 {
		d := newDesk(t, connect(t, server, silence))
		m := d.ask(t, ann, d.on(t, ann, NewSession{}).ID, Prompt{Content: "Does it?"}).message()
		if m.State == Failed && silence < time.Minute {
			continue // on a busy machine the first words have not come in time
		}
		if m.State != Interrupted || m.Content == "" || m.Content == "Water boils." || m.Problem == "" || m.Usage == nil {
			t.Errorf("%+v", m)
		}
		return
	}
}

// F47: who stops an answer closes the model's connection at once; who only goes does not.
func TestStopAndGo(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	slow := openaitest.Reply{Text: strings.Repeat("word ", 40), Every: 10 * time.Millisecond, StallAt: 5, Until: left}
	endless := slow
	endless.Stall, endless.Until = time.Hour, nil
	server := openaitest.NewFunc(t, func(r openaitest.Request) openaitest.Reply {
		if lastSaid(r) == "Stop that." {
			return endless
		}
		return slow
	})
	d := newDesk(t, connect(t, server, 0))
	gone := d.on(t, ann, NewSession{})
	request, hangUp := context.WithCancel(as(t, ann))
	turn, err := d.tutor.Send(request, ann, gone.ID, Prompt{Content: "Go on without me."})
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("the reader went")
	read, err := d.tutor.Follow(as(t, ann), ann, gone.ID, turn.Answer.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := read(as(t, ann), func(e Event) error {
		if e.Name == "delta" {
			return enough
		}
		return nil
	}); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
	hangUp()
	close(left)
	if h := hear(t, d.tutor, ann, gone.ID, turn.Answer.ID, ""); h.message().State != Complete || h.text != slow.Text {
		t.Errorf("after its reader had gone: %s %q", h.message().State, h.text)
	}
	d.over(t) // it is told of before the next one
	took, tries := time.Hour, 0
	for took > 100*time.Millisecond && tries < 20 { // a busy machine is given another try
		took = d.stopped(t, server, slow.Text)
		tries++
	}
	if took > 100*time.Millisecond {
		t.Errorf("the model's connection was closed after %v", took)
	}
	d.over(t)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.reports) != 1+tries || d.reports[0].Disconnects != 1 || d.reports[1].Disconnects != 0 {
		t.Errorf("%+v", d.reports)
	}
}

// stopped stops an answer of a model that does not end by itself, and tells how long
// its connection was still open.
func (d *desk) stopped(t *testing.T, server *openaitest.Server, full string) time.Duration {
	t.Helper()
	s := d.on(t, ann, NewSession{})
	turn, err := d.tutor.Send(as(t, ann), ann, s.ID, Prompt{Content: "Stop that."})
	if err != nil {
		t.Fatal(err)
	}
	read, err := d.tutor.Follow(as(t, ann), ann, s.ID, turn.Answer.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	var at time.Time
	h := &heard{}
	if err := read(as(t, ann), func(e Event) error {
		if e.Name == "delta" && at.IsZero() {
			at = time.Now()
			if err := d.tutor.Stop(as(t, ann), ann, s.ID); err != nil {
				return err
			}
		}
		return h.take(e)
	}); err != nil {
		t.Fatal(err)
	}
	m := h.message()
	if h.last.Name != "done" || m.State != Stopped || m.Content == "" || m.Content != h.text || !strings.HasPrefix(full, h.text) || len(h.text) >= len(full) {
		t.Errorf("%s %s %q", h.last.Name, m.State, h.text)
	}
	if err := d.tutor.Stop(as(t, ann), ann, s.ID); err != nil {
		t.Errorf("stopping nothing: %v", err)
	}
	wantKind(t, d.tutor.Stop(as(t, bob), bob, s.ID), fault.NotFound)
	var call openaitest.Call
	for range 6000 {
		calls := server.Calls()
		if call = calls[len(calls)-1]; !call.Ended.IsZero() {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if !call.ByClient {
		t.Errorf("the model's connection: %+v", call)
	}
	return call.Ended.Sub(at)
}

// flaky is a database that is away for a while.
type flaky struct {
	postgres.Beginner
	mu   sync.Mutex
	away int // statements that fail
	hung int // statements that nobody hears of any more
}

func (f *flaky) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	f.mu.Lock()
	if f.hung > 0 && strings.Contains(sql, "UPDATE messages") {
		f.hung--
		f.mu.Unlock()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	defer f.mu.Unlock()
	if f.away > 0 && strings.Contains(sql, "UPDATE messages") {
		f.away--
		return nil, fault.New(fault.Unavailable, "The database is away.")
	}
	return f.Beginner.Query(ctx, sql, args...)
}

// F21: a database that is away when an answer ends gets its end later.
func TestTheEndIsStoredLater(t *testing.T) {
	t.Parallel()
	d := newDesk(t, says(nil, "Water ", "boils."))
	f := &flaky{Beginner: d.db, away: 3, hung: 1}
	d.tutor.p.DB, d.tutor.oneTry = f, time.Second
	s := d.on(t, ann, NewSession{})
	if h := d.ask(t, ann, s.ID, Prompt{Content: "Does it?"}); h.message().State != Complete || h.text != "Water boils." {
		t.Errorf("%s: %q", h.message().State, h.text)
	}
	if f.away+f.hung != 0 {
		t.Error("the end was stored at once")
	}
}

// Nothing is begun for who cannot pay, or when the process ends.
func TestNothingIsBegun(t *testing.T) {
	t.Parallel()
	d := newDesk(t, says(nil, "ok"))
	s := d.on(t, ann, NewSession{})
	d.tutor.p.Ledger = d.ledger(t, 0)
	_, err := d.tutor.Send(as(t, ann), ann, s.ID, Prompt{Content: "x"})
	wantKind(t, err, fault.PaymentRequired)
	d.tutor.p.Ledger = nil
	d.tutor.Drain(t.Context())
	_, err = d.tutor.Send(as(t, ann), ann, s.ID, Prompt{Content: "x"})
	wantKind(t, err, fault.Unavailable)
	if e, ok := errors.AsType[*fault.Error](err); !ok || e.RetryAfter == 0 {
		t.Errorf("%v does not say when to come again", err)
	}
	if n := d.number(t, `SELECT count(*) FROM messages`); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// A panic ends its answer, and no other.
func TestAPanicEndsOneAnswer(t *testing.T) {
	t.Parallel()
	d := newDesk(t, &scripted{stream: func(_ context.Context, _ llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
		_ = emit(llm.Piece{Text: "Water"})
		panic("boom")
	}})
	s := d.on(t, ann, NewSession{})
	h := d.ask(t, ann, s.ID, Prompt{Content: "x"})
	if m := h.message(); m.State != Interrupted || m.Content != "Water" || strings.Contains(m.Problem, "boom") {
		t.Errorf("%+v", m)
	}
}

// An answer that never ends is ended, and says so.
func TestAnAnswerThatTakesTooLong(t *testing.T) {
	t.Parallel()
	d := newDesk(t, &scripted{stream: func(ctx context.Context, _ llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
		if err := emit(llm.Piece{Text: "Water"}); err != nil {
			return llm.Response{}, err
		}
		<-ctx.Done()
		return llm.Response{}, llm.Interrupted(ctx.Err())
	}})
	s := d.on(t, ann, NewSession{})
	for d.tutor.limit = 500 * time.Millisecond; ; d.tutor.limit *= 4 {
		m := d.ask(t, ann, s.ID, Prompt{Content: "x"}).message()
		if m.State == Failed && d.tutor.limit < time.Minute {
			continue // on a busy machine nothing was said in time
		}
		if m.State != Interrupted || m.Content != "Water" || !strings.Contains(m.Problem, "15 minutes") {
			t.Errorf("%+v", m)
		}
		return
	}
}

// A credential that may chat has sessions of its own, and nothing is remembered of it.
func TestWhatIsRemembered(t *testing.T) {
	t.Parallel()
	d := newDesk(t, says(nil, "ok"))
	for _, p := range []account.Principal{ann, program} {
		s := d.on(t, p, NewSession{})
		for _, content := range []string{"What is tea?", "And coffee?", strings.Repeat("A long story about water. ", 1200), "And milk?"} { // which has it summed up
			d.ask(t, p, s.ID, Prompt{Content: content})
			d.over(t) // what is remembered comes after the answer
		}
	}
	var got string
	if err := d.pool.QueryRow(t.Context(), `SELECT string_agg(user_id || ' ' || kind || ' ' || content, ', ' ORDER BY created_at) FROM memories`).Scan(&got); err != nil || got != "usr_ann asked What is tea?, usr_ann asked And milk?" {
		t.Errorf("%q %v", got, err)
	}
}
