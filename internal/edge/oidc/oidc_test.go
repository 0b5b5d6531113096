package oidc_test

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lectern.dev/lectern/internal/edge/oidc"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/gcp/issuer"
)

const (
	queue     = "queue@lectern.test"
	audience  = "https://generate.lectern.test"
	otherName = "https://generate-hash-ew.lectern.test" // of the same function
)

// platform signs tokens and serves its keys, which tests may disturb.
type platform struct {
	issuer.Issuer
	server *httptest.Server
	asked  atomic.Int64 // how often for keys
	mu     sync.Mutex
	keys   http.Handler
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{}
	p.keys = p.JWKS()
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		p.mu.Lock()
		keys := p.keys
		p.mu.Unlock()
		keys.ServeHTTP(w, r)
	}))
	t.Cleanup(p.server.Close)
	p.URL = p.server.URL
	return p
}

// answer makes the keys come from h.
func (p *platform) answer(h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = h
}

func (p *platform) config() oidc.Config {
	return oidc.Config{Audiences: []string{otherName, audience}, Callers: []string{"scheduler@lectern.test", queue}, Issuer: p.URL, JWKSURL: p.server.URL}
}

func (p *platform) verifier(t *testing.T, c oidc.Config) *oidc.Verifier {
	t.Helper()
	v, err := oidc.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sign gives a token like the queue's, but for some claims; nil takes one away.
func (p *platform) sign(t *testing.T, changed map[string]any) string {
	t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": p.URL, "aud": audience, "sub": "1", "email": queue, "email_verified": true,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(claims, changed)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	token, err := p.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// unsigned replaces the header and signature of a token.
func unsigned(t *testing.T, token string, header map[string]any, signature func(signed string) string) string {
	t.Helper()
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	signed := base64.RawURLEncoding.EncodeToString(h) + "." + strings.Split(token, ".")[1]
	return signed + "." + signature(signed)
}

// publicKey gives the platform's key as text, which a broken verifier might take for
// the secret of an HMAC.
func (p *platform) publicKey(t *testing.T) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	p.JWKS().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	var set struct{ Keys []struct{ N, E string } }
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil {
		t.Fatal(err)
	}
	number := func(s string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return new(big.Int).SetBytes(b)
	}
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: number(set.Keys[0].N), E: int(number(set.Keys[0].E).Int64())})
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// admit sends tokens, each in a header of its own, and gives the kind of the answer.
func admit(v *oidc.Verifier, authorization ...string) (kind fault.Kind, admitted bool) {
	r := httptest.NewRequest("POST", "/", nil)
	for _, value := range authorization {
		r.Header.Add("Authorization", value)
	}
	err := v.Admit(r)
	return fault.KindOf(err), err == nil
}

