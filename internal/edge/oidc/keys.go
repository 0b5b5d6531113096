package oidc

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	coreos "github.com/coreos/go-oidc/v3/oidc"
)

const (
	fetchTime   = 5 * time.Second  // how long one fetch of the keys may take
	fetchEvery  = 10 * time.Second // how soon after a fetch an unknown key may start another
	pauseOfFail = time.Second      // how long a failed fetch is answered for
	maxKeys     = 1 << 20          // bytes; Google's are 2 KB
)

// keys verifies signatures. The library fetches the public keys when a token names
// one that it does not know, one fetch at a time, and keeps them; tokens with
// invented names must not make it ask all the time.
type keys struct {
	remote    *coreos.RemoteKeySet
	behindIAM bool
}

func newKeys(url string, behindIAM bool, transport http.RoundTripper) *keys {
	client := &http.Client{Transport: &fetcher{next: transport}, Timeout: fetchTime}
	return &keys{coreos.NewRemoteKeySet(coreos.ClientContext(context.Background(), client), url), behindIAM}
}

type unreachableKey struct{}

// watch gives a ctx in which VerifySignature leaves why the keys could not be had:
// the library's verifier keeps of an error only the text.
func watch(ctx context.Context) (context.Context, *error) {
	unreachable := new(error)
	return context.WithValue(ctx, unreachableKey{}, unreachable), unreachable
}

// VerifySignature implements the library's KeySet.
func (k *keys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	if k.behindIAM && signatureRemoved(token) {
		return payload(token)
	}
	verified, err := k.remote.VerifySignature(ctx, token)
	if errors.Is(err, errJustFetched) {
		// The fetch may have ended between this request's look at what is known and its
		// own wish to fetch: then the key is known by now.
		verified, err = k.remote.VerifySignature(ctx, token)
	}
	// A failed fetch wraps its cause; a signature that is wrong has none.
	if cause := errors.Unwrap(err); cause != nil && !errors.Is(err, errJustFetched) {
		if unreachable, ok := ctx.Value(unreachableKey{}).(*error); ok {
			*unreachable = cause
		}
	}
	return verified, err
}

// removed is what Cloud Run puts in the place of a signature that it has verified.
// https://cloud.google.com/run/docs/troubleshooting#signature-removed
const removed = "SIGNATURE_REMOVED_BY_GOOGLE"

func signatureRemoved(token string) bool { return strings.HasSuffix(token, "."+removed) }

func payload(token string) ([]byte, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("the token has not three parts")
	}
	return base64.RawURLEncoding.DecodeString(parts[1])
}

var errJustFetched = errors.New("the keys have just been fetched, and this one is not among them")

// fetcher is the transport of the keys: it answers for a while from what it knows
// of the last fetch, and checks that an answer is a set of keys at all.
type fetcher struct {
	next http.RoundTripper

	mu       sync.Mutex
	fetched  time.Time
	failed   time.Time
	lastFail error
}

// RoundTrip implements http.RoundTripper. The library calls it once at a time.
func (f *fetcher) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case time.Since(f.fetched) < fetchEvery:
		return nil, errJustFetched
	case time.Since(f.failed) < pauseOfFail:
		return nil, f.lastFail
	}
	answer, err := f.fetch(r)
	if err != nil {
		f.failed, f.lastFail = time.Now(), err
		return nil, err
	}
	f.fetched = time.Now()
	return answer, nil
}

func (f *fetcher) fetch(r *http.Request) (*http.Response, error) {
	answer, err := f.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the keys: %s", answer.Status)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxKeys))
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(body, &set) != nil || len(set.Keys) == 0 {
		return nil, fmt.Errorf("the keys: %d bytes that hold none", len(body))
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}
