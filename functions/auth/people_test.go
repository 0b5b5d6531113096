package auth

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/fault"
)

func TestSignUpConfirmSignIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	state := edgetest.Into[signUpState](b.do("POST", "/v1/auth/sign-up", fields{"email": "Ann@Example.com", "password": password, "name": " Ann ", "organization": "Owls"}).Want(201))
	if state.Status != account.LetterSent || r.count(`SELECT count(*) FROM users WHERE address IS NOT NULL`) != 0 {
		t.Fatalf("%+v, or somebody is there without a confirmed address", state)
	}
	b.signIn("ann@example.com", password).Want(401)
	letter := r.mail.last(t, "Ann@Example.com")
	if !strings.Contains(letter.Text, public+"/sign-up/confirm?token=") {
		t.Errorf("%s", letter.Text)
	}
	in := edgetest.Into[signedIn](b.do("POST", "/v1/auth/sign-up/confirm", fields{"token": r.mail.token(t, "Ann@Example.com")}).Want(200))
	if in.User.Email != "Ann@Example.com" || in.User.Name != "Ann" || in.User.Role != account.Owner || in.User.Organization.Name != "Owls" || in.User.Organization.Operator {
		t.Errorf("%+v", in.User)
	}
	if b.me() != in.User {
		t.Error("the cookie is somebody else's")
	}
	other := r.browser()
	if me := edgetest.Into[account.Profile](other.do("GET", "/v1/auth/me", nil, "Authorization", "Bearer "+in.Token).Want(200)); me != in.User {
		t.Error("the token is somebody else's")
	}
	// The address in another form is the same address.
	for _, email := range []string{"ann@example.com", "ANN@EXAMPLE.COM", " ann@example.com "} {
		if got := edgetest.Into[signedIn](other.signIn(email, password).Want(200)); got.User != in.User || got.Token == in.Token {
			t.Errorf("%s: %+v", email, got.User)
		}
	}
	b.do("POST", "/v1/auth/sign-out", nil).Want(204)
	b.do("GET", "/v1/auth/me", nil).Want(401)
	b.do("POST", "/v1/auth/sign-out", nil).Want(204)
	other.do("GET", "/v1/auth/me", nil).Want(200)
}

// The cookie is one that scripts and other sites cannot use.
func TestTheCookie(t *testing.T) {
	t.Parallel()
	b := newRig(t).signUp("ann@example.com")
	a := b.signIn("ann@example.com", password).Want(200)
	cookies := a.Result().Cookies()
	if len(cookies) != 2 {
		t.Fatalf("%v", a.Header())
	}
	for _, c := range cookies {
		if !strings.HasPrefix(c.Name, "__Host-lectern") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("%+v", c)
		}
		if strings.Contains(a.Body.String(), c.Value) {
			t.Errorf("the body holds the cookie %s", c.Name)
		}
	}
	if a.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control: %s", a.Header().Get("Cache-Control"))
	}
}

func TestWithoutLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(p *account.Parts) { p.VerifyEmail = false })
	for range 2 { // the second time the address is known, and nothing tells
		state := edgetest.Into[signUpState](r.browser().do("POST", "/v1/auth/sign-up", fields{"email": "ann@example.com", "password": password, "name": "Ann", "organization": "Owls"}).Want(201))
		if state.Status != account.Ready {
			t.Errorf("%+v", state)
		}
	}
	r.browser().signIn("ann@example.com", password).Want(200)
	if n := r.count(`SELECT count(*) FROM organizations WHERE name = 'Owls'`); n != 1 {
		t.Errorf("%d organisations", n)
	}
	if !strings.Contains(r.mail.last(t, "ann@example.com").Text, "already have") {
		t.Error("the owner of a known address is not told")
	}
}

func TestWrongNewcomers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	good := fields{"email": "ann@example.com", "password": password, "name": "Ann", "organization": "Owls"}
	for name, change := range map[string]fields{
		"no address":        {"email": ""},
		"a name with it":    {"email": "Ann <ann@example.com>"},
		"two":               {"email": "ann@example.com,bob@example.com"},
		"a line break":      {"email": "ann@example.com\r\nBcc: bob@example.com"},
		"a NUL":             {"email": "ann\x00@example.com"},
		"a quoted name":     {"email": `"a b"@example.com`},
		"a number for host": {"email": "ann@[127.0.0.1]"},
		"a long one":        {"email": strings.Repeat("a", 65) + "@example.com"},
		"a longer one":      {"email": "a@" + strings.Repeat("b.", 125) + "example.com"},
		"no name":           {"name": " "},
		"two lines":         {"name": "Ann\nBob"},
		"a turned name":     {"name": "Ann\u202egnp.exe"},
		"no organisation":   {"organization": ""},
		"a short password":  {"password": "owls123"},
		"a common password": {"password": "password1"},
		"one's own address": {"password": "ann@example.com"},
	} {
		body := fields{}
		for _, f := range []fields{good, change} {
			for k, v := range f {
				body[k] = v
			}
		}
		a := b.do("POST", "/v1/auth/sign-up", body).Want(422)
		if strings.Contains(a.Body.String(), password) {
			t.Errorf("%s: the answer repeats the password: %s", name, a.Body)
		}
		if !strings.Contains(a.Body.String(), `"location":"body.`) {
			t.Errorf("%s: the answer names no field: %s", name, a.Body)
		}
	}
	if len(r.mail.letters) != 0 || r.count(`SELECT count(*) FROM links`) != 0 {
		t.Error("a letter was sent")
	}
}

