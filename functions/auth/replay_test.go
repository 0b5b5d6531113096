package auth

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge/edgetest"
)

const cookieName = "__Host-lectern"

// F65: what was thrown away opens nothing, from the next request on.
func TestReplays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann := r.signUp("ann@example.com")
	for name, end := range map[string]func(bob *browser){
		"signed out": func(bob *browser) { bob.do("POST", "/v1/auth/sign-out", nil).Want(204) },
		"password changed": func(bob *browser) {
			bob.do("POST", "/v1/auth/password", fields{"current": password, "new": "ten owls on a fence"}).Want(200)
		},
		"everywhere":      func(bob *browser) { bob.do("POST", "/v1/auth/sign-out-everywhere", nil).Want(204) },
		"removed":         func(bob *browser) { ann.do("DELETE", "/v1/auth/members/"+bob.me().ID, nil).Want(204) },
		"signed in again": func(bob *browser) { bob.signIn(bob.me().Email, password).Want(200) },
		"reset": func(bob *browser) {
			email := bob.me().Email
			r.browser().do("POST", "/v1/auth/resets", fields{"email": email}).Want(202)
			use["reset"](r.browser(), r.mail.token(t, email)).Want(200)
		},
		"expired": func(bob *browser) {
			r.exec(`UPDATE sign_ins SET expires_at = now() WHERE user_id = $1`, bob.me().ID)
		},
	} {
		bob := ann.join(strings.ReplaceAll(name, " ", "-")+"@example.com", account.Author)
		in := edgetest.Into[signedIn](bob.signIn(bob.me().Email, password).Want(200))
		old := bob.cookies[cookieName]
		end(bob)
		replay := r.browser()
		replay.cookies[cookieName] = old
		if a := replay.do("GET", "/v1/auth/me", nil); a.Code != 401 {
			t.Errorf("%s: the cookie still opens: %d", name, a.Code)
		}
		if a := r.browser().do("GET", "/v1/auth/me", nil, "Authorization", "Bearer "+in.Token); a.Code != 401 {
			t.Errorf("%s: the token still opens: %d", name, a.Code)
		}
	}
	// Another role holds at the next request, in both directions.
	bob := ann.join("bob@example.com", account.Owner)
	bob.do("GET", "/v1/auth/members", nil).Want(200)
	for role, want := range map[account.Role]int{account.Author: 403, account.Learner: 403, account.Owner: 200} {
		ann.do("PATCH", "/v1/auth/members/"+bob.me().ID, fields{"role": role}).Want(200)
		if a := bob.do("GET", "/v1/auth/members", nil); a.Code != want || bob.me().Role != role {
			t.Errorf("as %s: %d", role, a.Code)
		}
	}
}

// F65: a cookie with any bit changed, of another environment, of another kind or
// put in another place opens nothing.
func TestForgedCookies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.signUp("ann@example.com")
	in := edgetest.Into[signedIn](b.do("POST", "/v1/auth/password", fields{"current": password, "new": "ten owls on a fence"}).Want(200))
	cookie := b.cookies[cookieName]

	refused := func(name, cookie, bearer string) {
		t.Helper()
		q := edgetest.Request(t, "GET", "/v1/auth/me", nil)
		if cookie != "" {
			q.Header.Set("Cookie", cookieName+"="+cookie)
		}
		if bearer != "" {
			q.Header.Set("Authorization", "Bearer "+bearer)
		}
		w := httptest.NewRecorder()
		r.ServeHTTP(w, q)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	raw, err := base64.URLEncoding.DecodeString(cookie)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 {
		flipped := append([]byte{}, raw...)
		flipped[bit/8] ^= 1 << (bit % 8)
		refused("a flipped bit", base64.URLEncoding.EncodeToString(flipped), "")
	}
	for at := range len(cookie) {
		refused("a character less", cookie[:at]+cookie[at+1:], "")
	}
	refused("the token as a cookie", in.Token, "")
	refused("the cookie as a token", "", cookie)
	refused("the device as a cookie", b.cookies[cookieName+"-device"], "")
	refused("the device as a token", "", b.cookies[cookieName+"-device"])

	elsewhere, err := access.NewTokens(access.Cookies{Keys: []string{"the key of another environment, as long"}})
	if err != nil {
		t.Fatal(err)
	}
	secret, ok := r.tokens.FromToken(in.Token)
	if !ok {
		t.Fatal("the token is not ours")
	}
	foreign, err := elsewhere.NewCookie(secret)
	if err != nil {
		t.Fatal(err)
	}
	refused("another environment's cookie", foreign.Value, "")
	refused("the bare secret", string(secret), "")
	refused("the bare secret as a token", "", string(secret))
	unknown, err := r.tokens.NewCookie(account.NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	refused("a secret that stands for nobody", unknown.Value, "")
	b.me()
}

// F66: every way of signing in gives a new secret, ends the sign-in whose cookie came
// along, and takes no secret that the client has chosen.
func TestSessionsAreNotFixed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	owner := r.signUp("ann@example.com")
	ways := map[string]func(*browser){
		"password": func(b *browser) { b.signIn("ann@example.com", password).Want(200) },
		"reset": func(b *browser) {
			b.do("POST", "/v1/auth/resets", fields{"email": "ann@example.com"}).Want(202)
			b.do("POST", "/v1/auth/resets/redeem", fields{"token": r.mail.token(t, "ann@example.com"), "password": password}).Want(200)
		},
		"link": func(b *browser) {
			secret, err := account.NewSignInLink(t.Context(), r.db, account.Local)
			if err != nil {
				t.Fatal(err)
			}
			b.do("POST", "/v1/auth/sign-in/link", fields{"token": string(secret)}).Want(200)
		},
		"confirmation": func(b *browser) {
			b.do("POST", "/v1/auth/sign-up", fields{"email": "new@example.com", "password": password, "name": "New", "organization": "New"}).Want(201)
			b.do("POST", "/v1/auth/sign-up/confirm", fields{"token": r.mail.token(t, "new@example.com")}).Want(200)
		},
		"change of password": func(b *browser) {
			b.signIn("ann@example.com", password).Want(200)
			b.do("POST", "/v1/auth/password", fields{"current": password, "new": password}).Want(200)
		},
	}
	for name, way := range ways {
		b := r.signUp(strings.ReplaceAll(name, " ", "-") + "@example.org")
		planted := b.cookies[cookieName]
		way(b)
		if b.cookies[cookieName] == planted {
			t.Errorf("%s: the cookie from before is kept", name)
		}
		thief := r.browser()
		thief.cookies[cookieName] = planted
		if a := thief.do("GET", "/v1/auth/me", nil); a.Code != 401 {
			t.Errorf("%s: the cookie from before still opens: %d", name, a.Code)
		}
	}
	owner.signIn("ann@example.com", password).Want(200)
	owner.me()
}
