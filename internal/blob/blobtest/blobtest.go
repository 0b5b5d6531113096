// Package blobtest is what every blob.Bucket must pass.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/fault"
)

// Harness is one empty bucket.
type Harness struct {
	Bucket blob.Bucket
	// HTTP follows the bucket's signed URLs; nil when nothing serves them.
	HTTP *http.Client
}

// Run tests the bucket that open gives.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for name, test := range map[string]func(*testing.T, blob.Bucket){
		"round trip":                 roundTrip,
		"ranges":                     ranges,
		"overwrite":                  overwrite,
		"create only":                createOnly,
		"create only, one winner":    oneWinner,
		"nothing of a broken write":  brokenWrite,
		"nothing of a canceled":      canceledWrite,
		"absent":                     absent,
		"delete twice":               deleteTwice,
		"list by prefix in order":    list,
		"delete by prefix":           deletePrefix,
		"more than one chunk":        large,
		"an ended context is obeyed": endedContext,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t).Bucket)
		})
	}
	for name, test := range map[string]func(*testing.T, Harness){
		"signed upload":            signedUpload,
		"signed upload, limits":    signedLimits,
		"signed download, ranges":  signedDownload,
		"signature of another key": foreignSignature,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			if h.HTTP == nil {
				t.Skip("nothing serves this bucket's signed URLs")
			}
			test(t, h)
		})
	}
}

func roundTrip(t *testing.T, b blob.Bucket) {
	written, err := b.Write(t.Context(), "a/b.txt", strings.NewReader("hello"), blob.WriteOptions{
		ContentType: "text/plain", CacheControl: "no-store", Metadata: map[string]string{"lesson": "les_1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	stat, err := b.Stat(t.Context(), "a/b.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range []blob.Info{written, stat} {
		if info.Key != "a/b.txt" || info.Size != 5 || info.ContentType != "text/plain" || info.Generation == 0 {
			t.Errorf("info = %+v", info)
		}
		if len(info.Metadata) != 1 || info.Metadata["lesson"] != "les_1" {
			t.Errorf("metadata = %v, want what was written", info.Metadata)
		}
		if time.Since(info.Created).Abs() > time.Minute {
			t.Errorf("created %v", info.Created)
		}
	}
	if got := read(t, b, "a/b.txt", 0, -1); got != "hello" {
		t.Errorf("read %q", got)
	}
}

func ranges(t *testing.T, b blob.Bucket) {
	write(t, b, "r", "0123456789", blob.WriteOptions{})
	write(t, b, "empty", "", blob.WriteOptions{})
	for _, c := range []struct {
		key            string
		offset, length int64
		want           string
	}{{"r", 0, 3, "012"}, {"r", 7, -1, "789"}, {"r", 7, 99, "789"}, {"r", 3, 0, ""}, {"empty", 0, -1, ""}} {
		if got := read(t, b, c.key, c.offset, c.length); got != c.want {
			t.Errorf("%s[%d:+%d] = %q, want %q", c.key, c.offset, c.length, got, c.want)
		}
	}
	if _, _, err := b.Open(t.Context(), "r", 10, -1); !fault.Is(err, fault.Invalid) {
		t.Errorf("beyond the end: %v, want Invalid", err)
	}
}

func overwrite(t *testing.T, b blob.Bucket) {
	first := write(t, b, "k", "one", blob.WriteOptions{})
	second := write(t, b, "k", "two", blob.WriteOptions{})
	if second.Generation <= first.Generation {
		t.Errorf("generation went from %d to %d", first.Generation, second.Generation)
	}
	if got := read(t, b, "k", 0, -1); got != "two" {
		t.Errorf("read %q", got)
	}
}

func createOnly(t *testing.T, b blob.Bucket) {
	write(t, b, "k", "one", blob.WriteOptions{CreateOnly: true})
	_, err := b.Write(t.Context(), "k", strings.NewReader("two"), blob.WriteOptions{CreateOnly: true})
	if !errors.Is(err, blob.ErrExists) {
		t.Errorf("second create: %v, want ErrExists", err)
	}
	if got := read(t, b, "k", 0, -1); got != "one" {
		t.Errorf("read %q", got)
	}
}

func oneWinner(t *testing.T, b blob.Bucket) {
	var group sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		group.Go(func() {
			_, errs[i] = b.Write(t.Context(), "k", strings.NewReader(fmt.Sprint(i)), blob.WriteOptions{CreateOnly: true})
		})
	}
	group.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("%d and %d both created it", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, blob.ErrExists):
			t.Errorf("%d: %v", i, err)
		}
	}
	if got := read(t, b, "k", 0, -1); got != fmt.Sprint(winner) {
		t.Errorf("read %q, winner %d", got, winner)
	}
}

