package conversation

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/llm"
)

// someWishes are of how an answer is to be written. A U+0000 is in the JSON of some.
var someWishes = map[string]json.RawMessage{"temperature": json.RawMessage(`0.25`), "stop": json.RawMessage(`["END","\u0000"]`)}

// wantWishes checks how the model was asked last.
func (s *scripted) wantWishes(t *testing.T, what string, tokens int, extra map[string]json.RawMessage) {
	t.Helper()
	all := s.requests()
	got := all[len(all)-1]
	if diff := cmp.Diff(extra, got.Extra); got.MaxTokens != tokens || diff != "" {
		t.Errorf("%s: at most %d tokens, want %d; %s", what, got.MaxTokens, tokens, diff)
	}
}

// What goes on with an answer, or repeats it, is written as that was to be: with as many
// tokens as were left to it, and the same further wishes. Another answer is not.
func TestWishesAreKept(t *testing.T) {
	t.Parallel()
	const said = "Twenty bytes, no more" // 6 tokens, by the estimate
	m := &scripted{}
	m.stream = says(errBroke, said).stream
	d := newDesk(t, m)
	s := d.on(t, ann, NewSession{})
	broken := d.ask(t, ann, s.ID, Prompt{Content: "Why?", MaxTokens: 50, Extra: map[string]json.RawMessage{
		"temperature": someWishes["temperature"], "stop": someWishes["stop"], "tools": json.RawMessage(`[]`),
	}}).message()
	m.wantWishes(t, "the first", 50, someWishes)
	if d.number(t, `SELECT count(*) FROM messages WHERE manner::text LIKE '%tools%'`) != 0 || d.number(t, `SELECT count(*) FROM messages WHERE manner IS NOT NULL`) != 1 {
		t.Error("what does not reach the model is kept, or what does is not")
	}
	m.stream = says(errBroke, "; six tokens again, ok").stream
	rest := d.ask(t, ann, s.ID, Prompt{Parent: broken.ID}).message()
	m.wantWishes(t, "the rest", 50-6, someWishes)
	m.stream = func(_ context.Context, _ llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
		return llm.Response{Model: "fake", Finish: llm.Length}, emit(llm.Piece{Text: " And more."})
	}
	cut := d.ask(t, ann, s.ID, Prompt{Parent: rest.ID}).message()
	m.wantWishes(t, "the rest of the rest", 50-6-6, someWishes)
	if cut.Finish != string(llm.Length) {
		t.Fatalf("%+v", cut)
	}
	again := d.ask(t, ann, s.ID, Prompt{Parent: cut.ID}).message()
	m.wantWishes(t, "what follows one that was cut at its bound", 50-6-6, someWishes)
	own := map[string]json.RawMessage{"seed": json.RawMessage(`7`)}
	d.ask(t, ann, s.ID, Prompt{Parent: again.ID, MaxTokens: 30, Extra: own})
	m.wantWishes(t, "wishes of its own", 30, own)
	d.ask(t, ann, s.ID, Prompt{Parent: broken.Parent})
	m.wantWishes(t, "another answer", answerTokens, nil)

	all, _, err := Checkpoints(as(t, ann), d.db, ann, s.ID, "", 100)
	if err != nil || len(all) != 6 {
		t.Fatalf("%d checkpoints, %v", len(all), err)
	}
	d.ask(t, ann, s.ID, Prompt{Replay: &all[1]})
	m.wantWishes(t, "a replay", 50-6, someWishes)
	var fork Session
	err = d.tx(as(t, ann), func(tx pgx.Tx) (err error) {
		fork, err = Fork(as(t, ann), tx, ann, s.ID, all[0].ID, "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	copied := d.every(t, ann, fork.ID, 10)
	d.ask(t, ann, fork.ID, Prompt{Parent: copied[1].ID})
	m.wantWishes(t, "the rest in a fork", 50-6, someWishes)
}

// An answer that had all of its tokens when its process ended is not gone on with: it
// ends there, cut at its bound.
func TestHandedOverAtItsBound(t *testing.T) {
	t.Parallel()
	said := strings.Repeat("word ", 20)
	second := says(nil, "Too much.")
	d := newDesk(t, second)
	s, answer := d.leave(t, Prompt{Content: "Say it.", MaxTokens: 25}, said+"\n")
	h := hear(t, d.tutor, ann, s, answer, "")
	if m := h.message(); m.State != Complete || m.Finish != string(llm.Length) || strings.TrimSpace(m.Content) != strings.TrimSpace(said) || len(second.requests()) != 0 {
		t.Errorf("%+v, asked %d times", m, len(second.requests()))
	}
}
