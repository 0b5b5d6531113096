// Package blob is the port to object storage.
package blob

import (
	"context"
	"errors"
	"io"
	"time"
)

// Store keeps objects. Keys are relative paths without "..", made by us and never
// from user text. Implementations are safe for concurrent use, put a deadline on
// every call and give fault kinds: Unavailable when trying again can help.
type Store interface {
	// Write stores r under key in one piece: a reader sees the whole object or none of it.
	// If r or ctx fails, nothing is stored. With opts.CreateOnly an existing object is left
	// alone and ErrExists comes back.
	Write(ctx context.Context, key string, r io.Reader, opts WriteOptions) (Info, error)
	// Open reads from offset on; length < 0 reads to the end. ErrNotFound when there is none.
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error)
	// Stat describes an object; ErrNotFound when there is none.
	Stat(ctx context.Context, key string) (Info, error)
	// Delete removes an object; removing what is not there is no error.
	Delete(ctx context.Context, key string) error
}

// Lister finds objects by prefix, in key order.
type Lister interface {
	List(ctx context.Context, prefix string) ([]Info, error)
}

// Signer makes URLs that carry their own permission.
type Signer interface {
	// SignUpload lets its holder PUT exactly one new object of that type and at most that size.
	SignUpload(ctx context.Context, key string, up UploadOptions) (SignedRequest, error)
	// SignDownload lets its holder GET the object, ranges included, until the time is over.
	SignDownload(ctx context.Context, key string, valid time.Duration) (string, error)
}

// Bucket is all of it.
type Bucket interface {
	Store
	Lister
	Signer
}

// Info describes a stored object.
type Info struct {
	Key         string
	Size        int64 // bytes
	ContentType string
	Generation  int64             // rises with every overwrite of the key
	Metadata    map[string]string // as written; nil when not asked for (List)
	Created     time.Time
}

// WriteOptions say how to store.
type WriteOptions struct {
	ContentType  string
	CacheControl string
	CreateOnly   bool
	Metadata     map[string]string
}

// UploadOptions limit a signed upload.
type UploadOptions struct {
	ContentType string
	MaxBytes    int64
	Valid       time.Duration
}

// SignedRequest is what the browser must send, exactly.
type SignedRequest struct {
	URL     string
	Method  string
	Headers map[string]string
}

// ErrNotFound and ErrExists are tested with errors.Is.
var (
	ErrNotFound = errors.New("object not found")
	ErrExists   = errors.New("object already exists")
)

// DeletePrefix removes every object whose key begins with prefix and tells how many there were.
func DeletePrefix(ctx context.Context, b interface {
	Store
	Lister
}, prefix string,
) (int, error) {
	objects, err := b.List(ctx, prefix)
	if err != nil {
		return 0, err
	}
	for i, o := range objects {
		if err := b.Delete(ctx, o.Key); err != nil {
			return i, err
		}
	}
	return len(objects), nil
}
