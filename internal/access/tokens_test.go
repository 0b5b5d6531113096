package access

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/account"
)

func TestTheCookieIsClosedToScriptsAndOtherSites(t *testing.T) {
	t.Parallel()
	made := tokens(t, newKey)
	in, err := made.NewCookie(account.NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	device, err := made.NewDevice("d")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*http.Cookie{in, made.NoCookie(), device} {
		header := c.String()
		if !strings.HasPrefix(header, "__Host-lectern") {
			t.Error(header)
		}
		attributes := strings.Split(header, "; ")[1:]
		for _, want := range []string{"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} {
			if !slices.Contains(attributes, want) {
				t.Errorf("%s is missing in %s", want, header)
			}
		}
		if strings.Contains(header, "Domain") { // __Host- forbids it: subdomains would get the cookie, and set it
			t.Error(header)
		}
		if err := c.Valid(); err != nil {
			t.Error(err)
		}
	}
	if in.MaxAge != int(account.SignInLifetime.Seconds()) || made.NoCookie().MaxAge >= 0 {
		t.Errorf("ages %d and %d", in.MaxAge, made.NoCookie().MaxAge)
	}
}

func TestKeysRotateAndNobodyIsSignedOut(t *testing.T) {
	t.Parallel()
	secret := account.NewSecret()
	before, during, after := tokens(t, oldKey), tokens(t, newKey, oldKey), tokens(t, newKey)
	reads := func(by Tokens, c *http.Cookie) bool {
		got, ok := by.Cookie(asks(c))
		return ok && got == secret
	}
	old, err := before.NewCookie(secret)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := during.NewCookie(secret)
	if err != nil {
		t.Fatal(err)
	}
	if !reads(during, old) || !reads(during, fresh) {
		t.Error("somebody is signed out while the keys rotate")
	}
	if !reads(after, fresh) || reads(before, fresh) {
		t.Error("what is new is not made with the new key")
	}
	if reads(after, old) {
		t.Error("the old key is taken after it was taken away")
	}
	token, err := before.NewToken(secret)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := during.FromToken(token); !ok || got != secret {
		t.Error("a token of the old key is not taken")
	}
}

// Every bit of what we made counts: with another one it is nobody's.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	made := tokens(t, newKey, oldKey)
	for range 3 { // texts of other lengths mean nothing here, but their last bits differ
		secret := account.NewSecret()
		cookie, err := made.NewCookie(secret)
		if err != nil {
			t.Fatal(err)
		}
		token, err := made.NewToken(secret)
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			value string
			reads func(string) bool
		}{
			"cookie": {cookie.Value, func(v string) bool { _, ok := made.decode(made.name(), v); return ok }},
			"token":  {token, func(v string) bool { _, ok := made.FromToken(v); return ok }},
		} {
			if !c.reads(c.value) {
				t.Fatalf("the %s itself is not taken", name)
			}
			for i := range len(c.value) {
				for bit := range 8 {
					changed := []byte(c.value)
					changed[i] ^= 1 << bit
					if c.reads(string(changed)) {
						t.Errorf("the %s is taken with bit %d of character %d flipped", name, bit, i)
					}
				}
			}
			for _, changed := range []string{c.value + "=", c.value + "A", c.value[:len(c.value)-1], " " + c.value, c.value + "\n", c.value[:9] + "\n" + c.value[9:], strings.ToUpper(c.value), strings.TrimRight(c.value, "=") + "===="} {
				if c.reads(changed) {
					t.Errorf("the %s is taken as %q", name, changed)
				}
			}
		}
	}
}

// One may not stand in for another, and none for that of another environment.
func TestNoneIsTakenForAnother(t *testing.T) {
	t.Parallel()
	made, elsewhere := tokens(t, newKey), tokens(t, oldKey)
	local, err := NewTokens(Cookies{Keys: []string{newKey}, Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	secret := account.NewSecret()
	cookie, err1 := made.NewCookie(secret)
	token, err2 := made.NewToken(secret)
	device, err3 := made.NewDevice(string(secret))
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	for name, value := range map[string]string{"the token": token, "the device": device.Value, "the secret itself": string(secret), "its hash": string(secret.Hash())} {
		if _, ok := made.decode(made.name(), value); ok {
			t.Errorf("%s is taken for the cookie", name)
		}
	}
	for name, value := range map[string]string{"the cookie": cookie.Value, "the device": device.Value, "the secret itself": string(secret)} {
		if _, ok := made.FromToken(value); ok {
			t.Errorf("%s is taken for the token", name)
		}
	}
	if made.Device(asks(&http.Cookie{Name: device.Name, Value: cookie.Value})) != "" || made.Device(asks(device)) != string(secret) {
		t.Error("the cookie is taken for the device")
	}
	if _, ok := elsewhere.Cookie(asks(cookie)); ok {
		t.Error("the cookie is taken in another environment")
	}
	if _, ok := local.decode(local.name(), cookie.Value); ok {
		t.Error("the cookie is taken on a laptop with the same key")
	}
}

func TestKeysAreChecked(t *testing.T) {
	t.Parallel()
	for _, keys := range [][]string{nil, {""}, {"short"}, {newKey, "short"}} {
		if _, err := NewTokens(Cookies{Keys: keys}); err == nil || strings.Contains(err.Error(), newKey) {
			t.Errorf("%q: %v", keys, err)
		}
	}
}
