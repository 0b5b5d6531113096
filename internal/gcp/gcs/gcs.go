// Package gcs keeps objects in a Cloud Storage bucket.
//
// Rules of the service that shape it:
//   - A call is retried only if repeating it is safe, and then until its context
//     ends: so every write carries a precondition, and every call a deadline.
//   - A retried write whose first answer was lost meets its own precondition
//     (412). Each write is marked with a number of its own, so that it is known
//     again.
//   - An upload is abandoned by cancelling the writer's context, never by
//     closing it: closing publishes what was written so far.
//   - The event that says that an object is complete carries nothing of who wrote it,
//     but the object's metadata: each write puts its trail there.
package gcs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"os"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/trail"
)

const (
	callTime     = 20 * time.Second // a call that moves no content
	transferTime = 15 * time.Minute // a whole upload or download
	writeMark    = "lectern-write"  // metadata key: which write made this object
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Config names a bucket and how its URLs are signed.
type Config struct {
	Bucket string

	// The rest stays empty on Google Cloud: there the service account signs by
	// the IAM API (signBlob), for which it needs roles/iam.serviceAccountTokenCreator
	// on itself.

	SignerEmail string                       // whose signature it is
	SignBytes   func([]byte) ([]byte, error) // signs in place of IAM
	PublicURL   string                       // "http://host:port" of signed URLs; empty: the service's own
}

// Bucket is a blob.Bucket on Cloud Storage. It is safe for concurrent use.
type Bucket struct {
	client *storage.Client
	handle *storage.BucketHandle
	sign   *signer
}

var _ blob.Bucket = (*Bucket)(nil)

// Open makes a bucket's client with the ambient credentials, or against
// STORAGE_EMULATOR_HOST when that is set. It connects at first use.
func Open(ctx context.Context, cfg Config, opts ...option.ClientOption) (*Bucket, error) {
	if cfg.Bucket == "" {
		return nil, fault.New(fault.Invalid, "The name of the bucket is missing.")
	}
	client, err := storage.NewClient(ctx, append([]option.ClientOption{storage.WithJSONReads()}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("make the client of Cloud Storage: %w", err)
	}
	handle := client.Bucket(cfg.Bucket)
	return &Bucket{client: client, handle: handle, sign: newSigner(handle, cfg)}, nil
}

// Close lets go of the connections.
func (b *Bucket) Close() error { return b.client.Close() }

// Write implements blob.Store.
func (b *Bucket) Write(ctx context.Context, key string, r io.Reader, opts blob.WriteOptions) (blob.Info, error) {
	only, err := b.precondition(ctx, key, opts.CreateOnly)
	if err != nil {
		return blob.Info{}, err
	}
	writing, cancel := context.WithTimeout(ctx, transferTime)
	defer cancel()
	mark := rand.Text()
	w := b.handle.Object(key).If(only).NewWriter(writing)
	w.ChunkSize = chunkFor(r)
	w.ContentType = opts.ContentType
	w.CacheControl = opts.CacheControl
	w.Metadata = map[string]string{writeMark: mark}
	if whence := trail.From(ctx).String(); whence != "" {
		w.Metadata[trail.Beside] = whence
	}
	maps.Copy(w.Metadata, opts.Metadata)

	in := &source{r: r}
	if _, err = io.Copy(w, in); in.err != nil || ctx.Err() != nil {
		cancel()
		_ = w.Close()
		return blob.Info{}, cmp.Or(in.err, ctx.Err())
	}
	if closed := w.Close(); closed != nil {
		err = closed // says more than Copy's "closed pipe"
	}
	if err != nil {
		return b.settle(ctx, key, mark, opts.CreateOnly, err)
	}
	if w.Attrs().CRC32C != in.sum {
		_ = b.Delete(ctx, key)
		return blob.Info{}, fault.New(fault.Unavailable, "The storage received other bytes than were sent.")
	}
	return describe(w.Attrs()), nil
}

// precondition is what makes a write safe to repeat: it holds for the first of its tries only.
func (b *Bucket) precondition(ctx context.Context, key string, createOnly bool) (storage.Conditions, error) {
	if createOnly {
		return storage.Conditions{DoesNotExist: true}, nil
	}
	now, err := b.Stat(ctx, key)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return storage.Conditions{DoesNotExist: true}, nil
	case err != nil:
		return storage.Conditions{}, err
	}
	return storage.Conditions{GenerationMatch: now.Generation}, nil
}

// settle finds out what a failed write means. A precondition that failed is
// success when the object is ours: an earlier try went through unheard.
func (b *Bucket) settle(ctx context.Context, key, mark string, createOnly bool, err error) (blob.Info, error) {
	if status(err) != http.StatusPreconditionFailed {
		return blob.Info{}, failed(ctx, "write", key, err)
	}
	attrs, statErr := b.attrs(ctx, key)
	switch {
	case statErr == nil && attrs.Metadata[writeMark] == mark:
		return describe(attrs), nil
	case createOnly:
		return blob.Info{}, fmt.Errorf("%s: %w", key, blob.ErrExists)
	}
	return blob.Info{}, fault.Wrap(fault.Unavailable, err, "The object was changed at the same time by somebody else.")
}

// Open implements blob.Store. The checksum of a whole object is verified as its end is read.
func (b *Bucket) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, blob.Info, error) {
	reading, cancel := context.WithTimeout(ctx, transferTime)
	r, err := b.handle.Object(key).NewRangeReader(reading, offset, length)
	if err != nil {
		cancel()
		return nil, blob.Info{}, failed(ctx, "open", key, err)
	}
	info := blob.Info{
		Key: key, Size: r.Attrs.Size, ContentType: r.Attrs.ContentType, Generation: r.Attrs.Generation,
		Metadata: ours(r.Metadata()), Created: r.Attrs.LastModified,
	}
	return &download{r, cancel}, info, nil
}

