package conversation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/source"
	"lectern.dev/lectern/internal/source/extract"
	"lectern.dev/lectern/internal/source/sample"
)

// desk is a shelf with a course's material and a tutor at it.
type desk struct {
	*shelf
	tutor *Tutor

	mu      sync.Mutex
	reports []Report
}

// newDesk has a tutor whose model is m, as one process has it.
func newDesk(t testing.TB, m llm.Streamer) *desk {
	t.Helper()
	d := &desk{shelf: newShelf(t)}
	d.tutor = d.process(t, m)
	return d
}

// process is a tutor of another process at the same database.
func (d *desk) process(t testing.TB, m llm.Streamer) *Tutor {
	t.Helper()
	tutor := New(Parts{DB: d.db, Relay: relay.New(relay.Options{DB: d.logPool(t)}), Model: m, Report: func(_ context.Context, r Report) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.reports = append(d.reports, r)
	}})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		tutor.Drain(ctx)
	})
	return tutor
}

func (s *shelf) logPool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	db, err := postgres.Open(context.Background(), s.pool.Config().ConnString(), postgres.Options{Role: postgres.System, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// material puts a document into a course as a source that was read.
func (d *desk) material(t testing.TB, organization, course, name, language, markdown string) (src string, text string) {
	t.Helper()
	doc := extract.NewDocument(blocks(markdown))
	src = id.New(id.Source)
	d.exec(t, `
		INSERT INTO sources (source_id, course_id, organization_id, name, content_type, size, state, object, title, language)
		VALUES ($1, $2, $3, $4, 'text/markdown', 1, 'ready', $1, $4, $5)`, src, course, organization, name, language)
	configuration := map[string]string{"en": "english", "de": "german"}[language]
	for _, p := range source.Cut(doc) {
		d.exec(t, `
			INSERT INTO passages (passage_id, source_id, course_id, organization_id, position, kind, code_language, heading, page, start_offset, end_offset, text, words, configuration, lexemes)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::regconfig, setweight(to_tsvector($14::regconfig, $15), 'A') || setweight(to_tsvector($14::regconfig, $12), 'B'))`,
			id.New(id.Passage), src, course, organization, p.Position, p.Kind, p.CodeLanguage, p.Heading, p.Page, p.Start, p.End, p.Text, p.Words, configuration, strings.Join(p.Heading, "\n"))
	}
	return src, doc.Text
}

// sampleCourse puts the guide that comes with Lectern into the first course.
func (d *desk) sampleCourse(t testing.TB) (src, text string) {
	t.Helper()
	return d.material(t, "org_local", "crs_1", "Home networks explained", "en", string(sample.Document))
}

// blocks reads simple Markdown.
func blocks(markdown string) []extract.Block {
	var out []extract.Block
	listing := ""
	for part := range strings.SplitSeq(markdown, "\n\n") {
		if part = listing + strings.TrimSpace(part); strings.Count(part, "```")%2 == 1 {
			listing = part + "\n\n"
			continue
		}
		listing = ""
		b := extract.Block{Kind: extract.Prose, Text: part}
		switch trimmed := strings.TrimLeft(part, "#"); {
		case part == "":
			continue
		case len(trimmed) < len(part) && strings.HasPrefix(trimmed, " "):
			b = extract.Block{Kind: extract.Heading, Level: len(part) - len(trimmed), Text: strings.TrimSpace(trimmed)}
		case strings.HasPrefix(part, "```"):
			first, rest, _ := strings.Cut(strings.TrimSuffix(part, "```"), "\n")
			b = extract.Block{Kind: extract.Code, Language: first[3:], Text: strings.TrimRight(rest, "\n")}
		case strings.HasPrefix(part, "|"):
			b.Kind = extract.Table
		case strings.HasPrefix(part, "- ") || strings.HasPrefix(part, "1. "):
			b.Kind = extract.List
		}
		out = append(out, b)
	}
	return out
}

// on begins a session beside the first course.
func (d *desk) on(t testing.TB, p account.Principal, n NewSession) Session {
	t.Helper()
	if n.CourseID == "" {
		n.CourseID = "crs_1"
	}
	s, err := CreateSession(as(t, p), d.db, p, n)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// heard is what a reader was sent.
type heard struct {
	events []Event
	text   string
	last   Event
}

func (h *heard) take(e Event) error {
	if h.last.Name != "" {
		return fmt.Errorf("%s after the last event", e.Name)
	}
	h.events = append(h.events, e)
	switch e.Name {
	case "delta":
		var d TextDelta
		if err := json.Unmarshal(e.Data.(json.RawMessage), &d); err != nil {
			return err
		}
		h.text += d.Text
	case "done", "error":
		h.last = e
	}
	return nil
}

// message is the answer as the last event tells it.
func (h *heard) message() Message {
	switch data := h.last.Data.(type) {
	case Done:
		return data.Message
	case Broken:
		return data.Message
	}
	return Message{}
}

// bytes are the events as they go over the wire.
func (h *heard) bytes(t testing.TB) string {
	t.Helper()
	var out strings.Builder
	for _, e := range h.events {
		out.WriteString(e.ID + " " + e.Name + " " + encoded(t, e.Data) + "\n")
	}
	return out.String()
}

func hear(t testing.TB, tutor *Tutor, p account.Principal, session, answer, last string) *heard {
	t.Helper()
	return listen(t, p, follow(t, tutor, p, session, answer, last))
}

// follow finds the answer that is to be read; nil: nothing will come.
func follow(t testing.TB, tutor *Tutor, p account.Principal, session, answer, last string) Reader {
	t.Helper()
	read, err := tutor.Follow(as(t, p), p, session, answer, last)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func listen(t testing.TB, p account.Principal, read Reader) *heard {
	t.Helper()
	h := &heard{}
	if read == nil {
		return h
	}
	ctx, cancel := context.WithTimeout(as(t, p), 2*time.Minute)
	defer cancel()
	if err := read(ctx, h.take); err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends a message and reads the whole answer, which must be what the row says.
func (d *desk) ask(t testing.TB, p account.Principal, session string, in Prompt) *heard {
	t.Helper()
	turn, err := d.tutor.Send(as(t, p), p, session, in)
	if err != nil {
		t.Fatal(err)
	}
	h := hear(t, d.tutor, p, session, turn.Answer.ID, "")
	row, err := GetMessage(as(t, p), d.db, p, session, turn.Answer.ID)
	if err != nil {
		t.Fatal(err)
	}
	if row.Content != h.text || row.State != h.message().State {
		t.Errorf("the row says %s: %q; readers heard %s: %q", row.State, row.Content, h.message().State, h.text)
	}
	return h
}

// over waits until the answers that are being made here have ended.
func (d *desk) over(t testing.TB) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.tutor.began.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("an answer does not end")
	}
}

// scripted is a model that says what it is told to.
type scripted struct {
	llm.Fake
	stream func(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error)
	mu     sync.Mutex
	asked  []llm.Request
}

func (s *scripted) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	s.mu.Lock()
	s.asked = append(s.asked, req)
	s.mu.Unlock()
	return s.stream(ctx, req, emit)
}

func (s *scripted) requests() []llm.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// says is a model that gives these pieces, and then ends as err says.
func says(err error, pieces ...string) *scripted {
	return &scripted{stream: func(_ context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
		resp := llm.Response{Model: "fake"}
		for _, p := range pieces {
			if err := emit(llm.Piece{Text: p}); err != nil {
				return resp, err
			}
			resp.Text += p
		}
		if err != nil {
			return resp, err
		}
		resp.Finish, resp.Usage = llm.Stop, llm.Usage{Input: llm.EstimateTokens(req), Output: 1 + len(resp.Text)/4}
		return resp, nil
	}}
}

var errBroke = llm.Used(fault.New(fault.Unavailable, "The connection to the language model broke."))

// ledger is one in which an organization may spend so much, in millionths of a dollar: a
// token costs one.
func (s *shelf) ledger(t testing.TB, hard int64) *budget.Ledger {
	t.Helper()
	prices, err := budget.LoadPrices(`{"fake": {"kind": "tokens", "input": 1, "output": 1}}`)
	if err != nil {
		t.Fatal(err)
	}
	return &budget.Ledger{DB: s.db, Prices: prices, Defaults: budget.Limits{Soft: hard, Hard: hard}}
}
