package dispatch_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/gcp/dispatch"
)

func TestClient(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo/{name}", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Name", r.PathValue("name"))
		w.WriteHeader(http.StatusAccepted)
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, r.Host+" "+string(body))
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("no") })
	mux.HandleFunc("/hang", func(http.ResponseWriter, *http.Request) { <-released })
	client := dispatch.Client(mux)

	res, err := client.Post("http://worker.test/echo/a", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusAccepted || res.Header.Get("X-Name") != "a" || string(body) != "worker.test hello" {
		t.Errorf("%s %v %q", res.Status, res.Header, body)
	}
	if res, err = client.Get("http://worker.test/panic"); err != nil || res.StatusCode != http.StatusInternalServerError {
		t.Errorf("panic: %v, %v", res, err)
	}
	_ = res.Body.Close()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://worker.test/hang", nil)
	if res, err := client.Do(req); !errors.Is(err, context.Canceled) {
		if err == nil {
			_ = res.Body.Close()
		}
		t.Errorf("hang: %v", err)
	}
}
