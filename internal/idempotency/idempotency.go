// Package idempotency lets a client send a write again without fear: the same key
// with the same request gets the same answer for a day, and changes nothing.
package idempotency

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// Keyed is the header of a write.
type Keyed struct {
	Key string `header:"Idempotency-Key" maxLength:"200" doc:"Any text of your own, new for every change: sent again with it, the change is not made twice"`
}

// Write runs change in a transaction for who asks in ctx, once per key. The answer is
// kept in the transaction of the change itself, so neither is there without the other;
// a second request waits for the first.
//
// The answer is stored as its JSON, and of the request a fast hash: neither may
// hold a secret. A repeated request gets what the JSON tells, and no more.
func Write[O any](ctx context.Context, db postgres.Beginner, operation string, k Keyed, request any,
	change func(tx pgx.Tx, p account.Principal) (*O, error),
) (*O, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	var digest []byte
	if k.Key != "" {
		if digest, err = digestOf(request); err != nil {
			return nil, err
		}
	}
	var out *O
	err = postgres.InTx(ctx, db, func(tx pgx.Tx) (err error) {
		if k.Key == "" {
			out, err = change(tx, p)
			return err
		}
		earlier, err := claim(ctx, tx, p, operation, k.Key, digest)
		if err != nil {
			return err
		}
		if earlier != nil {
			out = new(O)
			return json.Unmarshal(earlier, out)
		}
		if out, err = change(tx, p); err != nil {
			return err
		}
		return keep(ctx, tx, p, operation, k.Key, out)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Once is Write for a change that makes its own transactions, and that gives the
// same when it is repeated soon: who dies between the change and the keeping of its
// answer makes the next request repeat it.
func Once[O any](ctx context.Context, db postgres.Beginner, operation string, k Keyed, request any,
	change func(p account.Principal) (*O, error),
) (*O, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	if k.Key == "" {
		return change(p)
	}
	digest, err := digestOf(request)
	if err != nil {
		return nil, err
	}
	var earlier []byte
	err = postgres.InTx(ctx, db, func(tx pgx.Tx) (err error) {
		earlier, err = claim(ctx, tx, p, operation, k.Key, digest)
		return err
	})
	if err != nil {
		return nil, err
	}
	if earlier != nil {
		out := new(O)
		return out, json.Unmarshal(earlier, out)
	}
	out, err := change(p)
	if err != nil {
		_, free := db.Exec(context.WithoutCancel(ctx), `
			DELETE FROM idempotency
			WHERE organization_id = $1 AND user_id = $2 AND operation = $3 AND key = $4 AND response IS NULL`,
			p.Organization, p.User, operation, k.Key)
		return nil, errors.Join(err, free)
	}
	return out, keep(ctx, db, p, operation, k.Key, out)
}

// digestOf is taken before the change, which may complete what it was given: a
// transaction that runs again must find the same digest.
func digestOf(request any) ([]byte, error) {
	encoded, err := json.Marshal(request)
	digest := sha256.Sum256(encoded)
	return digest[:], err
}

// claim takes a key for this request, or gives the answer that it had before.
func claim(ctx context.Context, tx postgres.Querier, p account.Principal, operation, key string, digest []byte) (earlier []byte, err error) {
	_, err = tx.Exec(ctx, `
		DELETE FROM idempotency
		WHERE organization_id = $1 AND user_id = $2 AND operation = $3 AND key = $4 AND created_at < now() - interval '24 hours'`,
		p.Organization, p.User, operation, key)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO idempotency (organization_id, user_id, operation, key, request)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT DO NOTHING`, p.Organization, p.User, operation, key, digest)
	if err != nil || tag.RowsAffected() == 1 {
		return nil, postgres.Fault(err)
	}
	var same bool
	err = tx.QueryRow(ctx, `
		SELECT request = $5, response
		FROM idempotency
		WHERE organization_id = $1 AND user_id = $2 AND operation = $3 AND key = $4`,
		p.Organization, p.User, operation, key, digest).Scan(&same, &earlier)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // it expired between the two statements
		return nil, fault.New(fault.Unavailable, "Try again.")
	case err != nil:
		return nil, postgres.Fault(err)
	case !same:
		return nil, fault.New(fault.Conflict, "This Idempotency-Key was used for another request. Take a new key for every change.")
	}
	return earlier, nil
}

func keep(ctx context.Context, tx postgres.Querier, p account.Principal, operation, key string, out any) error {
	response, err := json.Marshal(out)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE idempotency
		SET response = $5
		WHERE organization_id = $1 AND user_id = $2 AND operation = $3 AND key = $4`,
		p.Organization, p.User, operation, key, response)
	return postgres.Fault(err)
}
