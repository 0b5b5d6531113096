package relay

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// Swept counts what one Sweep made good.
type Swept struct {
	Interrupted int // answers whose process died and that nobody read
	Events      int // removed from the log, their answers having ended long ago
}

// What one Sweep takes on at most; the next goes on.
const (
	sweepAnswers = 500
	sweepEvents  = 50_000
	sweepAtOnce  = 5_000 // events that one statement removes
)

// keptFor is how old an answer is when its events are removed. It takes a quarter of
// an hour at most, so it has ended more than an hour ago.
const keptFor = 2 * time.Hour

// Sweep ends what nobody reads, and empties the log, over all organisations.
func Sweep(ctx context.Context, db postgres.Beginner) (Swept, error) {
	interrupted, err1 := sweepAnswersOfDead(ctx, db)
	events, err2 := sweepLog(ctx, db)
	_, err3 := db.Exec(ctx, `
		DELETE FROM producers p
		WHERE alive_until < now() - interval '1 day'
			AND NOT EXISTS (SELECT FROM messages m WHERE m.producer_id = p.producer_id AND m.state = 'streaming')`)
	return Swept{interrupted, events}, postgres.Fault(errors.Join(err1, err2, err3))
}

func sweepAnswersOfDead(ctx context.Context, db postgres.Beginner) (int, error) {
	rows, err := db.Query(ctx, `
		SELECT m.organization_id, m.session_id, m.message_id, coalesce(m.producer_id, '')
		FROM messages m LEFT JOIN producers p USING (producer_id)
		WHERE m.state = 'streaming' AND CASE WHEN m.producer_id IS NULL THEN `+unclaimed+` ELSE `+dead+` END
		LIMIT $1`, sweepAnswers)
	if err != nil {
		return 0, err
	}
	left := map[string][]Answer{}
	var a Answer
	var producer string
	_, err = pgx.ForEachRow(rows, []any{&a.Organization, &a.Session, &a.Message, &producer}, func() error {
		left[producer] = append(left[producer], a)
		return nil
	})
	if err != nil || len(left) == 0 {
		return 0, err
	}
	select { // see doubt
	case <-time.After(time.Second):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	n := 0
	var errs []error
	for _, answers := range left { // of one process at a time: its lock may not be free
		for some := range slices.Chunk(answers, interruptAtOnce) {
			ended, err := interrupt(ctx, db, some, "")
			n += ended
			errs = append(errs, err)
		}
	}
	return n, errors.Join(errs...)
}

// sweepLog removes the oldest events first: ids of answers begin with their time.
// One that is still being made keeps its events, however old it is.
func sweepLog(ctx context.Context, db postgres.Beginner) (int, error) {
	var now time.Time
	if err := db.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return 0, err
	}
	n := 0
	for n < sweepEvents {
		tag, err := db.Exec(ctx, `
			DELETE FROM stream_events
			WHERE (message_id, seq) IN (
				SELECT e.message_id, e.seq FROM stream_events e
				WHERE e.message_id < $1
					AND NOT EXISTS (
						SELECT FROM messages m
						WHERE m.organization_id = e.organization_id AND m.message_id = e.message_id AND m.state = 'streaming')
				ORDER BY e.message_id, e.seq
				LIMIT $2)`, id.First(id.Message, now.Add(-keptFor)), sweepAtOnce)
		if err != nil {
			return n, err
		}
		n += int(tag.RowsAffected())
		if tag.RowsAffected() < sweepAtOnce {
			break
		}
	}
	return n, nil
}
