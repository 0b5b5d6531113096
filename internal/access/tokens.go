package access

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/securecookie"

	"lectern.dev/lectern/internal/account"
)

// Tokens turns the secret of a sign-in into a cookie, or a bearer token for other
// origins, and back. Both are encrypted and authenticated; neither is taken for the
// other.
type Tokens struct {
	codecs   []securecookie.Codec
	devices  []securecookie.Codec
	insecure bool
}

// Cookies say how tokens are made.
type Cookies struct {
	// The newest key makes cookies, all read them: put a new one in front, and take
	// the last away after 90 days.
	Keys []string `env:"COOKIE_KEYS, required"` // secrets that cookies and tokens are made with, at least 32 random characters each, the newest first
	// Insecure is for http://127.0.0.1 only: a name without __Host-, and no Secure.
	Insecure bool
}

// NewTokens checks the keys.
func NewTokens(c Cookies) (Tokens, error) {
	t := Tokens{insecure: c.Insecure}
	for _, key := range c.Keys {
		if len(key) < 32 {
			return t, errors.New("COOKIE_KEYS: one is shorter than 32 bytes")
		}
		t.codecs = append(t.codecs, newCodec(key, account.SignInLifetime))
		t.devices = append(t.devices, newCodec(key, deviceLifetime))
	}
	if len(t.codecs) == 0 {
		return t, errors.New("COOKIE_KEYS: there is none")
	}
	return t, nil
}

func newCodec(key string, lifetime time.Duration) securecookie.Codec {
	hash, block := sha256.Sum256([]byte("lectern cookie hash "+key)), sha256.Sum256([]byte("lectern cookie block "+key))
	codec := securecookie.New(hash[:], block[:])
	codec.SetSerializer(securecookie.NopEncoder{})
	codec.MaxAge(int(lifetime / time.Second))
	return codec
}

func (t Tokens) name() string {
	if t.insecure {
		return "lectern"
	}
	return "__Host-lectern"
}

// NewCookie gives the cookie that stands for a sign-in.
func (t Tokens) NewCookie(secret account.Secret) (*http.Cookie, error) {
	value, err := securecookie.EncodeMulti(t.name(), []byte(secret), t.codecs...)
	c := t.cookie(value)
	c.MaxAge = int(account.SignInLifetime / time.Second)
	return c, err
}

// NoCookie gives what takes the cookie away.
func (t Tokens) NoCookie() *http.Cookie {
	c := t.cookie("")
	c.MaxAge = -1
	return c
}

func (t Tokens) cookie(value string) *http.Cookie {
	return &http.Cookie{Name: t.name(), Value: value, Path: "/", Secure: !t.insecure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// Cookie reads the cookie of a request.
func (t Tokens) Cookie(r *http.Request) (account.Secret, bool) {
	c, err := r.Cookie(t.name())
	if err != nil {
		return "", false
	}
	return t.decode(t.name(), c.Value)
}

// tokenName is what a bearer token is bound to, as a cookie is to its name.
const tokenName = "lectern bearer token"

// NewToken gives the bearer token that stands for a sign-in.
func (t Tokens) NewToken(secret account.Secret) (string, error) {
	return securecookie.EncodeMulti(tokenName, []byte(secret), t.codecs...)
}

// FromToken reads a bearer token.
func (t Tokens) FromToken(token string) (account.Secret, bool) { return t.decode(tokenName, token) }

func (t Tokens) decode(name, value string) (account.Secret, bool) {
	if !canonical(value) {
		return "", false
	}
	for _, codec := range t.codecs {
		var secret []byte
		if codec.Decode(name, value, &secret) == nil {
			return account.Secret(secret), true
		}
	}
	return "", false
}

// canonical tells whether a value is written as we write it. Base64 leaves bits at
// the end that mean nothing, and Go's skips line breaks, so that more than one text
// would be read as the same.
func canonical(value string) bool {
	var room [1024]byte
	if base64.URLEncoding.DecodedLen(len(value)) > len(room) || strings.ContainsAny(value, "\r\n") {
		return false
	}
	_, err := base64.URLEncoding.Strict().Decode(room[:], []byte(value))
	return err == nil
}
