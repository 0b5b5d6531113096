package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// Remembered is how long a process takes a secret that it has verified without
// hashing it again. A revocation is seen at the next request all the same, since
// every one reads the credential's row.
const Remembered = time.Minute

const (
	mostRemembered = 1000   // credentials
	mostThrottled  = 20_000 // auth_ids, known and unknown, and clients
	lastUseWithin  = 500 * time.Millisecond
)

// What an instance takes of secrets that may be wrong, each of which costs a hash:
// for one auth_id, from one client, and of all together. Half of what there is for an
// auth_id is what one client gets of it, so that none alone keeps its owner out, whose
// secret a new instance has still to hash.
var (
	triesOfCredential = Rate{Burst: 10, Every: 2 * time.Second}
	triesOfBoth       = Rate{Burst: 5, Every: 4 * time.Second}
	triesOfClient     = Rate{Burst: 20, Every: time.Second}
	triesOfAll        = Rate{Burst: 50, Every: 100 * time.Millisecond}
)

// Verifier tells whose an API credential is. A process has one.
type Verifier struct {
	db      postgres.Querier
	hasher  PasswordHasher
	client  func(context.Context) string
	macs    sync.Pool // of *mac, under a key of this process
	flights singleflight.Group

	mu    sync.Mutex
	known map[string]verified // by auth_id
	tries map[string]*rate.Limiter
}

// verified is what is remembered of a secret: nothing that gives it away.
type verified struct {
	sum   [sha256.Size]byte
	until time.Time
}

// NewVerifier makes a Verifier. The pool may be one that sees no organisation by
// itself. Client names the client, or its network, whose request a ctx is of; "" is
// not known.
func NewVerifier(db postgres.Querier, hasher PasswordHasher, client func(context.Context) string) *Verifier {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails: crypto/rand aborts the process instead
	v := &Verifier{db: db, hasher: hasher, client: client, known: map[string]verified{}, tries: map[string]*rate.Limiter{}}
	v.macs.New = func() any { return &mac{hash: hmac.New(sha256.New, key[:])} }
	return v
}

// Check gives the principal of a credential. It says Unauthenticated when there is
// none with this secret (any more), and does not say why; Exhausted, before a hash
// is paid, when there were many wrong secrets; Unavailable when too many are being
// hashed. Beside one indexed read it costs a hash once, then microseconds.
func (v *Verifier) Check(ctx context.Context, authID, secret string) (Principal, error) {
	if !validAuthID(authID) || len(secret) > 4*LongestPassword {
		return Principal{}, wrongCredential()
	}
	found, err := findCredential(ctx, v.db, authID)
	if err != nil {
		return Principal{}, err
	}
	if err := v.verify(ctx, authID, found.hash, secret); err != nil {
		return Principal{}, err
	}
	p := Principal{Organization: found.organization, User: authID, Scopes: found.scopes}
	if found.idle {
		used(ctx, v.db, p)
	}
	return p, nil
}

// verify tells whether the secret is the hash's; hash is "" when there is no such
// credential, which costs the same.
func (v *Verifier) verify(ctx context.Context, authID, hash, secret string) error {
	sum := v.sum(authID, hash, secret)
	v.mu.Lock()
	last, seen := v.known[authID]
	v.mu.Unlock()
	right := seen && hash != "" && hmac.Equal(last.sum[:], sum[:])
	if right && time.Now().Before(last.until) {
		return nil
	}
	// Callers that come with the same secret at the same time share one hash, and
	// it goes on when the first of them leaves. Who was right before is not kept out
	// by others who guess.
	shared := v.flights.DoChan(string(sum[:]), func() (any, error) {
		return nil, v.prove(context.WithoutCancel(ctx), authID, hash, secret, sum, right)
	})
	select {
	case result := <-shared:
		return result.Err
	case <-ctx.Done():
		return postgres.Fault(ctx.Err())
	}
}

func (v *Verifier) prove(ctx context.Context, authID, hash, secret string, sum [sha256.Size]byte, trusted bool) error {
	giveBack := func() {}
	if !trusted {
		var err error
		if giveBack, err = v.take(authID, v.client(ctx)); err != nil {
			return err
		}
	}
	if hash == "" {
		if err := v.hasher.Dummy(ctx, secret); err != nil {
			return err
		}
		return wrongCredential()
	}
	ok, _, err := v.hasher.Verify(ctx, secret, hash)
	switch {
	case err != nil:
		return err
	case !ok:
		return wrongCredential()
	}
	giveBack()
	v.remember(authID, sum)
	return nil
}

