package gcs

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"cloud.google.com/go/storage"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/fault"
)

const (
	signTime   = 10 * time.Second // signing may be a call to IAM, which the client makes without a deadline
	cachedURLs = 10_000
)

// signer makes V4 signed URLs (the client's default is V2). Download URLs are
// kept and given again for half of their life, since each costs a call to IAM
// and browsers cache by URL.
type signer struct {
	handle *storage.BucketHandle
	cfg    Config

	mu        sync.Mutex
	downloads map[string]signedURL // by key and validity
}

type signedURL struct {
	url   string
	until time.Time // no longer given out after this
}

func newSigner(handle *storage.BucketHandle, cfg Config) *signer {
	return &signer{handle: handle, cfg: cfg, downloads: make(map[string]signedURL)}
}

// SignUpload implements blob.Signer. The three headers are part of the
// signature, so the storage itself refuses another type, a larger body (400) or
// an object that exists (412).
func (b *Bucket) SignUpload(ctx context.Context, key string, up blob.UploadOptions) (blob.SignedRequest, error) {
	limits := map[string]string{
		"x-goog-if-generation-match":  "0",
		"x-goog-content-length-range": fmt.Sprintf("0,%d", up.MaxBytes),
	}
	opts := &storage.SignedURLOptions{Method: http.MethodPut, ContentType: up.ContentType, Expires: time.Now().Add(up.Valid)}
	for name, value := range limits {
		opts.Headers = append(opts.Headers, name+":"+value)
	}
	signed, err := b.sign.url(ctx, key, opts)
	if err != nil {
		return blob.SignedRequest{}, err
	}
	limits["Content-Type"] = up.ContentType
	return blob.SignedRequest{URL: signed, Method: http.MethodPut, Headers: limits}, nil
}

// SignDownload implements blob.Signer; the URL is valid for at least half of the time asked for.
func (b *Bucket) SignDownload(ctx context.Context, key string, valid time.Duration) (string, error) {
	name := fmt.Sprintf("%s?%d", key, valid)
	now := time.Now()
	if known, ok := b.sign.known(name, now); ok {
		return known, nil
	}
	signed, err := b.sign.url(ctx, key, &storage.SignedURLOptions{Method: http.MethodGet, Expires: now.Add(valid)})
	if err != nil {
		return "", err
	}
	b.sign.keep(name, signedURL{signed, now.Add(valid / 2)})
	return signed, nil
}

func (s *signer) known(name string, now time.Time) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.downloads[name]
	return kept.url, ok && now.Before(kept.until)
}

func (s *signer) keep(name string, signed signedURL) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.downloads) >= cachedURLs {
		clear(s.downloads)
	}
	s.downloads[name] = signed
}

func (s *signer) url(ctx context.Context, key string, opts *storage.SignedURLOptions) (string, error) {
	opts.Scheme = storage.SigningSchemeV4
	opts.GoogleAccessID, opts.SignBytes = s.cfg.SignerEmail, s.cfg.SignBytes
	if s.cfg.PublicURL != "" {
		public, err := url.Parse(s.cfg.PublicURL)
		if err != nil {
			return "", fmt.Errorf("public URL of the bucket: %w", err)
		}
		opts.Hostname, opts.Insecure = public.Host, public.Scheme == "http"
	}
	type outcome struct {
		url string
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		signed, err := s.handle.SignedURL(key, opts)
		done <- outcome{signed, err}
	}()
	ctx, cancel := context.WithTimeout(ctx, signTime)
	defer cancel()
	select {
	case o := <-done:
		if o.err != nil {
			return "", fault.Wrap(fault.Unavailable, o.err, "The address of the file cannot be signed now. Try again in a moment.")
		}
		return o.url, nil
	case <-ctx.Done():
		return "", fault.Wrap(fault.Unavailable, ctx.Err(), "The address of the file cannot be signed now. Try again in a moment.")
	}
}