// The attacks, each with a token that is right but for one thing.
func TestOnlyTheCallersAreAdmitted(t *testing.T) {
	t.Parallel()
	p, stranger := newPlatform(t), newPlatform(t)
	v := p.verifier(t, p.config())
	right := p.sign(t, nil)
	if _, ok := admit(v, "Bearer "+right); !ok {
		t.Fatal("the queue is not admitted")
	}
	if _, ok := admit(v, "bearer "+p.sign(t, map[string]any{"email": "scheduler@lectern.test"})); !ok {
		t.Error("the scheduler is not admitted")
	}
	hs256 := func(key []byte) func(string) string {
		return func(signed string) string {
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(signed))
			return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		}
	}
	parts := strings.Split(right, ".")
	later, earlier := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		authorization []string
		want          fault.Kind
	}{
		"no token":                       {nil, fault.Unauthenticated},
		"an empty one":                   {[]string{"Bearer "}, fault.Unauthenticated},
		"two":                            {[]string{"Bearer " + right, "Bearer " + right}, fault.Unauthenticated},
		"Basic":                          {[]string{"Basic " + right}, fault.Unauthenticated},
		"a session token":                {[]string{"Bearer MTc2Mzc5OTk2MHxjYW5hcnk="}, fault.Unauthenticated},
		"an API credential":              {[]string{"Bearer cred_1.secret"}, fault.Unauthenticated},
		"10 MB":                          {[]string{"Bearer " + strings.Repeat("A", 10<<20)}, fault.Unauthenticated},
		"a right one of 10 KB":           {[]string{"Bearer " + p.sign(t, map[string]any{"more": strings.Repeat("A", 7500)})}, fault.Unauthenticated},
		"another audience":               {[]string{"Bearer " + p.sign(t, map[string]any{"aud": "https://render.lectern.test"})}, fault.Unauthenticated},
		"one that begins like ours":      {[]string{"Bearer " + p.sign(t, map[string]any{"aud": audience + ".evil.test"})}, fault.Unauthenticated},
		"both of ours in one":            {[]string{"Bearer " + p.sign(t, map[string]any{"aud": otherName + "," + audience})}, fault.Unauthenticated},
		"an empty audience":              {[]string{"Bearer " + p.sign(t, map[string]any{"aud": ""})}, fault.Unauthenticated},
		"no audience":                    {[]string{"Bearer " + p.sign(t, map[string]any{"aud": nil})}, fault.Unauthenticated},
		"another issuer's key and name":  {[]string{"Bearer " + stranger.sign(t, nil)}, fault.Unauthenticated},
		"another issuer's key, our name": {[]string{"Bearer " + stranger.sign(t, map[string]any{"iss": p.URL})}, fault.Unauthenticated},
		"our key, another issuer's name": {[]string{"Bearer " + p.sign(t, map[string]any{"iss": stranger.URL})}, fault.Unauthenticated},
		"expired":                        {[]string{"Bearer " + p.sign(t, map[string]any{"iat": earlier.Unix(), "exp": time.Now().Add(-time.Second).Unix()})}, fault.Unauthenticated},
		"without an end":                 {[]string{"Bearer " + p.sign(t, map[string]any{"exp": nil})}, fault.Unauthenticated},
		"not valid yet":                  {[]string{"Bearer " + p.sign(t, map[string]any{"nbf": later.Unix()})}, fault.Unauthenticated},
		"issued in an hour":              {[]string{"Bearer " + p.sign(t, map[string]any{"iat": later.Unix(), "exp": later.Add(time.Hour).Unix()})}, fault.Unauthenticated},
		"another service account":        {[]string{"Bearer " + p.sign(t, map[string]any{"email": "render@lectern.test"})}, fault.Denied},
		"an account that begins like it": {[]string{"Bearer " + p.sign(t, map[string]any{"email": queue + ".evil.test"})}, fault.Denied},
		"no account":                     {[]string{"Bearer " + p.sign(t, map[string]any{"email": nil})}, fault.Denied},
		"an account that is no text":     {[]string{"Bearer " + p.sign(t, map[string]any{"email": []string{queue}})}, fault.Unauthenticated},
		"an account nobody has verified": {[]string{"Bearer " + p.sign(t, map[string]any{"email_verified": false})}, fault.Unauthenticated},
		"verified by a word":             {[]string{"Bearer " + p.sign(t, map[string]any{"email_verified": "true"})}, fault.Unauthenticated},
		"no word of verification":        {[]string{"Bearer " + p.sign(t, map[string]any{"email_verified": nil})}, fault.Unauthenticated},
		"alg none":                       {[]string{"Bearer " + unsigned(t, right, map[string]any{"alg": "none"}, func(string) string { return "" })}, fault.Unauthenticated},
		"alg None":                       {[]string{"Bearer " + unsigned(t, right, map[string]any{"alg": "None"}, func(string) string { return parts[2] })}, fault.Unauthenticated},
		"HS256 with the public key":      {[]string{"Bearer " + unsigned(t, right, map[string]any{"alg": "HS256", "kid": "lectern-local"}, hs256(p.publicKey(t)))}, fault.Unauthenticated},
		"a key that it brings along":     {[]string{"Bearer " + unsigned(t, right, map[string]any{"alg": "RS256", "jku": stranger.URL}, func(string) string { return parts[2] })}, fault.Unauthenticated},
		"a signature of something else":  {[]string{"Bearer " + strings.Join([]string{parts[0], strings.Split(p.sign(t, map[string]any{"email": "x@y"}), ".")[1], parts[2]}, ".")}, fault.Unauthenticated},
		"a signature that was removed":   {[]string{"Bearer " + parts[0] + "." + parts[1] + ".SIGNATURE_REMOVED_BY_GOOGLE"}, fault.Unauthenticated},
		"no signature":                   {[]string{"Bearer " + parts[0] + "." + parts[1] + "."}, fault.Unauthenticated},
		"another key's name":             {[]string{"Bearer " + unsigned(t, right, map[string]any{"alg": "RS256", "kid": "x"}, func(string) string { return parts[2] })}, fault.Unauthenticated},
	} {
		if kind, ok := admit(v, c.authorization...); ok || kind != c.want {
			t.Errorf("%s: admitted %t, %v, want %v", name, ok, kind, c.want)
		}
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times for tokens that were wrong", n)
	}
}

