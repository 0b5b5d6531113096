package house_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/openai/openaitest"
)

// A house that is told to stop waits for no answer: nobody else could go on with it. What
// was said is kept, for the next start to go on from.
func TestStopsWhileAnAnswerIsMade(t *testing.T) {
	told := make(chan struct{}) // to stop
	stream := openaitest.Reply{Pieces: []string{"Owls hunt", " at", " night."}}.Stream("owl")
	first := strings.LastIndex(stream[:strings.Index(stream, `" at"`)], "\n\n") + 2
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, stream[:first])
		_ = http.NewResponseController(w).Flush()
		select {
		case <-told:
		case <-r.Context().Done():
		}
		select {
		case <-time.After(5 * time.Second): // who waits, and may for 6 s, sees it end
			_, _ = io.WriteString(w, stream[first:])
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(model.Close)
	t.Cleanup(model.CloseClientConnections)
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
	close(told)
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
