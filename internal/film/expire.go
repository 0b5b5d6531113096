package film

import (
	"context"
	"math/rand/v2"
	"time"

	"lectern.dev/lectern/internal/blob"
)

// expireLimit bounds what one call removes; the next goes on.
const expireLimit = 500

// Expire removes segments that were made before a time, and tells how many. One
// that a film needs again is made again. A call looks at a sixteenth of them, drawn by
// lot: a list of all costs as much as it is long, and none of them is in a hurry.
func Expire(ctx context.Context, bucket interface {
	blob.Store
	blob.Lister
}, before time.Time,
) (int, error) {
	digit := "0123456789abcdef"[rand.N(16)] // names are hexadecimal hashes
	segments, err := bucket.List(ctx, "segments/"+string(digit))
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, s := range segments {
		if removed == expireLimit || !s.Created.Before(before) {
			continue
		}
		if err := bucket.Delete(ctx, s.Key); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
