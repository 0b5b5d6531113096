package auth

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge/edgetest"
)

// counting counts the hashes that are spent.
type counting struct {
	account.PasswordHasher
	spent atomic.Int64
}

func (c *counting) Verify(ctx context.Context, password, hash string) (ok, rehash bool, err error) {
	c.spent.Add(1)
	return c.PasswordHasher.Verify(ctx, password, hash)
}

func (c *counting) Dummy(ctx context.Context, password string) error {
	c.spent.Add(1)
	return c.PasswordHasher.Dummy(ctx, password)
}

func (c *counting) Hash(ctx context.Context, password string) (string, error) {
	c.spent.Add(1)
	return c.PasswordHasher.Hash(ctx, password)
}

// throttled is a rig of given limits that counts hashes.
func throttled(t *testing.T, change func(*account.Limits)) (*rig, *counting) {
	hashes := &counting{}
	return newRig(t, func(p *account.Parts) {
		hashes.PasswordHasher, p.Hasher = p.Hasher, hashes
		change(&p.Limits)
	}), hashes
}

func slow(burst int) account.Rate { return account.Rate{Burst: burst, Every: time.Hour} }

// F61: guessing one account's password is bounded before a hash is spent, from
// however many networks, and its owner still gets in on a device that is known.
func TestGuessingOneAccount(t *testing.T) {
	t.Parallel()
	r, hashes := throttled(t, func(l *account.Limits) { l.Account, l.Device = slow(10), slow(3) })
	owner := r.signUp("ann@example.com")
	owner.do("POST", "/v1/auth/sign-out", nil).Want(204)
	for _, email := range []string{"ann@example.com", "nobody@example.com"} { // known or not, the same
		before := hashes.spent.Load()
		for i := range 1000 {
			b := r.browser()
			b.address = fmt.Sprintf("198.51.%d.%d", i/250, i%250)
			switch a := b.signIn(email, "wrong wrong wrong"); {
			case i < 10:
				a.Want(401)
			default:
				a.WantThrottled()
			}
		}
		if spent := hashes.spent.Load() - before; spent != 10 {
			t.Errorf("%s: %d hashes were spent on 1,000 attempts", email, spent)
		}
	}
	stranger := r.browser()
	stranger.signIn("ann@example.com", password).WantThrottled()
	owner.signIn("ann@example.com", password).Want(200)

	// The device's own allowance is bounded too, and is for one account only.
	for range 3 {
		owner.signIn("ann@example.com", "wrong wrong wrong").Want(401)
	}
	owner.signIn("ann@example.com", password).WantThrottled()
	eve := r.signUp("eve@example.com")
	eve.signIn("ann@example.com", password).WantThrottled()
	forged := r.browser()
	forged.cookies[cookieName+"-device"] = "ann@example.com"
	forged.signIn("ann@example.com", password).WantThrottled()
}