func brokenWrite(t *testing.T, b blob.Bucket) {
	broken := errors.New("the disk is gone")
	r := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken))
	if _, err := b.Write(t.Context(), "k", r, blob.WriteOptions{}); !errors.Is(err, broken) {
		t.Errorf("write: %v, want the reader's error", err)
	}
	if _, err := b.Stat(t.Context(), "k"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat: %v, want ErrNotFound", err)
	}
}

func canceledWrite(t *testing.T, b blob.Bucket) {
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(strings.NewReader("half"), readerFunc(func(p []byte) (int, error) {
		cancel()
		return copy(p, "more"), io.EOF
	}))
	if _, err := b.Write(ctx, "k", r, blob.WriteOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("write: %v, want Canceled", err)
	}
	if _, err := b.Stat(t.Context(), "k"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat: %v, want ErrNotFound", err)
	}
}

func absent(t *testing.T, b blob.Bucket) {
	if _, err := b.Stat(t.Context(), "none"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
	if _, _, err := b.Open(t.Context(), "none", 0, -1); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("open: %v", err)
	}
	if infos, err := b.List(t.Context(), "none/"); err != nil || len(infos) != 0 {
		t.Errorf("list: %v, %v", infos, err)
	}
}

func deleteTwice(t *testing.T, b blob.Bucket) {
	write(t, b, "k", "x", blob.WriteOptions{})
	for range 2 {
		if err := b.Delete(t.Context(), "k"); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.Stat(t.Context(), "k"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat: %v, want ErrNotFound", err)
	}
}

func list(t *testing.T, b blob.Bucket) {
	for _, key := range []string{"v/b/2", "v/a", "w/x", "v/b/1"} {
		write(t, b, key, key, blob.WriteOptions{ContentType: "text/plain"})
	}
	infos, err := b.List(t.Context(), "v/")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, info := range infos {
		keys = append(keys, info.Key)
		if info.Size != int64(len(info.Key)) || info.Generation == 0 || info.ContentType != "text/plain" {
			t.Errorf("info = %+v", info)
		}
	}
	if got := strings.Join(keys, " "); got != "v/a v/b/1 v/b/2" {
		t.Errorf("keys = %s", got)
	}
}

func deletePrefix(t *testing.T, b blob.Bucket) {
	for _, key := range []string{"v/1", "v/2", "w"} {
		write(t, b, key, key, blob.WriteOptions{})
	}
	if n, err := blob.DeletePrefix(t.Context(), b, "v/"); n != 2 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	if infos, err := b.List(t.Context(), ""); err != nil || len(infos) != 1 || infos[0].Key != "w" {
		t.Errorf("left: %v, %v", infos, err)
	}
}

// large passes the chunk size of resumable uploads, from a reader that does not tell its size.
func large(t *testing.T, b blob.Bucket) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 5<<20/16)
	info, err := b.Write(t.Context(), "large", io.MultiReader(bytes.NewReader(data)), blob.WriteOptions{CreateOnly: true})
	if err != nil || info.Size != int64(len(data)) {
		t.Fatalf("wrote %d bytes: %v", info.Size, err)
	}
	if got := read(t, b, "large", 0, -1); got != string(data) {
		t.Errorf("read %d other bytes", len(got))
	}
}

func endedContext(t *testing.T, b blob.Bucket) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Write(ctx, "k", strings.NewReader("x"), blob.WriteOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("write: %v", err)
	}
	if _, err := b.Stat(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("stat: %v", err)
	}
}

func write(t *testing.T, b blob.Bucket, key, data string, opts blob.WriteOptions) blob.Info {
	t.Helper()
	info, err := b.Write(t.Context(), key, strings.NewReader(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func read(t *testing.T, b blob.Bucket, key string, offset, length int64) string {
	t.Helper()
	r, _, err := b.Open(t.Context(), key, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
