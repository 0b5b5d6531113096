package film

import (
	"context"
	"time"

	"lectern.dev/lectern/internal/blob"
)

// expireLimit bounds what one call removes; the next goes on.
const expireLimit = 500

// Expire removes segments that were made before a time, and tells how many. One
// that a film needs again is made again.
func Expire(ctx context.Context, bucket interface {
	blob.Store
	blob.Lister
}, before time.Time,
) (int, error) {
	segments, err := bucket.List(ctx, "segments/")
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