func TestProfileAndDevices(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.signUp("ann@example.com")
	if got := edgetest.Into[account.Profile](b.do("PATCH", "/v1/auth/me", fields{"name": " Ännchen "}).Want(200)); got.Name != "Ännchen" || b.me().Name != "Ännchen" {
		t.Errorf("%+v", got)
	}
	b.do("PATCH", "/v1/auth/me", fields{"name": "  "}).Want(422)
	b.do("PATCH", "/v1/auth/me", fields{"role": "root"}).Want(422)
	phone := r.browser()
	phone.agent = "Phone\x01 " + strings.Repeat("é", 300)
	phone.signIn("ann@example.com", password).Want(200)
	list := edgetest.Into[devices](b.do("GET", "/v1/auth/sign-ins", nil).Want(200)).Items
	if len(list) != 2 || list[0].Current || !list[1].Current || list[1].Device != "Owl/1.0" || !strings.HasPrefix(list[0].Device, "Phone é") || len([]rune(list[0].Device)) > 200 {
		t.Fatalf("%+v", list)
	}
	if left := time.Until(list[0].ExpiresAt); left < account.SignInIdle-time.Hour || left > account.SignInIdle {
		t.Errorf("it lasts %s", left)
	}
	stranger := r.signUp("eve@example.com")
	stranger.do("DELETE", "/v1/auth/sign-ins/"+list[0].ID, nil).Want(404)
	bob := b.join("bob@example.com", account.Owner)
	bob.do("DELETE", "/v1/auth/sign-ins/"+list[0].ID, nil).Want(404)
	b.do("DELETE", "/v1/auth/sign-ins/"+list[0].ID, nil).Want(204)
	b.do("DELETE", "/v1/auth/sign-ins/"+list[0].ID, nil).Want(404)
	phone.do("GET", "/v1/auth/me", nil).Want(401)
	phone.signIn("ann@example.com", password).Want(200)
	phone.do("POST", "/v1/auth/sign-out-everywhere", nil).Want(204)
	b.do("GET", "/v1/auth/me", nil).Want(401)
	phone.do("GET", "/v1/auth/me", nil).Want(401)
	stranger.me()
	bob.me()
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.signUp("ann@example.com")
	phone := r.browser()
	phone.signIn("ann@example.com", password).Want(200)
	b.do("POST", "/v1/auth/resets", fields{"email": "ann@example.com"}).Want(202)
	token := r.mail.token(t, "ann@example.com")

	b.do("POST", "/v1/auth/password", fields{"current": "wrong", "new": "ten owls on a fence"}).Want(422)
	b.do("POST", "/v1/auth/password", fields{"current": password, "new": "short"}).Want(422)
	b.do("POST", "/v1/auth/password", fields{"current": password, "new": "ten owls on a fence"}).Want(200)
	b.me()
	phone.do("GET", "/v1/auth/me", nil).Want(401)
	phone.signIn("ann@example.com", password).Want(401)
	phone.signIn("ann@example.com", "ten owls on a fence").Want(200)
	if !strings.Contains(r.mail.last(t, "ann@example.com").Text, "was changed") {
		t.Error("the owner is not told")
	}
	phone.do("POST", "/v1/auth/resets/redeem", fields{"token": token, "password": "eleven owls on a fence"}).Want(401)

	b.do("POST", "/v1/auth/resets", fields{"email": "ann@example.com"}).Want(202)
	older := r.mail.token(t, "ann@example.com")
	b.do("POST", "/v1/auth/resets", fields{"email": "Ann@Example.com"}).Want(202)
	token = r.mail.token(t, "ann@example.com")
	other := r.browser()
	other.do("POST", "/v1/auth/resets/redeem", fields{"token": older, "password": "eleven owls on a fence"}).Want(401)
	other.do("POST", "/v1/auth/resets/redeem", fields{"token": token, "password": "short"}).Want(422) // the link still works
	other.do("POST", "/v1/auth/resets/redeem", fields{"token": token, "password": "eleven owls on a fence"}).Want(200)
	other.me()
	b.do("GET", "/v1/auth/me", nil).Want(401)
	phone.do("GET", "/v1/auth/me", nil).Want(401)
	phone.signIn("ann@example.com", "ten owls on a fence").Want(401)
	phone.signIn("ann@example.com", "eleven owls on a fence").Want(200)
}