// Stat implements blob.Store.
func (b *Bucket) Stat(ctx context.Context, key string) (blob.Info, error) {
	attrs, err := b.attrs(ctx, key)
	if err != nil {
		return blob.Info{}, failed(ctx, "stat", key, err)
	}
	return describe(attrs), nil
}

func (b *Bucket) attrs(ctx context.Context, key string) (*storage.ObjectAttrs, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return b.handle.Object(key).Attrs(ctx)
}

// Delete implements blob.Store. Repeating it is safe, since a key is never used for something else later.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	calling, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	object := b.handle.Object(key).Retryer(storage.WithPolicy(storage.RetryAlways))
	if err := object.Delete(calling); err != nil && !errors.Is(err, storage.ErrObjectNotExist) {
		return failed(ctx, "delete", key, err)
	}
	return nil
}

// List implements blob.Lister.
func (b *Bucket) List(ctx context.Context, prefix string) ([]blob.Info, error) {
	listing, cancel := context.WithTimeout(ctx, 3*callTime)
	defer cancel()
	query := &storage.Query{Prefix: prefix, Projection: storage.ProjectionNoACL}
	if err := query.SetAttrSelection([]string{"Name", "Size", "ContentType", "Generation", "Created"}); err != nil {
		return nil, err
	}
	var infos []blob.Info
	objects := b.handle.Objects(listing, query)
	for {
		attrs, err := objects.Next()
		if errors.Is(err, iterator.Done) {
			return infos, nil
		}
		if err != nil {
			return nil, failed(ctx, "list", prefix, err)
		}
		info := describe(attrs)
		info.Metadata = nil
		infos = append(infos, info)
	}
}

func describe(attrs *storage.ObjectAttrs) blob.Info {
	return blob.Info{
		Key: attrs.Name, Size: attrs.Size, ContentType: attrs.ContentType,
		Generation: attrs.Generation, Metadata: ours(attrs.Metadata), Created: attrs.Created,
	}
}

// ours is the metadata without our own mark; keys that came as headers of a download are in lower case.
func ours(metadata map[string]string) map[string]string {
	metadata = maps.Clone(metadata)
	delete(metadata, writeMark)
	return metadata
}

// chunkFor fits the writer's buffer to what there is to write: objects up to a
// chunk go in one request.
func chunkFor(r io.Reader) int {
	const small, usual, large = 256 << 10, 2 << 20, 8 << 20
	size := int64(usual)
	switch r := r.(type) {
	case interface{ Len() int }: // bytes and strings readers
		size = int64(r.Len()) + 1
	case *os.File:
		if info, err := r.Stat(); err == nil {
			size = info.Size() + 1
		}
	}
	return int(max(small, min(size, large)))
}

// source sums what is read, and tells the reader's errors from the writer's.
type source struct {
	r   io.Reader
	sum uint32 // CRC-32C
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum = crc32.Update(s.sum, castagnoli, p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

type download struct {
	*storage.Reader
	cancel context.CancelFunc
}

func (d *download) Close() error {
	defer d.cancel()
	return d.Reader.Close()
}

// failed gives err a kind. caller is the context of the caller, whose end is the caller's own affair.
func failed(caller context.Context, verb, key string, err error) error {
	if cause := caller.Err(); cause != nil {
		return fmt.Errorf("%s %s: %w", verb, key, cause)
	}
	switch code := status(err); {
	case errors.Is(err, storage.ErrObjectNotExist):
		return fmt.Errorf("%s: %w", key, blob.ErrNotFound)
	case code == http.StatusRequestedRangeNotSatisfiable:
		return fault.New(fault.Invalid, "The range begins after the end of the object.")
	case code >= 400 && code < 500 && code != http.StatusTooManyRequests && code != http.StatusRequestTimeout:
		return fmt.Errorf("%s %s: %w", verb, key, err)
	}
	return fault.Wrap(fault.Unavailable, fmt.Errorf("%s %s: %w", verb, key, err), "The storage does not answer. Try again in a moment.")
}

func status(err error) int {
	if e, ok := errors.AsType[*googleapi.Error](err); ok {
		return e.Code
	}
	return 0
}
