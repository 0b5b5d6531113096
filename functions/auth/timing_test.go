package auth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lectern.dev/lectern/internal/account"
)

// F60: who has an account cannot be told from who has none by how long an answer
// takes. 2,000 interleaved samples of each; the area under the ROC curve of a guesser
// who looks at the time alone is 0.5 when they learn nothing.
//
// The area of two equal distributions of this size has a standard deviation of
// 0.009, so one in thirty-five honest samples is outside of [0.48, 0.52] by chance:
// a sample that is outside is taken anew, up to three times. What tells people apart
// does so each time. The hash is a small one, since a large one would hide
// differences of the rest; TestTheGuesserSeesAMissingHash shows that the guesser sees
// what there is to be seen.
func TestTimesDoNotTellWhoIsThere(t *testing.T) {
	r := newRig(t, measurable)
	g := newGuesser(r)
	for name, try := range g.ways() {
		t.Run(name, func(t *testing.T) {
			var areas []float64
			for range 3 {
				area := g.area(try, 2000)
				if areas = append(areas, area); area >= 0.48 && area <= 0.52 {
					t.Logf("AUC %.3f", areas)
					return
				}
			}
			t.Errorf("AUC %.3f", areas)
		})
	}
}

// measurable makes a hash a fifth of an answer or so.
func measurable(p *account.Parts) {
	hasher, err := account.NewHasher(account.HashOptions{Cost: account.HashCost{MemoryKiB: 256, Iterations: 1, Lanes: 1}})
	if err != nil {
		panic(err)
	}
	p.Hasher = hasher
}

// hasty does no work for who is not known.
type hasty struct{ account.PasswordHasher }

func (hasty) Dummy(context.Context, string) error { return nil }

// The same guesser tells people apart when the hash for the unknown is left out.
func TestTheGuesserSeesAMissingHash(t *testing.T) {
	r := newRig(t, measurable, func(p *account.Parts) { p.Hasher = hasty{p.Hasher} })
	g := newGuesser(r)
	if area := g.area(g.signIn, 300); area < 0.55 {
		t.Errorf("AUC %.3f: the test would not see what it is for", area)
	}
}

// guesser knows addresses of which half have an account.
type guesser struct {
	*rig
	browser *browser
}

const crowd = 100 // of each

func newGuesser(r *rig) *guesser {
	g := &guesser{r, r.browser()}
	r.signUp("known0@example.com")
	r.exec(`
		INSERT INTO users (user_id, organization_id, name, role, email, address)
		SELECT 'user_' || i, organization_id, name, role, 'known' || i || '@example.com', 'known' || i || '@example.com'
		FROM users, generate_series(1, $1) i
		WHERE address = 'known0@example.com'`, crowd-1)
	r.exec(`
		INSERT INTO passwords (user_id, hashed_password)
		SELECT u.user_id, p.hashed_password
		FROM users u, passwords p
		WHERE u.address LIKE 'known%' AND u.address <> 'known0@example.com'`)
	r.exec(`ANALYZE`)
	return g
}

func (g *guesser) ways() map[string]func(string) {
	return map[string]func(string){"sign-in": g.signIn, "resets": g.reset, "sign-up": g.signUp}
}

func (g *guesser) signIn(email string) { g.browser.signIn(email, "wrong wrong wrong").want(401) }

func (g *guesser) reset(email string) {
	g.browser.do("POST", "/v1/auth/resets", fields{"email": email}).want(202)
}

func (g *guesser) signUp(email string) {
	g.browser.do("POST", "/v1/auth/sign-up", fields{"email": email, "password": password, "name": "Ann", "organization": "Owls"}).want(201)
}

// area takes n samples of each kind in pairs of random order, and gives the area
// under the curve: the probability that a known address takes longer than an unknown one.
func (g *guesser) area(try func(string), n int) float64 {
	sample := func(kind string) float64 {
		email := fmt.Sprintf("%s%d@example.com", kind, rand.IntN(crowd))
		if kind == "other" && rand.IntN(2) == 0 { // some before all that are there, some after them
			email = "guest" + email[len("other"):]
		}
		begin := time.Now()
		try(email)
		return float64(time.Since(begin))
	}
	for range 50 { // connections, plans and caches
		sample("known")
		sample("other")
	}
	var known, unknown []float64
	for range n {
		if rand.IntN(2) == 0 {
			known, unknown = append(known, sample("known")), append(unknown, sample("other"))
		} else {
			unknown, known = append(unknown, sample("other")), append(known, sample("known"))
		}
	}
	return auc(known, unknown)
}

// auc is the statistic of Mann and Whitney, over its greatest value.
func auc(a, b []float64) float64 {
	slices.Sort(b)
	var below float64
	for _, x := range a {
		first, _ := slices.BinarySearch(b, x)
		after, _ := slices.BinarySearchFunc(b, x, func(e, target float64) int {
			if e <= target {
				return -1
			}
			return 1
		})
		below += float64(first+after) / 2
	}
	return below / float64(len(a)*len(b))
}