// F63: what is typed counts byte by byte, and nothing is cut off.
func TestPasswordsAreExactBytes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.signUp("ann@example.com")
	current := password
	long := strings.Repeat("owl fence ", 26)[:256]
	for name, c := range map[string]struct {
		password string
		near     []string
	}{
		"composed":   {"café au lait", []string{"cafe\u0301 au lait", "cafe au lait", "Café au lait"}},
		"decomposed": {"cafe\u0301 au lait", []string{"café au lait"}},
		"spaces":     {"  two owls  ", []string{"two owls", " two owls ", "  two owls "}},
		"NUL":        {"before\x00after", []string{"before", "before\x00afteR", "before\x00"}},
		"emoji":      {"🦉🦉🐦🦉🦉🪵🌲🌳", []string{"🦉🦉🐦🦉🦉🪵🌲🌲"}},
		"longest":    {long, []string{long[:255], long[:255] + "!", long[:72]}},
	} {
		b.do("POST", "/v1/auth/password", fields{"current": current, "new": c.password}).Want(200)
		current = c.password
		for _, near := range c.near {
			if a := r.browser().signIn("ann@example.com", near); a.Code != 401 {
				t.Errorf("%s: %q opens what %q locks: %d", name, near, c.password, a.Code)
			}
		}
		r.browser().signIn("ann@example.com", c.password).Want(200)
	}
	b.do("POST", "/v1/auth/password", fields{"current": current, "new": long + "x"}).Want(422)
	r.browser().signIn("ann@example.com", long+"x").Want(422)
	a := r.browser().do("POST", "/v1/auth/sign-in", fields{"email": "ann@example.com", "password": strings.Repeat("x", 1<<20)}).Want(413)
	if len(a.Body.String()) > 1000 {
		t.Error("the answer is long")
	}
	r.browser().do("POST", "/v1/auth/sign-in", `{"email":"ann@example.com","password":"owls \ud83d fence"}`).Want(400)
	r.browser().do("POST", "/v1/auth/sign-in", "{\"email\":\"ann@example.com\",\"password\":\"owls \xff fence\"}").Want(400)
}

// Known or not, the answers are equal to the byte.
func TestAnswersDoNotTellWhoIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.signUp("ann@example.com")
	for _, c := range []struct {
		path string
		body fields
	}{
		{"/v1/auth/sign-in", fields{"password": "wrong wrong wrong"}},
		{"/v1/auth/resets", fields{}},
		{"/v1/auth/sign-up", fields{"password": password, "name": "Bob", "organization": "Owls"}},
	} {
		var answers [2]string
		for i, email := range []string{"ann@example.com", "eve@example.com"} {
			c.body["email"] = email
			a := r.browser().do("POST", c.path, c.body, "X-Request-Id", "the-same-id")
			a.Header().Del("Date")
			headers, err := json.Marshal(a.Header())
			if err != nil {
				t.Fatal(err)
			}
			answers[i] = string(headers) + a.Body.String() + http.StatusText(a.Code)
			if c.path != "/v1/auth/sign-in" {
				r.mail.last(t, email) // both are written to
			}
		}
		if answers[0] != answers[1] {
			t.Errorf("%s:\n%s\n%s", c.path, answers[0], answers[1])
		}
	}
	if n := r.count(`SELECT count(*) FROM users WHERE address = 'ann@example.com'`); n != 1 {
		t.Errorf("%d people have the address", n)
	}
	if r.mail.token(t, "ann@example.com") != "" {
		t.Error("who has an account is sent a link to a second one")
	}
}

// A mail server that refuses an address for good, or is down, tells nothing either.
func TestLettersThatFail(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.signUp("ann@example.com")
	for err, want := range map[error]int{
		fault.New(fault.Invalid, "No such mailbox."):    202,
		fault.New(fault.Unavailable, "It is down."):     503,
		http.ErrServerClosed /* an error of no kind */ : 500,
	} {
		r.mail.err = err
		for _, email := range []string{"ann@example.com", "eve@example.com"} {
			b.do("POST", "/v1/auth/resets", fields{"email": email}).Want(want)
		}
	}
	r.mail.err = fault.New(fault.Unavailable, "It is down.")
	b.do("POST", "/v1/auth/members", fields{"email": "bob@example.com", "role": "author"}).Want(503)
	if open := edgetest.Into[memberPage](b.do("GET", "/v1/auth/members", nil).Want(200)).Invitations; len(open) != 0 {
		t.Errorf("an invitation without a letter is listed: %+v", open)
	}
	b.do("POST", "/v1/auth/password", fields{"current": password, "new": "ten owls on a fence"}).Want(200) // stands without its letter
}

func TestSignInByLink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	secret, err := account.NewSignInLink(t.Context(), r.db, account.Local)
	if err != nil {
		t.Fatal(err)
	}
	b := r.browser()
	b.do("POST", "/v1/auth/sign-in/link", fields{"token": string(secret)}).Want(200)
	if me := b.me(); me.ID != account.Local.User {
		t.Errorf("%+v", me)
	}
	r.browser().do("POST", "/v1/auth/sign-in/link", fields{"token": string(secret)}).Want(401)
	b.do("POST", "/v1/auth/password", fields{"current": "none at all", "new": password}).Want(409)
}
