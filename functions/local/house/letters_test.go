package house_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/functions/local/house"
)

// A letter is shown as plain text, so that its link can be followed.
func TestLettersAreShown(t *testing.T) {
	t.Parallel()
	shown := new(shown)
	h := open(t, house.Options{Letters: shown})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL()+"/v1/auth/members", strings.NewReader(`{"email":"ann@example.com","role":"learner"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token(t, h))
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(shown.text(), "\n  | "+h.URL()+"/invitation?token="); {
		if time.Now().After(deadline) {
			t.Fatalf("%s, and shown is: %s", res.Status, shown.text())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

type shown struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *shown) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shown) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
