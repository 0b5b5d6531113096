package emulator

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestSignedURLsExpire(t *testing.T) {
	t.Parallel()
	e, err := Start(Options{Bucket: "lectern"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	b, err := e.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	url, err := b.SignDownload(t.Context(), "k", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for later, valid := range map[time.Duration]bool{0: true, 59 * time.Minute: true, 61 * time.Minute: false, -time.Hour: false} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err := e.verify(req, time.Now().Add(later)); (err == nil) != valid {
			t.Errorf("after %v: %v", later, err)
		}
	}
	longer, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(url, "Expires=3", "Expires=9", 1), nil)
	if err := e.verify(longer, time.Now()); err == nil {
		t.Error("a longer life was accepted")
	}
}
