package blobtest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/internal/blob"
)

func signedUpload(t *testing.T, h Harness) {
	up := blob.UploadOptions{ContentType: "text/markdown", MaxBytes: 10, Valid: time.Minute}
	req, err := h.Bucket.SignUpload(t.Context(), "sources/a b/upload", up)
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := send(t, h, req, "# Title"); status != http.StatusOK {
		t.Fatalf("upload answered %d", status)
	}
	info, err := h.Bucket.Stat(t.Context(), "sources/a b/upload")
	if err != nil || info.Size != 7 || info.ContentType != "text/markdown" {
		t.Errorf("stored %+v, %v", info, err)
	}
	if status, _ := send(t, h, req, "# Other"); status != http.StatusPreconditionFailed {
		t.Errorf("the same URL a second time answered %d", status)
	}
	if got := read(t, h.Bucket, "sources/a b/upload", 0, -1); got != "# Title" {
		t.Errorf("it holds %q", got)
	}
}

func signedLimits(t *testing.T, h Harness) {
	up := blob.UploadOptions{ContentType: "text/plain", MaxBytes: 4, Valid: time.Minute}
	for name, c := range map[string]struct {
		change func(*blob.SignedRequest)
		body   string
		want   int
	}{
		"too large":           {func(*blob.SignedRequest) {}, "12345", http.StatusBadRequest},
		"another type":        {func(r *blob.SignedRequest) { r.Headers["Content-Type"] = "text/html" }, "1", http.StatusForbidden},
		"no type":             {func(r *blob.SignedRequest) { delete(r.Headers, "Content-Type") }, "1", http.StatusForbidden},
		"no create-only":      {without("x-goog-if-generation-match"), "1", http.StatusForbidden},
		"no range":            {without("x-goog-content-length-range"), "1", http.StatusForbidden},
		"a GET with PUT's":    {func(r *blob.SignedRequest) { r.Method = http.MethodGet }, "", http.StatusForbidden},
		"a broken signature":  {func(r *blob.SignedRequest) { r.URL = flipLast(r.URL) }, "1", http.StatusForbidden},
		"no signature at all": {func(r *blob.SignedRequest) { r.URL, _, _ = strings.Cut(r.URL, "?") }, "1", http.StatusForbidden},
	} {
		req, err := h.Bucket.SignUpload(t.Context(), "limited", up)
		if err != nil {
			t.Fatal(err)
		}
		c.change(&req)
		if status, _ := send(t, h, req, c.body); status != c.want {
			t.Errorf("%s: answered %d, want %d", name, status, c.want)
		}
	}
	if _, err := h.Bucket.Stat(t.Context(), "limited"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat: %v, want ErrNotFound", err)
	}
}

func signedDownload(t *testing.T, h Harness) {
	write(t, h.Bucket, "v/é 1.mp4", "0123456789", blob.WriteOptions{ContentType: "video/mp4", CacheControl: "private, max-age=60"})
	url, err := h.Bucket.SignDownload(t.Context(), "v/é 1.mp4", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		wanted string
		status int
		body   string
		header string
	}{
		{"", http.StatusOK, "0123456789", ""},
		{"bytes=2-4", http.StatusPartialContent, "234", "bytes 2-4/10"},
		{"bytes=7-", http.StatusPartialContent, "789", "bytes 7-9/10"},
		{"bytes=-2", http.StatusPartialContent, "89", "bytes 8-9/10"},
		{"bytes=10-", http.StatusRequestedRangeNotSatisfiable, "", "bytes */10"},
	} {
		req := blob.SignedRequest{URL: url, Method: http.MethodGet}
		if c.wanted != "" {
			req.Headers = map[string]string{"Range": c.wanted}
		}
		status, answer := send(t, h, req, "")
		if status != c.status || answer.header.Get("Content-Range") != c.header {
			t.Errorf("Range %q: %d, Content-Range %q", c.wanted, status, answer.header.Get("Content-Range"))
		}
		if c.body != "" && answer.body != c.body {
			t.Errorf("Range %q: body %q", c.wanted, answer.body)
		}
		if c.status < 300 && (answer.header.Get("Content-Type") != "video/mp4" || answer.header.Get("Cache-Control") != "private, max-age=60") {
			t.Errorf("Range %q: headers %v", c.wanted, answer.header)
		}
	}
}

func foreignSignature(t *testing.T, h Harness) {
	write(t, h.Bucket, "mine", "x", blob.WriteOptions{})
	write(t, h.Bucket, "theirs", "secret", blob.WriteOptions{})
	url, err := h.Bucket.SignDownload(t.Context(), "mine", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	url = strings.Replace(url, "/mine?", "/theirs?", 1)
	if status, answer := send(t, h, blob.SignedRequest{URL: url, Method: http.MethodGet}, ""); status != http.StatusForbidden {
		t.Errorf("answered %d %q, want 403", status, answer.body)
	}
}

type answer struct {
	header http.Header
	body   string
}

func send(t *testing.T, h Harness, signed blob.SignedRequest, body string) (int, answer) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), signed.Method, signed.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range signed.Headers {
		req.Header.Set(name, value)
	}
	res, err := h.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer{res.Header, string(data)}
}

func without(header string) func(*blob.SignedRequest) {
	return func(r *blob.SignedRequest) {
		for name := range r.Headers {
			if strings.EqualFold(name, header) {
				delete(r.Headers, name)
			}
		}
	}
}

func flipLast(url string) string {
	last := url[len(url)-1]
	if last == '0' {
		return url[:len(url)-1] + "1"
	}
	return url[:len(url)-1] + "0"
}
