package auth

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lectern.dev/lectern/internal/account"
)

// F60: who has an account cannot be told from who has none by how long an answer
// takes. 2,000 interleaved samples of each are looked at by two guessers who know the
// time alone. One asks which answers take longer: the area under the ROC curve is 0.5
// when they learn nothing. The other asks whether the times are spread in another way
// (Kolmogorov and Smirnov), which may be so while neither takes longer.
//
// The area of two equal distributions of this size has a standard deviation of
// 0.009, so one in thirty-five honest samples is outside of [0.48, 0.52] by chance,
// and one in a hundred has a p below 0.01: such a sample is taken anew, up to three
// times. What tells people apart does so each time. The hash is a small one, since a
// large one would hide differences of the rest; TestTheGuesserSeesAMissingHash shows
// that the guessers see what there is to be seen.
func TestTimesDoNotTellWhoIsThere(t *testing.T) {
	r := newRig(t, measurable)
	g := newGuesser(r)
	for name, try := range g.ways() {
		t.Run(name, func(t *testing.T) {
			var seen []string
			for range 3 {
				known, unknown := g.samples(try, 2000)
				area, p := auc(known, unknown), sameSpread(known, unknown)
				if seen = append(seen, fmt.Sprintf("AUC %.3f p %.3f", area, p)); area >= 0.48 && area <= 0.52 && p > 0.01 {
					t.Log(seen)
					return
				}
			}
			t.Error(seen)
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

// The same guesser tells people apart, by the same bounds, when the hash for the unknown is left out.
func TestTheGuesserSeesAMissingHash(t *testing.T) {
	r := newRig(t, measurable, func(p *account.Parts) { p.Hasher = hasty{p.Hasher} })
	g := newGuesser(r)
	var seen []string
	for _, n := range []int{300, 1000, 2000} { // few are enough where nothing else wants the processors
		known, unknown := g.samples(g.signIn, n)
		area, p := auc(known, unknown), sameSpread(known, unknown)
		if seen = append(seen, fmt.Sprintf("AUC %.3f p %.3f", area, p)); area > 0.52 && p < 0.01 {
			return
		}
	}
	t.Error("the test would not see what it is for: ", seen)
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

func (g *guesser) signIn(email string) { g.browser.signIn(email, "wrong wrong wrong").Want(401) }

func (g *guesser) reset(email string) {
	g.browser.do("POST", "/v1/auth/resets", fields{"email": email}).Want(202)
}

func (g *guesser) signUp(email string) {
	g.browser.do("POST", "/v1/auth/sign-up", fields{"email": email, "password": password, "name": "Ann", "organization": "Owls"}).Want(201)
}

// samples takes the times of n known and n unknown addresses, in pairs of random order.
func (g *guesser) samples(try func(string), n int) (known, unknown []float64) {
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
	for range n {
		if rand.IntN(2) == 0 {
			known, unknown = append(known, sample("known")), append(unknown, sample("other"))
		} else {
			unknown, known = append(unknown, sample("other")), append(known, sample("known"))
		}
	}
	return known, unknown
}

// auc is the statistic of Mann and Whitney, over its greatest value: the probability
// that one of a is above one of b.
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

// sameSpread is the p-value of the two-sample test of Kolmogorov and Smirnov: how
// likely two samples of one distribution are at least as far apart as these. It is
// the asymptotic formula with the correction of Stephens, as in Press et al.,
// Numerical Recipes, 3rd edition, section 14.3.3.
func sameSpread(a, b []float64) float64 {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	var far float64
	for i, j := 0, 0; i < len(a) && j < len(b); {
		x := min(a[i], b[j])
		for ; i < len(a) && a[i] == x; i++ {
		}
		for ; j < len(b) && b[j] == x; j++ {
		}
		far = max(far, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	root := math.Sqrt(float64(len(a)*len(b)) / float64(len(a)+len(b)))
	x := (root + 0.12 + 0.11/root) * far
	if x < 0.2 {
		return 1 // the series converges slowly here, towards 1
	}
	var p float64
	for k, sign := 1., 2.; k <= 100; k, sign = k+1, -sign {
		p += sign * math.Exp(-2*k*k*x*x)
	}
	return min(max(p, 0), 1)
}

// Values of a table: of two samples of 2,000 a distance of 0.0429 has a p of 0.05, and
// one of 0.0515 a p of 0.01 (the factors 1.358 and 1.628 of sqrt((n+m)/nm)).
func TestSameSpread(t *testing.T) {
	t.Parallel()
	shifted := func(by int) (a, b []float64) {
		for i := range 2000 {
			a, b = append(a, float64(i)), append(b, float64(i+by))
		}
		return a, b
	}
	for by, want := range map[int]float64{0: 1, 86: 0.05, 103: 0.01, 2000: 0} {
		if p := sameSpread(shifted(by)); math.Abs(p-want) > 0.003 {
			t.Errorf("shifted by %d: %.4f, want %.2f", by, p, want)
		}
	}
}
