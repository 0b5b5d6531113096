package chat_test

import (
	"net/http"
	"testing"
	"time"

	"lectern.dev/lectern/functions/chat"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/offline"
	"lectern.dev/lectern/internal/openai/openaitest"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// F40 over real connections: whatever keeps the first model from beginning, its backup
// answers, says so, and what both cost is settled.
func TestTheBackupAnswers(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ledger := &budget.Ledger{
		DB: db, Prices: budget.Prices{"a": {Kind: budget.Tokens, Output: 1}, "b": {Kind: budget.Tokens, Output: 1}},
		Defaults: budget.Limits{Soft: 1e9, Hard: 1e9},
	}
	for name, c := range map[string]struct {
		first  openaitest.Reply
		model  string
		hedged bool
		micros int64
	}{
		"well":                    {first: openaitest.Reply{Text: "said by the first"}, model: "a", micros: 7},
		"503":                     {first: openaitest.Error(http.StatusServiceUnavailable, "", "down"), model: "b", micros: 7},
		"500":                     {first: openaitest.Error(http.StatusInternalServerError, "", "oh"), model: "b", micros: 7},
		"429":                     {first: openaitest.Error(http.StatusTooManyRequests, "", "busy"), model: "b", micros: 7},
		"no credit":               {first: openaitest.Error(http.StatusTooManyRequests, "insufficient_quota", "none"), model: "b", micros: 7},
		"the connection breaks":   {first: openaitest.Reply{Drop: true}, model: "b", micros: 7},
		"never answers":           {first: openaitest.Reply{Hang: true}, model: "b", hedged: true, micros: 7 + 64},
		"silent after its header": {first: openaitest.Reply{Stall: time.Hour}, model: "b", hedged: true, micros: 7 + 64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := openaitest.New(t, c.first), openaitest.New(t, openaitest.Reply{Text: "said by the second"})
			deadline := time.Minute
			if c.hedged {
				deadline = 2 * time.Second
			}
			m, err := chat.NewModel(chat.Models{
				BaseURL: first.URL + "/v1", Model: "a", BackupBaseURL: second.URL + "/v1", BackupModel: "b", FirstToken: deadline,
			}, ledger)
			if err != nil {
				t.Fatal(err)
			}
			ctx, spent := budget.Counting(account.With(t.Context(), account.Local))
			text := ""
			resp, err := m.Stream(ctx, llm.Request{Messages: []llm.Message{{Role: llm.User, Text: "Why?"}}}, func(p llm.Piece) error {
				text += p.Text
				return nil
			})
			if err != nil || resp.Model != c.model || text != map[string]string{"a": "said by the first", "b": "said by the second"}[c.model] {
				t.Errorf("%q, %+v, %v", text, resp, err)
			}
			if asked := len(first.Requests()); asked != 1 || resp.Tries.Retries != 0 {
				t.Errorf("the first was asked %d times: %+v", asked, resp.Tries)
			}
			if resp.Tries.Backup != (c.model == "b") || resp.Tries.Hedged != c.hedged {
				t.Errorf("%+v", resp.Tries)
			}
			for end := time.Now().Add(30 * time.Second); spent.Micros() != c.micros; time.Sleep(10 * time.Millisecond) { // the loser's call may be settled later
				if time.Now().After(end) {
					t.Fatalf("%d micro-dollars", spent.Micros())
				}
			}
		})
	}
}

// Who is refused by the first model for a reason of the request is not sent to another.
func TestAWrongRequestHasNoBackup(t *testing.T) {
	t.Parallel()
	ledger := &budget.Ledger{DB: pgtest.New(t), Prices: budget.Prices{"a": {Kind: budget.Tokens}, "b": {Kind: budget.Tokens}}, Defaults: budget.Limits{Soft: 1e9, Hard: 1e9}}
	first, second := openaitest.New(t, openaitest.Error(http.StatusBadRequest, "context_length_exceeded", "long")), openaitest.New(t)
	m, err := chat.NewModel(chat.Models{BaseURL: first.URL + "/v1", Model: "a", BackupBaseURL: second.URL + "/v1", BackupModel: "b"}, ledger)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Stream(account.With(t.Context(), account.Local), llm.Request{Messages: []llm.Message{{Role: llm.User, Text: "Why?"}}}, func(llm.Piece) error { return nil })
	if !fault.Is(err, fault.Invalid) || len(second.Requests()) != 0 {
		t.Errorf("%v, %d requests to the second", err, len(second.Requests()))
	}
}

func TestModels(t *testing.T) {
	t.Parallel()
	prices, err := budget.LoadPrices("")
	if err != nil {
		t.Fatal(err)
	}
	ledger := &budget.Ledger{Prices: prices}
	if m, err := chat.NewModel(chat.Models{Model: "x"}, ledger); err != nil || m.Name() != (offline.Model{}).Name() {
		t.Errorf("%T, %v", m, err)
	}
	for _, wrong := range []chat.Models{
		{BaseURL: "nonsense"},
		{APIKey: "key", Model: "no-price"},
		{FirstToken: -1},
		{BackupBaseURL: "nonsense"},
		{BackupBaseURL: "http://127.0.0.1:1/v1", BackupModel: "no-price"},
	} {
		if _, err := chat.NewModel(wrong, ledger); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}
