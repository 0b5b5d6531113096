// Package issuer signs OIDC tokens for one machine as Google's services do, under a
// name and a key of its own: for emulators and for what stands in for the scheduler.
package issuer

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"sync"
	"time"
)

const (
	tokenLife = time.Hour
	keyID     = "lectern-local"
)

// Issuer signs tokens with a key that is made when it is first needed, and is gone at
// exit. Its zero value has no name.
type Issuer struct {
	// URL is the name of the issuer, under which JWKS is to be mounted at
	// /.well-known/jwks.json.
	URL string

	mu   sync.Mutex
	key  *rsa.PrivateKey
	kept map[[2]string]keptToken // by account and audience
}

type keptToken struct {
	token string
	until time.Time
}

// Token gives an RS256 token (RFC 7519) of a service account for an audience; it is
// valid for at least half an hour.
func (i *Issuer) Token(email, audience string) (string, error) {
	now := time.Now()
	i.mu.Lock()
	kept, ok := i.kept[[2]string{email, audience}]
	i.mu.Unlock()
	if ok && now.Before(kept.until) {
		return kept.token, nil
	}
	token, err := i.Sign(map[string]any{
		"iss": i.URL, "aud": audience, "azp": email, "sub": email, "email": email, "email_verified": true,
		"iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.kept == nil {
		i.kept = make(map[[2]string]keptToken)
	}
	i.kept[[2]string{email, audience}] = keptToken{token, now.Add(tokenLife / 2)}
	return token, nil
}

// Sign gives a token that claims anything at all.
func (i *Issuer) Sign(claims map[string]any) (string, error) {
	key, err := i.private()
	if err != nil {
		return "", err
	}
	header, err := encode(map[string]string{"alg": "RS256", "kid": keyID, "typ": "JWT"})
	if err != nil {
		return "", err
	}
	body, err := encode(claims)
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(header + "." + body))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, hash[:])
	return header + "." + body + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

// Client makes every request of a client carry a token of the account for the
// audience; nil is http.DefaultClient.
func (i *Issuer) Client(client *http.Client, email, audience string) *http.Client {
	signing := *cmp.Or(client, http.DefaultClient)
	signing.Transport = bearer{i, email, audience, signing.Transport}
	return &signing
}

type bearer struct {
	issuer          *Issuer
	email, audience string
	next            http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.issuer.Token(b.email, b.audience)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context()) // a transport must not change the caller's
	r.Header.Set("Authorization", "Bearer "+token)
	return cmp.Or(b.next, http.DefaultTransport).RoundTrip(r)
}

// private gives the key.
func (i *Issuer) private() (*rsa.PrivateKey, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.key == nil {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		i.key = key
	}
	return i.key, nil
}

// JWKS serves the public key of the tokens, in the form of RFC 7517.
func (i *Issuer) JWKS() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, err := i.private()
		if err != nil {
			http.Error(w, "the key could not be made", http.StatusInternalServerError)
			return
		}
		number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
		document, err := json.Marshal(map[string]any{"keys": []map[string]string{{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": keyID,
			"n": number(key.N), "e": number(big.NewInt(int64(key.E))),
		}}})
		if err != nil {
			http.Error(w, "the key could not be shown", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=3600")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(document))
	})
}

func encode(v any) (string, error) {
	data, err := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(data), err
}