// Behind IAM the platform has verified the signature and taken it away.
func TestBehindIAMClaimsAreChecked(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	c := p.config()
	c.BehindIAM = true
	v := p.verifier(t, c)
	stripped := func(changed map[string]any) string {
		parts := strings.Split(p.sign(t, changed), ".")
		return "Bearer " + parts[0] + "." + parts[1] + ".SIGNATURE_REMOVED_BY_GOOGLE"
	}
	if _, ok := admit(v, stripped(nil)); !ok {
		t.Error("what Cloud Run passes on is not admitted")
	}
	if _, ok := admit(v, "Bearer "+p.sign(t, nil)); !ok {
		t.Error("a token with its signature is not admitted")
	}
	for name, token := range map[string]string{
		"another audience":   stripped(map[string]any{"aud": "https://render.lectern.test"}),
		"another issuer":     stripped(map[string]any{"iss": "https://evil.test"}),
		"another account":    stripped(map[string]any{"email": "render@lectern.test"}),
		"expired":            stripped(map[string]any{"exp": time.Now().Add(-time.Second).Unix()}),
		"not verified":       stripped(map[string]any{"email_verified": false}),
		"a wrong signature":  "Bearer " + p.sign(t, nil)[:300] + "AAAA",
		"another word":       strings.Replace(stripped(nil), "GOOGLE", "GOGGLE", 1),
		"alg none, stripped": "Bearer " + unsigned(t, p.sign(t, nil), map[string]any{"alg": "none"}, func(string) string { return "SIGNATURE_REMOVED_BY_GOOGLE" }),
	} {
		if _, ok := admit(v, token); ok {
			t.Errorf("%s: admitted", name)
		}
	}
	// The platform verifies only the other header when there are two, and a caller
	// can then write what it likes into this one.
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Authorization", stripped(nil))
	r.Header.Set("X-Serverless-Authorization", stripped(map[string]any{"email": "render@lectern.test"}))
	if v.Admit(r) == nil {
		t.Error("a token that the platform has not verified is admitted")
	}
}

// While the keys cannot be had nobody is admitted, and who calls may come again.
func TestWithoutKeysNobodyIsAdmitted(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"down":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"an error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"no keys":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"no JSON":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`<html>`)) },
		"a page":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for range 40 {
				_, _ = w.Write([]byte(strings.Repeat(" ", 64<<10)))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t)
			v := p.verifier(t, p.config())
			token := "Bearer " + p.sign(t, nil)
			p.answer(answer)
			for range 20 {
				if kind, ok := admit(v, token); ok || kind != fault.Unavailable {
					t.Fatalf("admitted %t, %v", ok, kind)
				}
			}
			if n := p.asked.Load(); n > 2 {
				t.Errorf("it was asked %d times in a moment", n)
			}
			p.answer(p.JWKS().ServeHTTP)
			for begin := time.Now(); ; time.Sleep(100 * time.Millisecond) {
				if _, ok := admit(v, token); ok {
					return
				}
				if time.Since(begin) > time.Minute {
					t.Fatal("it does not recover")
				}
			}
		})
	}
}

// A slow endpoint is asked once for all who wait, and not waited for without end.
func TestASlowEndpointIsAskedOnce(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	v := p.verifier(t, p.config())
	token := "Bearer " + p.sign(t, nil)
	release := make(chan struct{})
	p.answer(func(w http.ResponseWriter, r *http.Request) {
		<-release
		p.JWKS().ServeHTTP(w, r)
	})
	var waiting sync.WaitGroup
	var admitted atomic.Int64
	for range 50 {
		waiting.Go(func() {
			if _, ok := admit(v, token); ok {
				admitted.Add(1)
			}
		})
	}
	for p.asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	waiting.Wait()
	if admitted.Load() != 50 || p.asked.Load() != 1 {
		t.Errorf("%d of 50 were admitted, with %d fetches", admitted.Load(), p.asked.Load())
	}
}

func TestAnEndpointThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	v := p.verifier(t, p.config())
	hang := make(chan struct{})
	defer close(hang)
	p.answer(func(http.ResponseWriter, *http.Request) { <-hang })
	if kind, ok := admit(v, "Bearer "+p.sign(t, nil)); ok || kind != fault.Unavailable {
		t.Errorf("admitted %t, %v", ok, kind)
	}
}

// Cloud Run gives a function two addresses, and a trigger asks for neither of them when it
// takes one: a token for either is right.
func TestBothNamesOfAFunctionAreItsOwn(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	v := p.verifier(t, p.config())
	for _, name := range []string{audience, otherName} {
		if kind, ok := admit(v, "Bearer "+p.sign(t, map[string]any{"aud": name})); !ok {
			t.Errorf("a token for %s is refused: %v", name, kind)
		}
	}
}

func TestWrongSettingsAreTold(t *testing.T) {
	t.Parallel()
	if _, err := oidc.New(oidc.Config{Audiences: []string{audience, ""}, Callers: []string{queue}, Issuer: "i", JWKSURL: "https://keys.test/"}); err == nil || !strings.Contains(err.Error(), "OIDC_AUDIENCE") {
		t.Errorf("with an empty audience: %v", err)
	}
	_, err := oidc.New(oidc.Config{Callers: []string{"", "nobody", " a@b"}, JWKSURL: "http://www.googleapis.com/oauth2/v3/certs"})
	for _, want := range []string{"OIDC_AUDIENCE", "OIDC_ISSUER", `""`, `"nobody"`, `" a@b"`, "OIDC_JWKS_URL"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in: %v", want, err)
		}
	}
	if _, err := oidc.New(oidc.Config{Audiences: []string{"a"}, Issuer: "i", JWKSURL: "https://keys.test/"}); err == nil || !strings.Contains(err.Error(), "OIDC_CALLERS") {
		t.Errorf("without callers: %v", err)
	}
}
