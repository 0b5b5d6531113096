package courses

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/idempotency"
)

// Keyed lets a client send a write again without fear.
type Keyed = idempotency.Keyed

// written is the answer to a write.
type written[T any] struct {
	ETag     string `header:"ETag" doc:"Version and digest of what is shown"`
	Location string `header:"Location"`
	Body     T
}

// saved is a written with its ETag.
func saved[T any](version int64, location string, body T) (*written[T], error) {
	encoded, err := edge.Encode(body)
	return &written[T]{ETag: etag(version, encoded.Bytes()), Location: location, Body: body}, err
}

// nothing is the answer to a deletion.
type nothing struct{}

// write runs change in a transaction, once per key.
func write[O any](ctx context.Context, s *server, operation string, k Keyed, request any,
	change func(tx pgx.Tx, p account.Principal) (*O, error),
) (*O, error) {
	p, err := who(ctx)
	if err != nil {
		return nil, err
	}
	return idempotency.Write(ctx, s.DB, p, operation, k, request, func(tx pgx.Tx) (*O, error) { return change(tx, p) })
}

// once is write for a change that makes its own transactions.
func once[O any](ctx context.Context, s *server, operation string, k Keyed, request any, change func(p account.Principal) (*O, error)) (*O, error) {
	p, err := who(ctx)
	if err != nil {
		return nil, err
	}
	return idempotency.Once(ctx, s.DB, p, operation, k, request, func() (*O, error) { return change(p) })
}
