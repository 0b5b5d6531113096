package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/gcp/dispatch"
	"lectern.dev/lectern/internal/gcp/gcs"
	"lectern.dev/lectern/internal/gcp/gcs/emulator"
)

// storageObject is what a function reads of an event: int64s are JSON strings.
type storageObject struct {
	ID             string            `json:"id"`
	Bucket         string            `json:"bucket"`
	Name           string            `json:"name"`
	ContentType    string            `json:"contentType"`
	Generation     int64             `json:"generation,string"`
	Metageneration int64             `json:"metageneration,string"`
	Size           int64             `json:"size,string"`
	Metadata       map[string]string `json:"metadata"`
	TimeCreated    time.Time         `json:"timeCreated"`
}

// receiver decodes events with the CloudEvents SDK, as the Functions Framework does.
func receiver(t *testing.T, got chan<- storageObject) http.Handler {
	t.Helper()
	protocol, err := cloudevents.NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	h, err := cloudevents.NewHTTPReceiveHandler(context.Background(), protocol, func(_ context.Context, e cloudevents.Event) error {
		var o storageObject
		if err := e.DataAs(&o); err != nil {
			return err
		}
		if e.Type() != "google.cloud.storage.object.v1.finalized" || e.Source() != "//storage.googleapis.com/projects/_/buckets/lectern" ||
			e.Subject() != "objects/"+o.Name || e.Extensions()["bucket"] != "lectern" || e.ID() == "" || e.Time().IsZero() {
			return fmt.Errorf("odd event: %v", e)
		}
		got <- o
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestEveryUploadIsAnnounced(t *testing.T) {
	t.Parallel()
	got := make(chan storageObject, 10)
	e, b := start(t, emulator.Options{Bucket: "lectern", Events: emulator.Events{
		URL: "http://finalize.test/", Client: dispatch.Client(receiver(t, got)), FirstRetry: time.Millisecond,
	}})
	_ = e

	small, err := b.Write(t.Context(), "small", strings.NewReader("x"), blob.WriteOptions{
		ContentType: "text/plain", Metadata: map[string]string{"lesson": "les_1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	o := receive(t, got)
	if o.Name != "small" || o.Bucket != "lectern" || o.Generation != small.Generation || o.Size != 1 || o.ContentType != "text/plain" ||
		o.Metadata["lesson"] != "les_1" || o.Metageneration != 1 || o.ID != fmt.Sprintf("lectern/small/%d", small.Generation) ||
		time.Since(o.TimeCreated).Abs() > time.Minute {
		t.Errorf("announced %+v", o)
	}

	resumable, err := b.Write(t.Context(), "resumable", io.LimitReader(zeros{}, 5<<20), blob.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if o := receive(t, got); o.Name != "resumable" || o.Generation != resumable.Generation || o.Size != 5<<20 {
		t.Errorf("announced %+v", o)
	}

	if res := put(t, b, "signed/upload", "hello"); res.StatusCode != http.StatusOK || res.Header.Get("X-Goog-Generation") == "" {
		t.Fatalf("signed PUT: %s %v", res.Status, res.Header)
	}
	if o := receive(t, got); o.Name != "signed/upload" || o.Size != 5 || o.ContentType != "text/plain" {
		t.Errorf("announced %+v", o)
	}

	if _, err := b.Write(t.Context(), "small", strings.NewReader("y"), blob.WriteOptions{CreateOnly: true}); !errors.Is(err, blob.ErrExists) {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "small"); err != nil {
		t.Fatal(err)
	}
	select {
	case o := <-got:
		t.Errorf("also announced %+v", o)
	case <-time.After(50 * time.Millisecond):
	}
}

func TestEventsAreRepeatedUntilTaken(t *testing.T) {
	t.Parallel()
	got := make(chan storageObject, 10)
	var calls atomic.Int32
	taking := receiver(t, got)
	_, b := start(t, emulator.Options{Bucket: "lectern", Events: emulator.Events{
		URL: "http://finalize.test/", FirstRetry: time.Millisecond,
		Client: dispatch.Client(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) <= 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			taking.ServeHTTP(w, r)
		})),
	}})
	write(t, b, "k")
	receive(t, got)
	if calls.Load() != 4 {
		t.Errorf("%d deliveries", calls.Load())
	}
}

func TestEventsByPlan(t *testing.T) {
	t.Parallel()
	got := make(chan storageObject, 10)
	const delay = 100 * time.Millisecond
	plans := map[string][]time.Duration{"lost": nil, "twice": {0, 0}, "late": {delay}}
	_, b := start(t, emulator.Options{Bucket: "lectern", Events: emulator.Events{
		URL: "http://finalize.test/", Client: dispatch.Client(receiver(t, got)),
		Plan: func(e emulator.Event) []time.Duration { return plans[e.Object] },
	}})
	begin := time.Now()
	for _, key := range []string{"lost", "late", "twice"} {
		write(t, b, key)
	}
	seen := make(map[string]int)
	for range 3 {
		name := receive(t, got).Name
		seen[name]++
		if name == "late" && time.Since(begin) < delay {
			t.Errorf("the late one came after %v", time.Since(begin))
		}
	}
	if seen["twice"] != 2 || seen["late"] != 1 {
		t.Errorf("seen %v", seen)
	}
}

func TestSecondStart(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first, err := emulator.Start(emulator.Options{Bucket: "lectern", Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	b, err := first.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	written := write(t, b, "a/b")
	url, err := b.SignDownload(t.Context(), "a/b", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	first.Close()
	// What a crash leaves between content and attributes.
	if err := os.WriteFile(filepath.Join(folder, "objects", "lectern", "torn"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}

	second, b := start(t, emulator.Options{Bucket: "lectern", Folder: folder})
	infos, err := b.List(t.Context(), "")
	if err != nil || len(infos) != 1 || infos[0].Generation != written.Generation {
		t.Errorf("found %+v, %v", infos, err)
	}
	_, query, _ := strings.Cut(url, "?")
	path := "/lectern/a/b?" + query
	res, err := dispatch.Client(second).Get("http://127.0.0.1" + path)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the old URL answers %s", res.Status)
	}
}

// A folder that was copied without its attributes is not emptied: they can be copied
// again.
func TestACopyWithoutAttributesIsKept(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	objects := filepath.Join(folder, "objects", "lectern")
	if err := os.MkdirAll(objects, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if err := os.WriteFile(filepath.Join(objects, fmt.Sprint("film", i)), []byte("film"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := emulator.Start(emulator.Options{Bucket: "lectern", Folder: folder})
	left, _ := os.ReadDir(objects)
	if err == nil || !strings.Contains(err.Error(), "cp -a") || len(left) != 30 {
		t.Errorf("%d objects are left: %v", len(left), err)
	}
}

func TestAPIWantsThePassword(t *testing.T) {
	t.Parallel()
	e, b := start(t, emulator.Options{Bucket: "lectern"})
	write(t, b, "k")
	for _, path := range []string{"/storage/v1/b/lectern/o/k?alt=media", "/upload/storage/v1/b/lectern/o?uploadType=media&name=x", "/_internal/config", "/lectern", "/other/k"} {
		res, err := dispatch.Client(e).Post("http://127.0.0.1"+path, "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	e, b := start(t, emulator.Options{Bucket: "lectern", Origins: []string{"https://app.example"}})
	write(t, b, "k")
	url, err := b.SignDownload(t.Context(), "k", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]string{"https://app.example": "https://app.example", "https://evil.example": "", "": ""} {
		for _, method := range []string{http.MethodGet, http.MethodOptions} {
			req, _ := http.NewRequestWithContext(t.Context(), method, url, nil)
			if origin != "" {
				req.Header.Set("Origin", origin)
			}
			res, err := dispatch.Client(e).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if got := res.Header.Get("Access-Control-Allow-Origin"); got != want || res.StatusCode != http.StatusOK {
				t.Errorf("%s from %q: %s, allowed %q", method, origin, res.Status, got)
			}
		}
	}
}

// A slow upload must not stop other calls.
func TestSlowUpload(t *testing.T) {
	t.Parallel()
	_, b := start(t, emulator.Options{Bucket: "lectern"})
	signed, err := b.SignUpload(t.Context(), "slow", blob.UploadOptions{ContentType: "text/plain", MaxBytes: 100, Valid: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	body, sender := io.Pipe()
	var uploading sync.WaitGroup
	uploading.Go(func() {
		if res := send(t, signed, body); res != http.StatusOK {
			t.Errorf("answered %d", res)
		}
	})
	_, _ = io.WriteString(sender, "half")
	write(t, b, "k")
	_, _ = io.WriteString(sender, "half")
	_ = sender.Close()
	uploading.Wait()
	if info, err := b.Stat(t.Context(), "slow"); err != nil || info.Size != 8 {
		t.Errorf("%+v, %v", info, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func start(t *testing.T, opts emulator.Options) (*emulator.Emulator, *gcs.Bucket) {
	t.Helper()
	e, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	b, err := e.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return e, b
}

func write(t *testing.T, b blob.Store, key string) blob.Info {
	t.Helper()
	info, err := b.Write(t.Context(), key, strings.NewReader(key), blob.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func put(t *testing.T, b *gcs.Bucket, key, body string) *http.Response {
	t.Helper()
	signed, err := b.SignUpload(t.Context(), key, blob.UploadOptions{ContentType: "text/plain", MaxBytes: 100, Valid: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequestWithContext(t.Context(), signed.Method, signed.URL, strings.NewReader(body))
	for name, value := range signed.Headers {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res
}

func send(t *testing.T, signed blob.SignedRequest, body io.Reader) int {
	req, _ := http.NewRequestWithContext(t.Context(), signed.Method, signed.URL, body)
	for name, value := range signed.Headers {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func receive(t *testing.T, got <-chan storageObject) storageObject {
	t.Helper()
	select {
	case o := <-got:
		return o
	case <-time.After(10 * time.Second):
		t.Fatal("no event came")
		return storageObject{}
	}
}
