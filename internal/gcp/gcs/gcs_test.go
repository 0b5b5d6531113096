package gcs_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/api/option"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/blob/blobtest"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/gcp/gcs"
	"lectern.dev/lectern/internal/gcp/gcs/emulator"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]func(*testing.T) string{
		"memory": func(*testing.T) string { return "" },
		"folder": func(t *testing.T) string { return t.TempDir() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			blobtest.Run(t, func(t *testing.T) blobtest.Harness {
				e := start(t, emulator.Options{Bucket: "lectern", Folder: folder(t)})
				return blobtest.Harness{Bucket: open(t, e), HTTP: http.DefaultClient}
			})
		})
	}
}

// An answer that is lost after the write was done must not make the write fail,
// nor make it happen twice.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]blob.WriteOptions{
		"create only": {CreateOnly: true},
		"overwrite":   {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := start(t, emulator.Options{Bucket: "lectern"})
			if !opts.CreateOnly {
				write(t, open(t, e), "k", "old")
			}
			lossy := &lossy{lose: 2}
			b := openThrough(t, e, lossy)
			info, err := b.Write(t.Context(), "k", strings.NewReader("new"), opts)
			if err != nil {
				t.Fatal(err)
			}
			stat, err := open(t, e).Stat(t.Context(), "k")
			if err != nil || stat.Generation != info.Generation {
				t.Errorf("stored generation %d, told %d: %v", stat.Generation, info.Generation, err)
			}
			if lossy.lost.Load() != 2 {
				t.Errorf("%d answers were lost, want 2", lossy.lost.Load())
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	e := start(t, emulator.Options{Bucket: "lectern"})
	b := openThrough(t, e, roundTripper(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.Stat(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stat: %v, want the caller's own deadline", err)
	}
	b = openThrough(t, e, roundTripper(func(req *http.Request) (*http.Response, error) {
		return nil, errors.New("tls: unknown authority")
	}))
	if _, err := b.Stat(t.Context(), "k"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("stat: %v, want Unavailable", err)
	}
}

func TestDownloadURLsAreKept(t *testing.T) {
	t.Parallel()
	e := start(t, emulator.Options{Bucket: "lectern"})
	cfg := e.Config()
	var signed atomic.Int32
	sign := cfg.SignBytes
	cfg.SignBytes = func(b []byte) ([]byte, error) { signed.Add(1); return sign(b) }
	b, err := gcs.Open(t.Context(), cfg, e.ClientOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	for range 3 {
		for _, key := range []string{"a", "b"} {
			if _, err := b.SignDownload(t.Context(), key, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	if signed.Load() != 2 {
		t.Errorf("signed %d times, want 2", signed.Load())
	}
}

func TestSigningHasADeadline(t *testing.T) {
	t.Parallel()
	e := start(t, emulator.Options{Bucket: "lectern"})
	cfg := e.Config()
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	cfg.SignBytes = func([]byte) ([]byte, error) { <-hang; return nil, io.EOF }
	b, err := gcs.Open(t.Context(), cfg, e.ClientOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := b.SignDownload(ctx, "a", time.Hour); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want Unavailable", err)
	}
}

// lossy lets the first requests that write go through, and loses their answers.
type lossy struct {
	lose int32
	lost atomic.Int32
}

func (l *lossy) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err == nil && req.Method != http.MethodGet && l.lost.Load() < l.lose {
		l.lost.Add(1)
		_ = res.Body.Close()
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	}
	return res, err
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func start(t *testing.T, opts emulator.Options) *emulator.Emulator {
	t.Helper()
	e, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func open(t *testing.T, e *emulator.Emulator) *gcs.Bucket {
	t.Helper()
	b, err := e.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func openThrough(t *testing.T, e *emulator.Emulator, transport http.RoundTripper) *gcs.Bucket {
	t.Helper()
	b, err := gcs.Open(t.Context(), e.Config(), append(e.ClientOptions(),
		option.WithHTTPClient(&http.Client{Transport: e.Authorized(transport)}))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func write(t *testing.T, b blob.Store, key, data string) blob.Info {
	t.Helper()
	info, err := b.Write(t.Context(), key, strings.NewReader(data), blob.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return info
}
