package account

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/sync/semaphore"

	"lectern.dev/lectern/internal/fault"
)

// HashCost is what one hash of Argon2id costs.
type HashCost struct {
	MemoryKiB  uint32 // at least 8 for each lane
	Iterations uint32 // over the memory
	Lanes      uint8  // computed at the same time, each on a core of its own
}

// Today is what passwords and API secrets are hashed with: the first of OWASP's
// minimum settings, 35 to 55 ms on a virtual core of a server (migrate -calibrate
// measures another machine). More memory would let fewer people sign in at once on a
// small instance; one lane, because small instances have one core.
// https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
var Today = HashCost{MemoryKiB: 19 << 10, Iterations: 2, Lanes: 1}

const (
	saltBytes = 16
	keyBytes  = 32
)

// HashOptions bound a Hasher. The zero value is what a function with 512 MiB wants.
type HashOptions struct {
	Cost      HashCost      // of new hashes; zero: Today
	BudgetMiB int           // memory of all hashes at once; 0: 128, six at today's cost. The collector lets the process grow to about twice that
	Wait      time.Duration // for a share of the budget; 0: 1 s
}

// Hasher hashes passwords and verifies them, as many at once as its budget of memory
// allows. A process has one.
type Hasher struct {
	cost   HashCost
	budget *semaphore.Weighted // KiB
	size   int64               // of the budget
	wait   time.Duration
	dummy  string
}

// NewHasher makes a Hasher; it is an error when not even one hash fits the budget.
func NewHasher(o HashOptions) (*Hasher, error) {
	h := &Hasher{cost: o.Cost, size: int64(cmp.Or(o.BudgetMiB, 128)) << 10, wait: cmp.Or(o.Wait, time.Second)}
	if h.cost == (HashCost{}) {
		h.cost = Today
	}
	if need := int64(h.cost.MemoryKiB); need > h.size {
		return nil, fmt.Errorf("HASH_MEMORY: %d MiB are too few for one hash, which takes %d", h.size>>10, need>>10)
	}
	// Nobody knows a password whose key is zeros.
	h.dummy = encode(h.cost, make([]byte, saltBytes), make([]byte, keyBytes))
	if _, err := h.parse(h.dummy); err != nil {
		return nil, fmt.Errorf("the cost of a password's hash: %w", err)
	}
	h.budget = semaphore.NewWeighted(h.size)
	return h, nil
}

// Hash gives the PHC string that is stored for a password, each time with a new
// salt. The password counts byte by byte: nothing is trimmed, folded or cut off.
// It says Unavailable, with RetryAfter, when too many hashes are under way, and when
// ctx ends before the work has begun.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	release, err := h.take(ctx, h.cost)
	if err != nil {
		return "", err
	}
	defer release()
	return argon2id.CreateHash(password, &argon2id.Params{
		Memory: h.cost.MemoryKiB, Iterations: h.cost.Iterations, Parallelism: h.cost.Lanes,
		SaltLength: saltBytes, KeyLength: keyBytes,
	})
}

// Verify tells whether hash is of password; with rehash it is, and should be made
// again at today's cost. A hash that this package would not have made is an error,
// and no memory is spent on it. It says Unavailable as Hash does.
func (h *Hasher) Verify(ctx context.Context, password, hash string) (ok, rehash bool, err error) {
	cost, err := h.parse(hash)
	if err != nil {
		return false, false, err
	}
	release, err := h.take(ctx, cost)
	if err != nil {
		return false, false, err
	}
	defer release()
	ok, err = argon2id.ComparePasswordAndHash(password, hash)
	return ok, ok && (cost != h.cost || len(hash) != len(h.dummy)), err
}

// Dummy costs what Verify does: for who is not known, so that they cannot be told
// from who is.
func (h *Hasher) Dummy(ctx context.Context, password string) error {
	_, _, err := h.Verify(ctx, password, h.dummy)
	return err
}

// take takes a hash's memory from the budget. Argon2 itself cannot be interrupted,
// so ctx counts until it begins.
func (h *Hasher) take(ctx context.Context, cost HashCost) (release func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, h.wait)
	defer cancel()
	if err := h.budget.Acquire(waiting, int64(cost.MemoryKiB)); err != nil {
		return nil, crowded(err)
	}
	return func() { h.budget.Release(int64(cost.MemoryKiB)) }, nil
}

func crowded(err error) error {
	e := fault.Wrap(fault.Unavailable, err, "Too many people are signing in at this moment. Try again in a few seconds.")
	e.RetryAfter = 2 * time.Second
	return e
}

// What a hash that is read may cost: it may come from an import or a broken row,
// and must not take the instance down.
const (
	maxMemoryKiB = 256 << 10
	maxWork      = 1 << 20 // KiB passed over: memory × iterations; about a second
	maxLanes     = 16
	longestHash  = 256 // characters
)

var errHash = errors.New("a password's hash is not one of Argon2id within bounds")

// parse reads what a hash costs, and refuses one that is not exactly as encode
// writes it or that costs too much.
func (h *Hasher) parse(hash string) (HashCost, error) {
	if len(hash) > longestHash {
		return HashCost{}, errHash
	}
	p, salt, key, err := argon2id.DecodeHash(hash)
	if err != nil {
		return HashCost{}, errHash // the library's error may repeat the hash
	}
	cost := HashCost{MemoryKiB: p.Memory, Iterations: p.Iterations, Lanes: p.Parallelism}
	memory, iterations, lanes := int64(cost.MemoryKiB), int64(cost.Iterations), int64(cost.Lanes)
	switch {
	case lanes < 1, lanes > maxLanes,
		memory < 8*lanes, memory > min(maxMemoryKiB, h.size),
		iterations < 1, iterations > maxWork, memory*iterations > maxWork,
		len(salt) < 8, len(salt) > 64, len(key) < 16, len(key) > 64,
		hash != encode(cost, salt, key): // the library's parser takes much for a number
		return HashCost{}, errHash
	}
	return cost, nil
}

// encode writes a hash as a PHC string.
func encode(c HashCost, salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", c.MemoryKiB, c.Iterations, c.Lanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}