// take counts a secret that may be wrong; call the function when it was right.
func (v *Verifier) take(authID, client string) (giveBack func(), err error) {
	now := time.Now()
	var turns []*rate.Reservation
	giveBack = func() {
		for _, turn := range turns {
			turn.CancelAt(now)
		}
	}
	asks := []Ask{{"", triesOfAll}, {"credential " + authID, triesOfCredential}}
	if client != "" {
		asks = append(asks, Ask{"client " + client, triesOfClient}, Ask{"credential " + authID + " client " + client, triesOfBoth})
	}
	for _, a := range asks {
		turn := v.triesOf(a, now).ReserveN(now, 1)
		turns = append(turns, turn)
		if wait := turn.DelayFrom(now); wait > 0 {
			giveBack()
			return nil, Throttled(wait)
		}
	}
	return giveBack, nil
}

// triesOf gives the allowance of a key. One that is whole need not be kept.
func (v *Verifier) triesOf(a Ask, now time.Time) *rate.Limiter {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := v.tries[a.Key]
	if l == nil {
		makeRoom(v.tries, mostThrottled, func(l *rate.Limiter) bool { return l.TokensAt(now) >= float64(l.Burst()) })
		l = rate.NewLimiter(rate.Every(a.Rate.Every), a.Rate.Burst)
		v.tries[a.Key] = l
	}
	return l
}

func (v *Verifier) remember(authID string, sum [sha256.Size]byte) {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, there := v.known[authID]; !there {
		makeRoom(v.known, mostRemembered, func(k verified) bool { return now.After(k.until) })
	}
	v.known[authID] = verified{sum, now.Add(Remembered)}
}

// makeRoom leaves room for one more in a full map: it drops what is over or, when
// nothing is, whatever comes first.
func makeRoom[V any](m map[string]V, most int, over func(V) bool) {
	if len(m) < most {
		return
	}
	for key, value := range m {
		if over(value) {
			delete(m, key)
		}
	}
	for key := range m {
		if len(m) < most {
			return
		}
		delete(m, key)
	}
}

// mac is a keyed hash with the room that it works in.
type mac struct {
	hash hash.Hash
	text []byte
}

// sum stands for a secret as this process remembers it. Neither an auth_id nor a
// PHC string contains a NUL, so different inputs have different texts.
func (v *Verifier) sum(authID, hash, secret string) (sum [sha256.Size]byte) {
	m := v.macs.Get().(*mac)
	defer v.macs.Put(m)
	m.text = append(append(append(append(append(m.text[:0], authID...), 0), hash...), 0), secret...)
	m.hash.Reset()
	m.hash.Write(m.text)
	clear(m.text)
	copy(sum[:], m.hash.Sum(m.text[:0]))
	return sum
}

func wrongCredential() error {
	return fault.New(fault.Unauthenticated, "This API credential is not valid: it may be mistyped, expired or revoked.")
}

// validAuthID tells whether a text can be an auth_id: nothing else reaches a query.
func validAuthID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// foundCredential is a credential that may be used now.
type foundCredential struct {
	organization, hash string
	scopes             []string
	idle               bool // its last use is to be written again
}

// findCredential reads a credential; its hash is "" when there is none that may be
// used.
func findCredential(ctx context.Context, q postgres.Querier, authID string) (f foundCredential, err error) {
	err = q.QueryRow(postgres.AnyOrganization(ctx), `
		SELECT organization, hashed_password, scopes, idle
		FROM find_credential($1)`, authID).Scan(&f.organization, &f.hash, &f.scopes, &f.idle)
	if err = postgres.Fault(err); fault.Is(err, fault.NotFound) {
		return foundCredential{}, nil
	}
	return f, err
}

// used writes when a credential was last used; of several that come together one
// does. The answer does not depend on it.
func used(ctx context.Context, q postgres.Querier, p Principal) {
	ctx, cancel := context.WithTimeout(With(ctx, p), lastUseWithin)
	defer cancel()
	_, err := q.Exec(ctx, `
		INSERT INTO credential_uses (auth_id, organization_id)
		VALUES ($1, $2)
		ON CONFLICT (auth_id) DO UPDATE
		SET used_at = now()
		WHERE credential_uses.used_at < now() - interval '5 minutes'`, p.User, p.Organization)
	if err != nil {
		slog.WarnContext(ctx, "the last use of an API credential was not written", "auth_id", p.User, "error", err)
	}
}
