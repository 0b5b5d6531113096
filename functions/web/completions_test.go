package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A completion that is silent for longer than the server's timeouts arrives; others
// are held to them.
func TestGatewayWaitsForCompletions(t *testing.T) {
	t.Parallel()
	chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case <-time.After(time.Second):
			_, _ = w.Write(append(body, r.Header.Get("X-Stainless-Retry-Count")...))
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(chat.Close)
	target, err := url.Parse(chat.URL)
	if err != nil {
		t.Fatal(err)
	}
	deps := newFakeAPI("").serve(t)
	deps.Chat = target
	front := httptest.NewUnstartedServer(New(deps))
	front.Config.ReadTimeout, front.Config.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond
	front.Start()
	t.Cleanup(front.Close)
	for path, want := range map[string]string{completions: "Hello2", "/v1/chat/sessions": ""} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+path, strings.NewReader("Hello"))
		r.Header.Set("X-Stainless-Retry-Count", "2")
		got := ""
		if res, err := http.DefaultClient.Do(r); err == nil {
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			got = string(body)
		}
		if got != want {
			t.Errorf("%s answers %q, want %q", path, got, want)
		}
	}
}
