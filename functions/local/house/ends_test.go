package house_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/openai/openaitest"
)

// A house that is told to stop waits for no answer: nobody else could go on with it. What
// was said is kept, for the next start to go on from.
func TestStopsWhileAnAnswerIsMade(t *testing.T) {
	model := openaitest.NewFunc(t, func(openaitest.Request) openaitest.Reply {
		// Who waits, and may for 6 s, sees it end.
		return openaitest.Reply{Pieces: []string{"Owls hunt", " at", " night."}, StallAt: 1, Stall: 3 * time.Second}
	})
	t.Setenv("OPENAI_BASE_URL", model.URL+"/v1")
	t.Setenv("OPENAI_API_KEY", "none")
	h, stop := openUntil(t, house.Options{})
	session := decode[struct{ ID string }](t, ask(t, h, "/v1/chat/sessions", `{}`))
	answer := ask(t, h, "/v1/chat/sessions/"+session.ID+"/messages", `{"content":"When?"}`)
	for lines := bufio.NewScanner(answer.Body); !strings.Contains(lines.Text(), "Owls"); {
		if !lines.Scan() {
			t.Fatal("no answer comes")
		}
	}
	began := time.Now()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	t.Logf("it took %v", time.Since(began))
	var state, logged string
	err := h.Pool().QueryRow(context.Background(), `
		SELECT state || CASE WHEN producer_id IS NULL THEN ', nobody''s' ELSE '' END,
			(SELECT string_agg(e.data::json ->> 'text', '' ORDER BY e.seq) FROM stream_events e WHERE e.message_id = m.message_id)
		FROM messages m
		WHERE m.organization_id = 'org_local' AND m.session_id = $1 AND m.role = 'assistant'`, session.ID).Scan(&state, &logged)
	if err != nil || state != "streaming, nobody's" || logged != "Owls hunt" {
		t.Errorf("%s: %q, %v", state, logged, err)
	}
}

func ask(t *testing.T, h *house.House, path, body string) *http.Response {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token(t, h))
	q.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode >= 300 {
		t.Fatal(answer.Status)
	}
	return answer
}

func decode[T any](t *testing.T, answer *http.Response) (v T) {
	t.Helper()
	if err := json.NewDecoder(answer.Body).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}
