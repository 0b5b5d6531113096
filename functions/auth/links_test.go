package auth

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
)

// use is how a link of each kind is used.
var use = map[string]func(*browser, string) edgetest.Answer{
	"sign_up": func(b *browser, token string) edgetest.Answer {
		return b.do("POST", "/v1/auth/sign-up/confirm", fields{"token": token})
	},
	"invitation": func(b *browser, token string) edgetest.Answer {
		return b.do("POST", "/v1/auth/sign-up", fields{"invitation": token, "password": password, "name": "Bob"})
	},
	"reset": func(b *browser, token string) edgetest.Answer {
		return b.do("POST", "/v1/auth/resets/redeem", fields{"token": token, "password": "ten owls on a fence"})
	},
	"sign_in": func(b *browser, token string) edgetest.Answer {
		return b.do("POST", "/v1/auth/sign-in/link", fields{"token": token})
	},
}

// links gives a fresh link of each kind.
func (r *rig) links(owner *browser) map[string]string {
	r.t.Helper()
	b := r.browser()
	b.do("POST", "/v1/auth/sign-up", fields{"email": "new@example.com", "password": password, "name": "New", "organization": "New"}).Want(201)
	owner.do("POST", "/v1/auth/members", fields{"email": "bob@example.com", "role": "author"}).Want(201)
	b.do("POST", "/v1/auth/resets", fields{"email": "ann@example.com"}).Want(202)
	secret, err := account.NewSignInLink(r.t.Context(), r.db, account.Local)
	if err != nil {
		r.t.Fatal(err)
	}
	return map[string]string{
		"sign_up": r.mail.token(r.t, "new@example.com"), "invitation": r.mail.token(r.t, "bob@example.com"),
		"reset": r.mail.token(r.t, "ann@example.com"), "sign_in": string(secret),
	}
}

// F70: a link works once, for what it was made, in time; nobody guesses one.
func TestLinksWorkOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	owner := r.signUp("ann@example.com")
	links := r.links(owner)
	for kind, token := range links {
		if len(token) != 43 { // 256 bits
			t.Fatalf("%s: %q", kind, token)
		}
		if n := r.count(`SELECT count(*) FROM links WHERE strpos(links::text, $1) > 0 OR token_hash <> sha256(token_hash) AND octet_length(token_hash) <> 32`, token); n != 0 {
			t.Errorf("%s: the table holds the token", kind)
		}
		for other, try := range use {
			if other != kind {
				try(r.browser(), token).Want(401)
			}
		}
		for _, guess := range []string{"", "x", token[:42], token + "A", strings.ToLower(token), strings.ToUpper(token), " " + token} {
			if guess != token && guess != "" {
				use[kind](r.browser(), guess).Want(401)
			}
		}
	}
	for kind, token := range links {
		use[kind](r.browser(), token)
		use[kind](r.browser(), token).Want(401)
	}
	if n := r.count(`SELECT count(*) FROM links WHERE used_at IS NULL`); n != 0 {
		t.Errorf("%d links were not used", n)
	}
}

func TestLinksExpire(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	links := r.links(r.signUp("ann@example.com"))
	if n := r.count(`SELECT count(*) FROM links WHERE used_at IS NULL AND expires_at - created_at <> interval '30 minutes'`); n != 0 {
		t.Errorf("%d links do not last 30 minutes", n)
	}
	r.exec(`UPDATE links SET created_at = created_at - interval '30 minutes', expires_at = expires_at - interval '30 minutes'`)
	for kind, token := range links {
		use[kind](r.browser(), token).Want(401)
	}
	removed, err := account.Expire(t.Context(), r.deps.DB)
	if err != nil || removed < len(links) || r.count(`SELECT count(*) FROM links`) != 0 {
		t.Errorf("%d removed, %v", removed, err)
	}
}

// Of many who come with one link at the same time, one gets in.
func TestLinksAreRacedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	links := r.links(r.signUp("ann@example.com"))
	for _, kind := range []string{"sign_up", "invitation", "sign_in", "reset"} { // a reset ends the invitation
		token := links[kind]
		var won []int
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				code := use[kind](r.browser(), token).Code
				mu.Lock()
				defer mu.Unlock()
				won = append(won, code)
			})
		}
		all.Wait()
		slices.Sort(won)
		if won[0] >= 300 || won[1] != 401 || won[15] != 401 {
			t.Errorf("%s: %v", kind, won)
		}
	}
}

