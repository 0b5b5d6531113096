package blob

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"lectern.dev/lectern/internal/fault"
)

// Memory is a Bucket for tests. Its signed URLs ("memory:///key?…") name the
// object and its limits, but nothing serves them; there are no events and no
// Cache-Control. The zero value is an empty bucket.
type Memory struct {
	mu         sync.Mutex
	objects    map[string]memoryObject
	generation int64
	failure    error
}

type memoryObject struct {
	info Info
	data []byte
}

var _ Bucket = (*Memory)(nil)

// Fail makes every call from now on fail with err; nil ends it.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
}

// Write implements Store.
func (m *Memory) Write(ctx context.Context, key string, r io.Reader, opts WriteOptions) (Info, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx); err != nil {
		return Info{}, err
	}
	if _, there := m.objects[key]; there && opts.CreateOnly {
		return Info{}, fmt.Errorf("%s: %w", key, ErrExists)
	}
	if m.objects == nil {
		m.objects = make(map[string]memoryObject)
	}
	m.generation++
	info := Info{
		Key: key, Size: int64(len(data)), ContentType: opts.ContentType,
		Generation: m.generation, Metadata: maps.Clone(opts.Metadata), Created: time.Now(),
	}
	m.objects[key] = memoryObject{info, data}
	return info, nil
}

// Open implements Store.
func (m *Memory) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error) {
	object, err := m.find(ctx, key)
	if err != nil {
		return nil, Info{}, err
	}
	size := object.info.Size
	if offset < 0 || offset > size || offset == size && size > 0 {
		return nil, Info{}, fault.New(fault.Invalid, "The range begins after the end of the object.")
	}
	end := size
	if length >= 0 {
		end = min(size, offset+length)
	}
	return io.NopCloser(bytes.NewReader(object.data[offset:end])), object.info, nil
}

// Stat implements Store.
func (m *Memory) Stat(ctx context.Context, key string) (Info, error) {
	object, err := m.find(ctx, key)
	return object.info, err
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx); err != nil {
		return err
	}
	delete(m.objects, key)
	return nil
}

// List implements Lister.
func (m *Memory) List(ctx context.Context, prefix string) ([]Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx); err != nil {
		return nil, err
	}
	var infos []Info
	for _, key := range slices.Sorted(maps.Keys(m.objects)) {
		if strings.HasPrefix(key, prefix) {
			info := m.objects[key].info
			info.Metadata = nil
			infos = append(infos, info)
		}
	}
	return infos, nil
}

// SignUpload implements Signer.
func (m *Memory) SignUpload(ctx context.Context, key string, up UploadOptions) (SignedRequest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return SignedRequest{
		URL:    memoryURL(key, "upload", up.Valid),
		Method: "PUT",
		Headers: map[string]string{
			"Content-Type":                up.ContentType,
			"X-Goog-If-Generation-Match":  "0",
			"X-Goog-Content-Length-Range": fmt.Sprintf("0,%d", up.MaxBytes),
		},
	}, m.ready(ctx)
}

// SignDownload implements Signer.
func (m *Memory) SignDownload(ctx context.Context, key string, valid time.Duration) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return memoryURL(key, "download", valid), m.ready(ctx)
}

func memoryURL(key, use string, valid time.Duration) string {
	u := url.URL{Scheme: "memory", Path: "/" + key}
	u.RawQuery = url.Values{"for": {use}, "valid": {valid.String()}}.Encode()
	return u.String()
}

func (m *Memory) find(ctx context.Context, key string) (memoryObject, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx); err != nil {
		return memoryObject{}, err
	}
	object, there := m.objects[key]
	if !there {
		return memoryObject{}, fmt.Errorf("%s: %w", key, ErrNotFound)
	}
	object.info.Metadata = maps.Clone(object.info.Metadata)
	return object, nil
}

func (m *Memory) ready(ctx context.Context) error {
	if m.failure != nil {
		return m.failure
	}
	return ctx.Err()
}
