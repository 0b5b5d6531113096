package migrations

import (
	"context"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Files are the migrations themselves.
var Files fs.FS = files

const FirstRelease = firstRelease

// UpOf is Up for other files, with little patience.
func UpOf(ctx context.Context, pool *pgxpool.Pool, files fs.FS, lockTimeout time.Duration) error {
	return up(ctx, pool, files, pace{lockTimeout: lockTimeout, pause: 10 * time.Millisecond, patience: time.Minute})
}

// Contract is contract.
func Contract(name string) (int64, error) { return contract(files, name) }