// An invitation makes a member of the organisation that has sent it, with the role
// and the address that it was sent for, whatever is sent along.
func TestInvitationsAreForOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, eve := r.signUp("ann@example.com"), r.signUp("eve@example.com")
	ann.do("POST", "/v1/auth/members", fields{"email": "Bob@Example.com", "role": "learner", "name": "the new one"}).Want(201)
	token := r.mail.token(t, "Bob@Example.com")
	join := func(more fields) edgetest.Answer {
		body := fields{"invitation": token, "password": password, "name": "Bob"}
		for k, v := range more {
			body[k] = v
		}
		return eve.do("POST", "/v1/auth/sign-up", body)
	}
	join(fields{"email": "eve2@example.com"}).Want(422)
	join(fields{"role": "owner"}).Want(422)
	join(fields{"organization_id": "org_local"}).Want(422)
	bob := r.browser()
	in := edgetest.Into[signUpState](bob.do("POST", "/v1/auth/sign-up", fields{
		"invitation": token, "password": password, "name": "Bob", "organization": "Eve's", "email": "bob@example.com",
	}).Want(201))
	if in.Status != account.Entered || in.User == nil || *in.User != bob.me() || len(bob.cookies) != 2 { // signed in, on a device that is known from now on
		t.Errorf("%+v %v", in, bob.cookies)
	}
	if me := edgetest.Into[account.Profile](r.browser().do("GET", "/v1/auth/me", nil, "Authorization", "Bearer "+in.Token).Want(200)); me != *in.User {
		t.Error("the token is somebody else's")
	}
	bob.signIn("bob@example.com", password).Want(200)
	if me := bob.me(); me.Organization != ann.me().Organization || me.Role != account.Learner || me.Email != "Bob@Example.com" || me.Name != "Bob" {
		t.Errorf("%+v", me)
	}
	// Who is a member elsewhere cannot be taken over by an invitation, and who
	// invites them does not learn it.
	first := eve.do("POST", "/v1/auth/members", fields{"email": "bob@example.com", "role": "owner"}).Want(201)
	second := eve.do("POST", "/v1/auth/members", fields{"email": "nobody@example.com", "role": "owner"}).Want(201)
	if len(edgetest.Into[map[string]any](first)) != len(edgetest.Into[map[string]any](second)) {
		t.Errorf("%s\n%s", first.Body, second.Body)
	}
	if r.mail.token(t, "bob@example.com") != "" {
		t.Error("who has an account is sent a link")
	}
	ann.do("POST", "/v1/auth/members", fields{"email": "bob@example.com", "role": "owner"}).Want(409)
}

// An invitation holds as long as who has sent it could send it.
func TestInvitationsEndWithTheirSender(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(ann, bob *browser, invitation string) edgetest.Answer{
		"sender demoted": func(ann, bob *browser, _ string) edgetest.Answer {
			return ann.do("PATCH", "/v1/auth/members/"+bob.me().ID, fields{"role": "author"})
		},
		"sender removed": func(ann, bob *browser, _ string) edgetest.Answer {
			return ann.do("DELETE", "/v1/auth/members/"+bob.me().ID, nil)
		},
		"sender's password changed": func(_, bob *browser, _ string) edgetest.Answer { // who knew the old one may have sent it
			return bob.do("POST", "/v1/auth/password", fields{"current": password, "new": "ten owls on a fence"})
		},
		"taken back": func(ann, _ *browser, invitation string) edgetest.Answer {
			return ann.do("DELETE", "/v1/auth/invitations/"+invitation, nil)
		},
		"sent again": func(ann, _ *browser, _ string) edgetest.Answer {
			return ann.do("POST", "/v1/auth/members", fields{"email": "mole@example.com", "role": "learner"})
		},
		"demoted in the dark": func(_, bob *browser, _ string) edgetest.Answer { // the row alone, as a race would leave it
			bob.exec(`UPDATE users SET role = 'author' WHERE user_id = $1`, bob.me().ID)
			return bob.do("GET", "/v1/auth/me", nil)
		},
		"demoted in the dark, to more than the guest": func(_, bob *browser, _ string) edgetest.Answer {
			bob.exec(`UPDATE users SET role = 'author' WHERE user_id = $1`, bob.me().ID)
			bob.exec(`UPDATE links SET data = data || '{"role": "learner"}' WHERE kind = 'invitation'`)
			return bob.do("GET", "/v1/auth/me", nil)
		},
	} {
		r := newRig(t)
		ann := r.signUp("ann@example.com")
		bob := ann.join("bob@example.com", account.Owner)
		eve := r.signUp("eve@example.com")
		open := edgetest.Into[account.Invitation](bob.do("POST", "/v1/auth/members", fields{"email": "mole@example.com", "role": "owner"}).Want(201))
		token := r.mail.token(t, "mole@example.com")
		eve.do("DELETE", "/v1/auth/invitations/"+open.ID, nil).Want(404)
		if a := end(ann, bob, open.ID); a.Code >= 300 {
			t.Fatalf("%s: %d %s", name, a.Code, a.Body)
		}
		if a := use["invitation"](r.browser(), token); a.Code != 401 {
			t.Errorf("%s: the invitation still works: %d", name, a.Code)
		}
	}
}

// F70: no log line and no letter's header holds a token, a password or a cookie.
// It replaces the process's logger, so no other test runs beside it.
func TestNoSecretIsLogged(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(edge.Logger(&log, slog.LevelDebug, "p"))
	defer slog.SetDefault(before)

	r := newRig(t)
	owner := r.signUp("ann@example.com")
	canaries := []string{password, "ten owls on a fence", "wrong wrong wrong"}
	for kind, token := range r.links(owner) {
		canaries = append(canaries, token)
		b := r.browser()
		use[kind](b, token)
		use[kind](b, token) // and where it is refused
		b.do("GET", "/v1/auth/me?token="+token, nil)
		for _, value := range b.cookies {
			canaries = append(canaries, value)
		}
		owner.do("POST", "/v1/auth/sign-in", "{\"email\": \"x\", \"password\": \""+password).Want(400)
	}
	owner.signIn("ann@example.com", "wrong wrong wrong").Want(401)
	r.deps.DB.(interface{ Close() }).Close() // every failure of the database, too
	for kind, try := range use {
		try(owner, canaries[0]+kind)
	}
	owner.signIn("ann@example.com", password).Want(503)
	if log.Len() == 0 || !strings.Contains(log.String(), "/v1/auth/sign-in") {
		t.Fatal("nothing is logged")
	}
	for _, canary := range canaries {
		if at := strings.Index(log.String(), canary); at >= 0 {
			t.Errorf("the log holds %s: …%s", canary, log.String()[max(0, at-300):min(log.Len(), at+100)])
		}
		for _, letter := range r.mail.letters {
			if strings.Contains(letter.Subject+letter.To, canary) {
				t.Errorf("the head of a letter holds %s", canary)
			}
		}
	}
}
