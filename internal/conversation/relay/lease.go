package relay

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/postgres"
)

// Producer gives the id of this process, which is alive from now on until Close:
// messages that are being answered here carry it.
func (r *Relay) Producer(ctx context.Context) (string, error) {
	r.mu.Lock()
	fresh, closed := r.fresh(), r.closed || r.leaving
	r.touch()
	r.mu.Unlock()
	if closed {
		return "", errClosed
	}
	if fresh {
		return r.id, nil
	}
	err := r.alone(ctx, func(ctx context.Context) error {
		r.mu.Lock()
		fresh := r.fresh()
		r.mu.Unlock()
		if fresh { // who came before has done it
			return nil
		}
		asked := time.Now()
		if _, err := r.o.DB.Exec(ctx, renewing, r.id, r.o.Lease); err != nil {
			return err
		}
		r.renewed(asked)
		return nil
	})
	return r.id, err
}

const renewing = `
	INSERT INTO producers (producer_id, alive_until) VALUES ($1, now() + $2::interval)
	ON CONFLICT (producer_id) DO UPDATE SET alive_until = excluded.alive_until`

// fresh tells whether others have heard of us not long ago. Both clocks are asked:
// while a machine sleeps, one of them may stand still.
func (r *Relay) fresh() bool {
	return time.Since(r.confirmed) < r.o.Lease/2 && time.Since(r.confirmed.Round(0)) < r.o.Lease/2
}

func (r *Relay) renewed(asked time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.confirmed = asked
}

// touch keeps this process alive for some time yet. Called with the lock held.
func (r *Relay) touch() {
	r.used = time.Now()
	r.keep()
}

// keep starts what keeps this process alive while answers are made here. Called
// with the lock held.
func (r *Relay) keep() {
	if !r.keeping && !r.closed {
		r.keeping = true
		go r.keeper()
	}
}

// stopping is how long a wish to stop, left in a row, may go unseen.
const stopping = 120 * time.Millisecond

// keeper renews the lease, and looks whether somebody elsewhere wants an answer
// stopped or whether rows and answers are out of step.
func (r *Relay) keeper() {
	var suspects map[Answer]bool
	var audited time.Time
	for {
		r.mu.Lock()
		busy := len(r.lives) > 0
		if r.closed || !busy && time.Since(r.used) > 3*r.o.Lease {
			r.keeping = false
			r.mu.Unlock()
			return
		}
		renew := time.Since(r.confirmed) >= r.o.Lease/3
		r.mu.Unlock()
		if audit := time.Since(audited) >= r.o.Lease; busy || renew || audit {
			_ = r.ahead(context.Background(), func(ctx context.Context) error {
				if err := r.beat(ctx, renew); err != nil || !audit { // when it fails the next comes soon
					return err
				}
				var err error
				suspects, err = r.audit(ctx, suspects)
				audited = time.Now()
				return err
			})
		}
		select {
		case <-time.After(min(stopping, r.o.Lease/6)):
		case <-r.stopped:
		}
	}
}

// beat says that this process lives, and stops what others want stopped.
func (r *Relay) beat(ctx context.Context, renew bool) error {
	b := &pgx.Batch{}
	asked := time.Now()
	if renew {
		b.Queue(renewing, r.id, r.o.Lease)
	}
	b.Queue(`
		SELECT organization_id, session_id, message_id FROM messages
		WHERE producer_id = $1 AND state = 'streaming' AND stop_requested`, r.id)
	results := r.o.DB.SendBatch(ctx, b)
	if renew {
		if _, err := results.Exec(); err != nil {
			_ = results.Close()
			return err
		}
	}
	rows, err := results.Query()
	if err != nil {
		_ = results.Close()
		return err
	}
	wanted, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Answer])
	if closed := results.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if renew {
		r.renewed(asked)
	}
	for _, a := range wanted {
		if l := r.live(a); l != nil {
			l.cancel(ErrStopped)
		}
	}
	return nil
}

func (r *Relay) live(a Answer) *Live {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lives[a]
}

// audit compares the rows that carry this process's id with the answers that are
// made here. What is out of step twice is put right: a row that nobody fills in ends
// as interrupted, and an answer whose row somebody else has ended is given up.
func (r *Relay) audit(ctx context.Context, before map[Answer]bool) (map[Answer]bool, error) {
	r.mu.Lock()
	suspects := make(map[Answer]bool)
	made := make(map[Answer]*Live, len(r.lives))
	for a, l := range r.lives {
		made[a] = l
	}
	r.mu.Unlock()
	rows, err := r.o.DB.Query(ctx, `
		SELECT organization_id, session_id, message_id FROM messages
		WHERE producer_id = $1 AND state = 'streaming'`, r.id)
	if err != nil {
		return before, err
	}
	carried, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Answer])
	if err != nil {
		return before, err
	}
	var orphans []Answer
	for _, a := range carried {
		if made[a] != nil {
			delete(made, a)
		} else if r.live(a) == nil {
			suspects[a] = true
			if before[a] {
				orphans = append(orphans, a)
			}
		}
	}
	for a, l := range made {
		suspects[a] = true
		if before[a] && r.live(a) == l {
			l.giveUp(ErrLost)
		}
	}
	if len(orphans) == 0 {
		return suspects, nil
	}
	r.mu.Lock()
	for _, a := range orphans {
		delete(r.claimed, a)
	}
	r.mu.Unlock()
	_, err = interrupt(ctx, r.o.DB, orphans, r.id)
	return suspects, err
}

// Close says that this process is not alive any more. Answers that are still made
// here are lost to it, and will be ended as interrupted by others.
func (r *Relay) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	select {
	case <-r.stopped:
	default:
		close(r.stopped)
	}
	lives := make([]*Live, 0, len(r.lives))
	for _, l := range r.lives {
		lives = append(lives, l)
	}
	known := !r.confirmed.IsZero()
	r.mu.Unlock()
	for _, l := range lives {
		l.giveUp(ErrLost)
	}
	if !known {
		return nil
	}
	return r.ahead(ctx, func(ctx context.Context) error {
		_, err := r.o.DB.Exec(ctx, `DELETE FROM producers WHERE producer_id = $1`, r.id)
		return postgres.Fault(err)
	})
}
