package house_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/functions/local/commission"
	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/blob"
	gcsemulator "lectern.dev/lectern/internal/gcp/gcs/emulator"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/source/extract"
)

func TestMain(m *testing.M) {
	extract.ChildMain()
	os.Exit(m.Run())
}

// open starts a house and serves it until the test ends.
func open(t *testing.T, opts house.Options) *house.House {
	t.Helper()
	h, _ := openUntil(t, opts)
	return h
}

// openUntil starts a house and serves it until it is told to stop, or the test ends.
func openUntil(t *testing.T, opts house.Options) (h *house.House, stop func() error) {
	t.Helper()
	_ = pgtest.URL(t) // skips, or fails in CI, where there is no Postgres
	folder, err := os.MkdirTemp("", "lectern-house-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil { // the database has a user of its own
		t.Fatal(err)
	}
	opts.Addr = cmp.Or(opts.Addr, "127.0.0.1:0")
	opts.Data, opts.Throwaway = filepath.Join(folder, "data"), true
	h, err = house.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, served := make(chan struct{}), make(chan error, 1)
	go func() { served <- h.Serve(ctx, func() { close(ready) }) }()
	stop = sync.OnceValue(func() error {
		end()
		return <-served
	})
	t.Cleanup(func() {
		if err := errors.Join(stop(), h.Close()); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case <-time.After(30 * time.Second):
		t.Fatal("it does not answer")
	}
	return h, stop
}

func token(t *testing.T, h *house.House) string {
	t.Helper()
	token, err := h.Token(t.Context(), account.Local.User)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func documents() []commission.Document {
	text := "# Packages\n\n" + strings.Repeat("A package carries files and scripts that run when it is installed. ", 40)
	return []commission.Document{{
		Name: "packages.md", Type: "text/markdown", Size: int64(len(text)),
		Content: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	}}
}

// An upload by a signed URL reaches the bucket; its event, though lost twice,
// starts the task that reads it.
func TestUploadIsRead(t *testing.T) {
	t.Parallel()
	h := open(t, house.Options{Events: gcsemulator.Events{
		FirstRetry: time.Millisecond,
		Plan:       func(gcsemulator.Event) []time.Duration { return []time.Duration{0, 0, 20 * time.Millisecond} },
	}})
	maker := &commission.Maker{URL: h.URL(), Token: token(t, h)}
	id, err := maker.Begin(t.Context(), documents(), commission.Brief{Title: "Packages"})
	if err != nil {
		t.Fatal(err)
	}
	if err := maker.Read(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	var passages int
	if err := h.Pool().QueryRow(t.Context(), `SELECT count(*) FROM passages WHERE organization_id = 'org_local' AND course_id = $1`, id).Scan(&passages); err != nil || passages == 0 {
		t.Errorf("%d passages, %v", passages, err)
	}
	var jobs int
	if err := h.Pool().QueryRow(t.Context(), `SELECT count(*) FROM jobs WHERE organization_id = 'org_local' AND kind = 'ingest'`).Scan(&jobs); err != nil || jobs != 1 {
		t.Errorf("%d jobs, %v", jobs, err)
	}
}

// When every event is lost the sweep finds the upload.
func TestLostEventIsMadeGood(t *testing.T) {
	t.Parallel()
	h := open(t, house.Options{
		Sweep:  100 * time.Millisecond,
		Events: gcsemulator.Events{Plan: func(gcsemulator.Event) []time.Duration { return nil }},
	})
	maker := &commission.Maker{URL: h.URL(), Token: token(t, h)}
	id, err := maker.Begin(t.Context(), documents(), commission.Brief{Title: "Packages"})
	if err != nil {
		t.Fatal(err)
	}
	// The sweep waits some minutes before it takes an event for lost.
	if _, err := h.Pool().Exec(t.Context(), `UPDATE sources SET created_at = now() - interval '10 minutes', updated_at = now() - interval '10 minutes' WHERE organization_id = 'org_local'`); err != nil {
		t.Fatal(err)
	}
	if err := maker.Read(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

func TestPublicOrigin(t *testing.T) {
	t.Parallel()
	h := open(t, house.Options{Addr: ":0"})
	if !strings.HasPrefix(h.URL(), "http://127.0.0.1:") {
		t.Errorf("it is found at %s", h.URL())
	}
	if _, err := h.Bucket().Write(t.Context(), "videos/v.mp4", strings.NewReader("0123456789"), blob.WriteOptions{ContentType: "video/mp4"}); err != nil {
		t.Fatal(err)
	}
	video, err := h.Bucket().SignDownload(t.Context(), "videos/v.mp4", time.Hour)
	if err != nil || !strings.HasPrefix(video, h.URL()+"/") {
		t.Fatalf("the video's URL is %s, %v", video, err)
	}
	owner := token(t, h)
	unsigned, _, _ := strings.Cut(video, "?")
	otherwise := strings.Replace(video, "127.0.0.1", "localhost", 1)
	for _, c := range []struct {
		method, url string
		want        int
	}{
		{http.MethodGet, h.URL() + "/", http.StatusOK},
		{http.MethodGet, h.URL() + "/v1/courses", http.StatusOK},
		{http.MethodGet, video, http.StatusPartialContent},
		{http.MethodGet, otherwise, http.StatusPartialContent},
		{http.MethodGet, unsigned, http.StatusForbidden},
		{http.MethodPost, h.URL() + "/storage/v1/b", http.StatusNotFound},
		{http.MethodPost, h.URL() + "/tasks/render", http.StatusNotFound},
		{http.MethodPost, h.URL() + "/events/finalize", http.StatusNotFound},
		{http.MethodPost, h.URL() + "/sweep/", http.StatusNotFound},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(c.url, h.URL()) {
			req.Header.Set("Authorization", "Bearer "+owner)
		}
		req.Header.Set("Range", "bytes=2-4")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != c.want || c.url == video && string(body) != "234" {
			t.Errorf("%s %s: %s", c.method, c.url, res.Status)
		}
	}
}
