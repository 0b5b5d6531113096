package emulator

import (
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

// issuer signs OIDC tokens as Google does, under a name and key of its own. The
// key is made when it is first needed.
type issuer struct {
	url string

	mu   sync.Mutex
	key  *rsa.PrivateKey
	kept map[[2]string]keptToken // by account and audience
}

type keptToken struct {
	token string
	until time.Time
}

// sign gives an RS256 token (RFC 7519) for a service account and audience; it is
// valid for at least half an hour.
func (i *issuer) sign(email, audience string, now time.Time) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if kept, ok := i.kept[[2]string{email, audience}]; ok && now.Before(kept.until) {
		return kept.token, nil
	}
	key, err := i.private()
	if err != nil {
		return "", err
	}
	header, err := encode(map[string]string{"alg": "RS256", "kid": keyID, "typ": "JWT"})
	if err != nil {
		return "", err
	}
	claims, err := encode(map[string]any{
		"iss": i.url, "aud": audience, "azp": email, "sub": email, "email": email, "email_verified": true,
		"iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(header + "." + claims))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, hash[:])
	if err != nil {
		return "", err
	}
	token := header + "." + claims + "." + base64.RawURLEncoding.EncodeToString(signature)
	if i.kept == nil {
		i.kept = make(map[[2]string]keptToken)
	}
	i.kept[[2]string{email, audience}] = keptToken{token, now.Add(tokenLife / 2)}
	return token, nil
}

// private gives the key; mu is held.
func (i *issuer) private() (*rsa.PrivateKey, error) {
	if i.key == nil {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		i.key = key
	}
	return i.key, nil
}

func (i *issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	key, err := i.private()
	i.mu.Unlock()
	if err != nil {
		http.Error(w, "the key could not be made", http.StatusInternalServerError)
		return
	}
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": keyID,
		"n": number(key.N), "e": number(big.NewInt(int64(key.E))),
	}}})
}

func encode(v any) (string, error) {
	data, err := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(data), err
}