// F61: one network that tries many accounts is bounded; what it gets right costs it
// nothing, so that a school can sign in.
func TestStuffingFromOneNetwork(t *testing.T) {
	t.Parallel()
	r, hashes := throttled(t, func(l *account.Limits) { l.Network = slow(20) })
	r.signUp("ann@example.com")
	for range 40 {
		r.browser().signIn("ann@example.com", password).Want(200)
	}
	before := hashes.spent.Load()
	for i := range 200 {
		b := r.browser()
		b.do("POST", "/v1/auth/sign-in", fields{"email": fmt.Sprintf("user%d@example.com", i), "password": "wrong wrong wrong"}, "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i))
	}
	if spent := hashes.spent.Load() - before; spent != 20 {
		t.Errorf("%d hashes were spent on 200 accounts", spent)
	}
	elsewhere := r.browser()
	elsewhere.address = "203.0.113.7"
	elsewhere.signIn("ann@example.com", password).Want(200)
}

// F61: all strangers together are bounded, and who is known passes them by.
func TestStuffingFromEverywhere(t *testing.T) {
	t.Parallel()
	r, hashes := throttled(t, func(l *account.Limits) { l.Strangers = slow(30) })
	owner := r.signUp("ann@example.com") // takes the first
	before := hashes.spent.Load()
	for i := range 1000 {
		b := r.browser()
		b.address = fmt.Sprintf("198.51.%d.%d", i/250, i%250)
		b.signIn(fmt.Sprintf("user%d@example.com", i), "wrong wrong wrong")
	}
	if spent := hashes.spent.Load() - before; spent != 29 {
		t.Errorf("%d hashes were spent on 1,000 attempts", spent)
	}
	r.browser().signIn("ann@example.com", password).WantThrottled()
	r.browser().do("POST", "/v1/auth/sign-up", fields{"email": "new@example.com", "password": password, "name": "New", "organization": "New"}).WantThrottled()
	owner.signIn("ann@example.com", password).Want(200)
}

func TestLettersAndLinksAreBounded(t *testing.T) {
	t.Parallel()
	r, hashes := throttled(t, func(l *account.Limits) {
		l.Letters, l.Links, l.Resets, l.SignUps, l.Invites = slow(3), slow(4), slow(5), slow(6), slow(7)
	})
	ann := r.signUp("ann@example.com") // a letter, a link and a sign-up
	from := func(address string) *browser {
		b := r.browser()
		b.address = address
		return b
	}
	bomb := func(b *browser, email string) edgetest.Answer {
		return b.do("POST", "/v1/auth/resets", fields{"email": email})
	}
	// One mailbox, known or not, from everywhere.
	for i, email := range []string{"ann@example.com", "nobody@example.com"} {
		for j := range 3 - (1 - i) {
			bomb(from(fmt.Sprintf("198.51.100.%d", j)), email).Want(202)
		}
		bomb(from("198.51.100.9"), email).WantThrottled()
	}
	// Many mailboxes from one network.
	for i := range 5 {
		bomb(from("203.0.113.1"), fmt.Sprintf("user%d@example.com", i)).Want(202)
	}
	bomb(from("203.0.113.1"), "user9@example.com").WantThrottled()
	signUp := func(email string) edgetest.Answer {
		return from("203.0.113.2").do("POST", "/v1/auth/sign-up", fields{"email": email, "password": password, "name": "New", "organization": "New"})
	}
	for i := range 6 {
		signUp(fmt.Sprintf("new%d@example.com", i)).Want(201)
	}
	before := hashes.spent.Load()
	signUp("new9@example.com").WantThrottled()
	signUp("ann@example.com").WantThrottled()
	for i := range 4 {
		use["reset"](from("203.0.113.3"), fmt.Sprint("guess", i)).Want(401)
	}
	use["sign_up"](from("203.0.113.3"), "guess").WantThrottled()
	use["invitation"](from("203.0.113.3"), "guess").WantThrottled()
	use["sign_in"](from("203.0.113.3"), "guess").WantThrottled()
	if spent := hashes.spent.Load() - before; spent != 0 {
		t.Errorf("%d hashes were spent on what is refused", spent)
	}
	for i := range 7 {
		ann.do("POST", "/v1/auth/members", fields{"email": fmt.Sprintf("guest%d@example.com", i), "role": "learner"}).Want(201)
	}
	ann.do("POST", "/v1/auth/members", fields{"email": "guest9@example.com", "role": "learner"}).WantThrottled()
}

// Letters that strangers ask for are bounded, whoever they are and to whomever.
func TestLettersOfAllTogether(t *testing.T) {
	t.Parallel()
	r, _ := throttled(t, func(l *account.Limits) { l.Mail = slow(4) })
	from := func(i int) *browser {
		b := r.browser()
		b.address = fmt.Sprintf("198.51.100.%d", i)
		return b
	}
	reset := func(i int) edgetest.Answer {
		return from(i).do("POST", "/v1/auth/resets", fields{"email": fmt.Sprintf("user%d@example.com", i)})
	}
	signUp := func(i int) edgetest.Answer {
		return from(i).do("POST", "/v1/auth/sign-up", fields{"email": fmt.Sprintf("new%d@example.com", i), "password": password, "name": "New", "organization": "New"})
	}
	for i := range 2 {
		reset(i).Want(202)
		signUp(i).Want(201)
	}
	reset(8).WantThrottled()
	signUp(9).WantThrottled()
	if n := len(r.mail.letters); n != 4 {
		t.Errorf("%d letters", n)
	}
}

// Anybody can have an organisation: its API secrets are not hashed without end.
func TestSecretsAreBounded(t *testing.T) {
	t.Parallel()
	r, hashes := throttled(t, func(l *account.Limits) { l.Secrets = slow(3) })
	ann, eve := r.signUp("ann@example.com"), r.signUp("eve@example.com")
	before := hashes.spent.Load()
	for range 3 {
		eve.do("POST", "/v1/auth/credentials", program).Want(201)
	}
	for range 3 {
		eve.do("POST", "/v1/auth/credentials", program).WantThrottled()
	}
	if spent := hashes.spent.Load() - before; spent != 3 {
		t.Errorf("%d hashes were spent", spent)
	}
	ann.do("POST", "/v1/auth/credentials", program).Want(201)
}

// Who has somebody's browser cannot guess the password with it.
func TestGuessingThePresentPassword(t *testing.T) {
	t.Parallel()
	r, hashes := throttled(t, func(l *account.Limits) { l.Account = slow(5) })
	b := r.signUp("ann@example.com")
	before := hashes.spent.Load()
	for range 5 {
		b.do("POST", "/v1/auth/password", fields{"current": "wrong wrong wrong", "new": "ten owls on a fence"}).Want(422)
	}
	b.do("POST", "/v1/auth/password", fields{"current": password, "new": "ten owls on a fence"}).WantThrottled()
	if spent := hashes.spent.Load() - before; spent != 5 {
		t.Errorf("%d hashes were spent", spent)
	}
}
