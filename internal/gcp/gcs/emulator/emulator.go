// Package emulator is a Cloud Storage for one machine: fake-gcs-server in this
// process, made honest where Lectern depends on it, with object-finalized events.
//
// What it adds to fake-gcs-server: V4 signatures, their expiry and their headers
// are checked; a signed PUT obeys x-goog-if-generation-match and
// x-goog-content-length-range; its JSON API wants the key of this emulator's own
// client; each new generation of an object is announced as Eventarc would
// (https://cloud.google.com/eventarc/docs/cloudevents); an object that a crash
// left half-written is swept at the next start.
//
// What is not as in Cloud Storage: signatures are HMACs although they say
// GOOG4-RSA-SHA256; preconditions of deletes, metadata updates and reads are
// ignored; several ranges in one request give the whole object; resumable
// uploads by signed URL and POST policies do not work; compose and rewrite
// announce nothing; an upload through the API is held in memory; "a" and "a/b"
// cannot both be objects when they are kept in a folder; a lost announcement is
// not made up for after a restart.
package emulator

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"google.golang.org/api/option"

	"lectern.dev/lectern/internal/gcp/gcs"
)

const (
	signer     = "emulator@lectern.invalid" // who signs URLs, in place of a service account
	publicHost = "storage.lectern.invalid"  // the host by which fake-gcs-server knows requests for objects
)

// Options say what is kept where and who hears of it.
type Options struct {
	Bucket string
	// Folder keeps objects and the signing key for the next start; empty keeps them in memory.
	Folder string
	// PublicURL is where browsers reach the emulator ("http://127.0.0.1:8080"),
	// when it is mounted on another server; empty: its own address.
	PublicURL string
	// Origins may use signed URLs from pages of their own (CORS), as the bucket's
	// configuration would allow them.
	Origins []string
	// Events says who hears of new objects; nobody when it has no URL.
	Events Events
}

// Emulator is a running bucket. It is an http.Handler, so that it can be mounted
// beside other handlers under "/{bucket}/".
type Emulator struct {
	opts   Options
	key    []byte // signs URLs, and is the password of the JSON API
	fake   *fakestorage.Server
	server *http.Server
	url    string
	events *deliverer
}

// Start begins to listen on a free port of 127.0.0.1.
func Start(opts Options) (*Emulator, error) {
	key, err := signingKey(opts.Folder)
	if err != nil {
		return nil, err
	}
	objects := ""
	if opts.Folder != "" {
		objects = filepath.Join(opts.Folder, "objects")
	}
	fake, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		NoListener: true, Scheme: "http", PublicHost: publicHost, StorageRoot: objects, Writer: io.Discard,
	})
	if err != nil {
		return nil, fmt.Errorf("start the storage emulator: %w", err)
	}
	if objects != "" {
		if err := sweep(fake, objects, opts.Bucket); err != nil {
			return nil, fmt.Errorf("look through the stored objects: %w", err)
		}
	}
	fake.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: opts.Bucket})

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the storage emulator: %w", err)
	}
	e := &Emulator{
		opts: opts, key: key, fake: fake,
		url:    "http://" + listener.Addr().String(),
		events: newDeliverer(opts.Events),
	}
	if e.opts.PublicURL == "" {
		e.opts.PublicURL = e.url
	}
	e.server = &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := e.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			slog.Error("the storage emulator stopped", "error", err)
		}
	}()
	return e, nil
}

// Close stops it and waits for deliveries that are under way.
func (e *Emulator) Close() {
	_ = e.server.Close()
	e.events.close()
	e.fake.Stop()
}

// Open gives the bucket through the real client.
func (e *Emulator) Open(ctx context.Context) (*gcs.Bucket, error) {
	return gcs.Open(ctx, e.Config(), e.ClientOptions()...)
}

// Config is the bucket as the emulator signs for it.
func (e *Emulator) Config() gcs.Config {
	return gcs.Config{
		Bucket: e.opts.Bucket, SignerEmail: signer, PublicURL: e.opts.PublicURL,
		SignBytes: func(b []byte) ([]byte, error) { return e.signature(b), nil },
	}
}

// ClientOptions let the real client reach the emulator.
func (e *Emulator) ClientOptions() []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(e.url + "/storage/v1/"),
		option.WithHTTPClient(&http.Client{Transport: e.Authorized(new(http.Transport))}),
	}
}

// Authorized lets requests that go through next use the JSON API; a test puts a
// faulty network there.
func (e *Emulator) Authorized(next http.RoundTripper) http.RoundTripper {
	return withPassword{e.password(), next}
}

func (e *Emulator) signature(b []byte) []byte {
	mac := hmac.New(sha256.New, e.key)
	_, _ = mac.Write(b)
	return mac.Sum(nil)
}

func (e *Emulator) password() string { return fmt.Sprintf("Bearer %x", e.key) }

// withPassword adds what the JSON API wants, so that no web page that finds the port can use it.
type withPassword struct {
	password string
	next     http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t withPassword) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", t.password)
	return t.next.RoundTrip(req)
}

// signingKey reads the folder's key or makes one, so that URLs outlive a restart.
func signingKey(folder string) ([]byte, error) {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails: crypto/rand aborts the process instead
	if folder == "" {
		return key, nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the bucket: %w", err)
	}
	path := filepath.Join(folder, "signing.key")
	known, err := os.ReadFile(path)
	switch {
	case err == nil && len(known) == len(key):
		return known, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the bucket's signing key: %w", err)
	}
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return nil, fmt.Errorf("keep the bucket's signing key: %w", err)
	}
	return key, nil
}

// mostHalves is how many objects a crash can leave half-written: those that were
// uploaded at the same time. A folder with more has lost its attributes otherwise.
const mostHalves = 20

// sweep removes files that are no objects. fake-gcs-server writes content first
// and attributes after it; what a crash left between the two would make every
// listing fail.
func sweep(fake *fakestorage.Server, root, bucket string) error {
	var halves []string
	folder := filepath.Join(root, url.PathEscape(bucket))
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".metadata") {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		object, err := fake.GetObjectStreaming(bucket, filepath.ToSlash(name))
		if err != nil {
			halves = append(halves, path)
			return nil
		}
		return object.Close()
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the first start
	}
	if err == nil && len(halves) > mostHalves {
		return fmt.Errorf("%d objects in %s have no attributes: was it copied without them? cp -a keeps them, and tar --xattrs", len(halves), folder)
	}
	for _, path := range halves {
		slog.Warn("sweeping a half-written object", "object", path)
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
