package oidc

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// answers stands in for the endpoint of the keys.
type answers struct {
	asked int
	body  string
	err   error
}

func (a *answers) RoundTrip(*http.Request) (*http.Response, error) {
	a.asked++
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewBufferString(a.body))}, nil
}

// Tokens that name unknown keys make us ask every ten seconds at most, and a failure
// is tried again after one.
func TestTheEndpointIsNotAskedAllTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		endpoint := &answers{body: `{"keys":[{}]}`}
		f := &fetcher{next: endpoint}
		ask := func() error { _, err := f.RoundTrip(nil); return err }
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		for range 99 { // a second each
			time.Sleep(time.Second)
			if err := ask(); err != nil && !errors.Is(err, errJustFetched) {
				t.Fatal(err)
			}
		}
		if endpoint.asked != 10 {
			t.Errorf("it was asked %d times in 100 s", endpoint.asked)
		}
		time.Sleep(fetchEvery)
		endpoint.asked, endpoint.err = 0, errors.New("down")
		for range 100 { // a tenth of a second each
			if err := ask(); err == nil || errors.Is(err, errJustFetched) {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if endpoint.asked != 10 {
			t.Errorf("it was asked %d times in 10 s of outage", endpoint.asked)
		}
	})
}

// A key that replaces another is found when a token names it, by one fetch.
func TestAKeyThatIsNewIsFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		old, young := key(t, "old"), key(t, "young")
		endpoint := &answers{body: set(t, old)}
		k := newKeys("https://keys.test/", false, endpoint)
		verifies := func(signer jose.JSONWebKey) bool {
			_, err := k.VerifySignature(t.Context(), sign(t, signer))
			synctest.Wait() // the library answers before it keeps what it has fetched
			return err == nil
		}
		if !verifies(old) || verifies(young) || endpoint.asked != 1 {
			t.Fatalf("before the rotation, after %d fetches", endpoint.asked)
		}
		time.Sleep(time.Hour)
		endpoint.body = set(t, young, old)
		if !verifies(old) || endpoint.asked != 1 {
			t.Errorf("a known key was fetched again: %d fetches", endpoint.asked)
		}
		if !verifies(young) || !verifies(old) || endpoint.asked != 2 {
			t.Errorf("after the rotation, after %d fetches", endpoint.asked)
		}
		time.Sleep(time.Hour)
		endpoint.body = set(t, young)
		if verifies(key(t, "unknown")) || verifies(old) || endpoint.asked != 3 {
			t.Errorf("a key that was taken away is still good, after %d fetches", endpoint.asked)
		}
		time.Sleep(time.Hour)
		if endpoint.err = errors.New("down"); !verifies(young) {
			t.Error("the endpoint is down, and a known key is no longer good")
		}
	})
}

func key(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: private, KeyID: id, Algorithm: string(jose.RS256), Use: "sig"}
}

func set(t *testing.T, keys ...jose.JSONWebKey) string {
	t.Helper()
	var public jose.JSONWebKeySet
	for _, k := range keys {
		public.Keys = append(public.Keys, k.Public())
	}
	document, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(document)
}

func sign(t *testing.T, with jose.JSONWebKey) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: with}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
