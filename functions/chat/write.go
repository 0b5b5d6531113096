package chat

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/idempotency"
)

// Keyed lets a client send a write again without fear.
type Keyed = idempotency.Keyed

// Page asks for a part of a list.
type Page struct {
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"how many at most"`
}

// list is how every list is answered.
type list[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty" doc:"cursor of the next page; absent on the last one"`
}

// listed is the answer that is a list.
type listed[T any] struct{ Body list[T] }

func listOf[T any](items []T, next string, err error) (*listed[T], error) {
	if err != nil {
		return nil, err
	}
	return &listed[T]{list[T]{append([]T{}, items...), next}}, nil
}

// single is the answer that is one thing.
type single[T any] struct{ Body T }

func oneOf[T any](thing T, err error) (*single[T], error) {
	if err != nil {
		return nil, err
	}
	return &single[T]{thing}, nil
}

// made is the answer to who made something.
type made[T any] struct {
	Location string `header:"Location"`
	Body     T
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
