package account

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// Rate is an allowance: Burst at once, and one more each Every.
type Rate struct {
	Burst int
	Every time.Duration
}

// Ask is a wish for one piece of the allowance of Key.
type Ask struct {
	Key  string // made by ThrottleKey
	Rate Rate
}

// ThrottleKey names whose allowance it is: what is done, and by or to whom. What
// people type is hashed in it, so that the table holds no addresses and no long keys.
func ThrottleKey(what, whom string) string {
	h := sha256.Sum256([]byte(whom))
	return what + " " + base64.RawURLEncoding.EncodeToString(h[:16])
}

// Throttle counts what is asked of all instances together, in the table throttles.
type Throttle struct{ DB postgres.Querier }

// Allow takes one piece of each allowance, or of none: then it is Exhausted, with
// RetryAfter when all of them have a piece again. It is one statement, and exact
// however many ask at once.
//
// It is the generic cell rate algorithm in its virtual scheduling form (ITU-T I.371,
// annex A.1; "GCRA"): a key's row holds one time, until, when its allowance will be
// whole again. Asking moves it on by Every, from now on at the earliest; who would
// move it further than Burst × Every away is refused.
func (t Throttle) Allow(ctx context.Context, asks ...Ask) error {
	refusal, err := t.Try(ctx, asks...)
	if err != nil || refusal == nil {
		return err
	}
	return Throttled(refusal.Wait)
}

// Refusal says which allowance holds nothing more.
type Refusal struct {
	Key  string        // "": one that was used up at this very moment
	Wait time.Duration // until all have a piece again
}

// Try is Allow for who says in words of their own what was used up. Nil: all was taken.
func (t Throttle) Try(ctx context.Context, asks ...Ask) (*Refusal, error) {
	asks = slices.Clone(asks)
	slices.SortFunc(asks, func(a, b Ask) int { return strings.Compare(a.Key, b.Key) }) // all take locks in one order
	keys, every, bursts := columns(asks)
	var refusal Refusal
	var wait float64
	var taken int
	err := t.DB.QueryRow(postgres.AnyOfPool(ctx), `
		WITH asked AS (
			SELECT key, make_interval(secs => every) AS every, make_interval(secs => every * (burst - 1)) AS room
			FROM unnest($1::text[], $2::float8[], $3::int[]) AS a (key, every, burst)
		), refused AS (
			SELECT a.key, extract(epoch FROM t.until - a.room - now()) AS wait
			FROM asked a JOIN throttles t USING (key)
			WHERE t.until > now() + a.room
			ORDER BY wait DESC
			LIMIT 1
		), taken AS (
			INSERT INTO throttles AS t (key, until)
			SELECT a.key, now() + a.every
			FROM asked a
			WHERE NOT EXISTS (SELECT FROM refused)
			ORDER BY a.key
			ON CONFLICT (key) DO UPDATE
			SET until = greatest(t.until, now()) + (SELECT every FROM asked a WHERE a.key = t.key)
			WHERE t.until <= now() + (SELECT room FROM asked a WHERE a.key = t.key)
			RETURNING t.key
		)
		SELECT coalesce((SELECT key FROM refused), ''), coalesce((SELECT wait FROM refused), 0), (SELECT count(*) FROM taken)`,
		keys, every, bursts).Scan(&refusal.Key, &wait, &taken)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	if taken == len(asks) {
		return nil, nil
	}
	refusal.Wait = time.Duration(wait * float64(time.Second))
	return &refusal, nil
}

// Take moves allowances on by so many pieces, whether or not they hold them: for what
// is known only when it has been used. Who has taken too much waits the longer.
func (t Throttle) Take(ctx context.Context, pieces int64, asks ...Ask) error {
	asks = slices.Clone(asks)
	slices.SortFunc(asks, func(a, b Ask) int { return strings.Compare(a.Key, b.Key) })
	keys, every, _ := columns(asks)
	_, err := t.DB.Exec(postgres.AnyOfPool(ctx), `
		INSERT INTO throttles AS t (key, until)
		SELECT key, now() + make_interval(secs => every * $3)
		FROM unnest($1::text[], $2::float8[]) AS a (key, every)
		ORDER BY key
		ON CONFLICT (key) DO UPDATE
		SET until = greatest(t.until, now()) + (excluded.until - now())`, keys, every, pieces)
	return postgres.Fault(err)
}

// GiveBack returns what Allow has taken, for what turned out to be no abuse.
func (t Throttle) GiveBack(ctx context.Context, asks ...Ask) error {
	keys, every, _ := columns(asks)
	_, err := t.DB.Exec(postgres.AnyOfPool(ctx), `
		UPDATE throttles t
		SET until = t.until - make_interval(secs => a.every)
		FROM unnest($1::text[], $2::float8[]) AS a (key, every)
		WHERE t.key = a.key`, keys, every)
	return postgres.Fault(err)
}

// Throttled is the error of who asks too often; wait is at least a second.
func Throttled(wait time.Duration) error {
	e := fault.New(fault.Exhausted, "That was tried too often. Wait a little and try again.")
	e.RetryAfter = max(wait, time.Second)
	return e
}

func columns(asks []Ask) (keys []string, every []float64, bursts []int) {
	for _, a := range asks {
		keys, every, bursts = append(keys, a.Key), append(every, a.Rate.Every.Seconds()), append(bursts, a.Rate.Burst)
	}
	return keys, every, bursts
}
