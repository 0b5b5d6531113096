package relay

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/postgres"
)

// Claim takes over an answer that was handed over, or was made by a process that has
// died; won is false when somebody else was quicker, or it has ended. Logged is how
// many events there are, and text what they say together. Begin it at once.
func (r *Relay) Claim(ctx context.Context, a Answer) (logged int64, text string, won bool, err error) {
	if _, err := r.Producer(ctx); err != nil {
		return 0, "", false, err
	}
	var events []Event
	err = r.alone(ctx, func(ctx context.Context) error {
		r.mu.Lock()
		ours, gone := r.claimed[a] != nil || r.lives[a] != nil, r.closed || r.leaving
		r.mu.Unlock()
		if gone { // what is claimed behind the hand-over would be nobody's
			return errClosed
		}
		if ours {
			return nil
		}
		var err error
		if events, won, err = r.takeOver(ctx, a); err != nil || !won {
			return err
		}
		log := &answer{}
		log.add(events)
		r.mu.Lock()
		r.claimed[a] = log
		r.mu.Unlock()
		return nil
	})
	if err != nil || !won {
		return 0, "", false, err
	}
	crash.Point("relay.claimed")
	var said strings.Builder
	for _, e := range events {
		var d struct{ Text string }
		if e.Kind == Delta && json.Unmarshal(e.Data, &d) == nil {
			said.WriteString(d.Text)
		}
	}
	return int64(len(events)), said.String(), true, nil
}

// takeOver writes this process into the row of an answer that nobody makes, and
// reads what there is of it, with the appends of a dead process locked out. A row
// that carries our id, and is not made here, is one whose claim was not heard of.
func (r *Relay) takeOver(ctx context.Context, a Answer) (events []Event, won bool, err error) {
	b := &pgx.Batch{}
	b.Queue(`SELECT set_config('lock_timeout', '200ms', true)`)
	b.Queue(`
		SELECT pg_advisory_xact_lock(hashtextextended('producer ' || m.producer_id, 0))
		FROM messages m LEFT JOIN producers p USING (producer_id)
		WHERE m.organization_id = $1 AND m.session_id = $2 AND m.message_id = $3 AND m.state = 'streaming'
			AND m.producer_id <> $4 AND `+dead, a.Organization, a.Session, a.Message, r.id)
	b.Queue(`
		UPDATE messages
		SET producer_id = $4, handed_over_at = NULL
		FROM messages m LEFT JOIN producers p USING (producer_id)
		WHERE m.organization_id = $1 AND m.session_id = $2 AND m.message_id = $3
			AND messages.session_id = m.session_id AND messages.message_id = m.message_id AND messages.state = 'streaming'
			AND messages.producer_id IS NOT DISTINCT FROM m.producer_id
			AND (m.producer_id IS NULL OR m.producer_id = $4 OR `+dead+`)`, a.Organization, a.Session, a.Message, r.id)
	b.Queue(`
		SELECT seq, kind, data FROM stream_events
		WHERE organization_id = $1 AND message_id = $2
		ORDER BY seq`, a.Organization, a.Message)
	results := r.o.DB.SendBatch(ctx, b)
	_, err1 := results.Exec()
	_, err2 := results.Exec()
	tag, err3 := results.Exec()
	rows, err4 := results.Query()
	if err4 == nil {
		events, err4 = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Event, err error) {
			var data string
			err = row.Scan(&e.Seq, &e.Kind, &data)
			e.Data = json.RawMessage(data)
			return e, err
		})
	}
	err = errors.Join(err1, err2, err3, err4, results.Close())
	return events, tag.RowsAffected() == 1, postgres.Fault(err)
}

// HandOver gives away all answers that are made here, with all that was added to them
// in the log: their contexts end with ErrHandedOver. No more can be begun.
func (r *Relay) HandOver(ctx context.Context) error {
	r.mu.Lock()
	r.leaving = true
	lives := make([]*Live, 0, len(r.lives))
	for _, l := range r.lives {
		lives = append(lives, l)
	}
	known := !r.confirmed.IsZero()
	r.mu.Unlock()
	for _, l := range lives {
		l.close(ErrHandedOver)
	}
	var errs []error
	for _, l := range lives {
		if _, err := l.Flush(ctx); !errors.Is(err, ErrHandedOver) && !errors.Is(err, ErrLost) && !errors.Is(err, errEnded) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil || !known {
		return err // what is not in the log must not be gone on with
	}
	crash.Point("relay.handing-over")
	err := r.ahead(ctx, func(ctx context.Context) error {
		b := &pgx.Batch{}
		// An answer that has been ended here does not wait for what is being logged of it.
		b.Queue(`SELECT pg_advisory_xact_lock(hashtextextended('producer ' || $1, 0))`, r.id)
		b.Queue(`
			UPDATE messages
			SET producer_id = NULL, handed_over_at = now()
			WHERE producer_id = $1 AND state = 'streaming'`, r.id)
		return r.o.DB.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return err
	}
	for _, l := range lives {
		l.giveUp(ErrHandedOver)
	}
	return nil
}
