package relay

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/postgres"
)

const (
	mostEvents  = 500 // of an answer that are fetched at once
	mostAnswers = 500 // that are looked up at once
)

// mostRest is how long others' answers are not looked up after a look at them, at most:
// their readers hear nothing for as long, and one look that took long must not be
// followed by several times as long.
const mostRest = time.Second

// doubt is a fraction of a lease, for which a process seems dead before its answers are
// ended: when nobody could reach the database, or it stood still, all leases are over,
// and those who live need a moment to say so.
const doubt = 6

// poller reads the answers of other processes for all who follow them here, while
// there are any.
func (r *Relay) poller() {
	var failing, last time.Time // since when it fails; when all were looked up
	pause := r.o.Poll
	for {
		r.mu.Lock()
		if len(r.watched) == 0 || r.closed {
			for _, w := range r.watched {
				w.finish(errClosed, 0)
			}
			r.polling = false
			r.mu.Unlock()
			return
		}
		began := time.Now()
		all := began.Sub(last) >= pause
		watched := make(map[Answer]*answer, len(r.watched))
		for a, w := range r.watched {
			if all || !w.looked {
				watched[a] = w
			}
		}
		r.mu.Unlock()
		more, err := r.poll(watched)
		switch {
		case err == nil:
			failing = time.Time{}
		case failing.IsZero():
			failing = began
		case time.Since(failing) > r.o.Outage:
			for a, w := range watched {
				r.unwatch(a, w, err, 0)
			}
		}
		if all {
			last = began
			took := time.Since(began)
			pause = max(r.o.Poll, took+min(3*took, mostRest)) // a database that is slow is asked less often
		}
		if more {
			last = time.Time{}
			continue
		}
		select {
		case <-time.After(pause - time.Since(last)):
		case <-r.look:
		case <-r.stopped:
		}
	}
}

// unwatch tells readers of an answer why no more comes here.
func (r *Relay) unwatch(a Answer, w *answer, why error, total int64) {
	r.mu.Lock()
	if r.watched[a] == w {
		delete(r.watched, a)
	}
	r.mu.Unlock()
	w.finish(why, total)
}

// poll looks once after all; more says that there is more at once.
func (r *Relay) poll(watched map[Answer]*answer) (more bool, err error) {
	stranded := map[string][]Answer{}
	for some := range slices.Chunk(slices.Collect(maps.Keys(watched)), mostAnswers) {
		err := r.alone(context.Background(), func(ctx context.Context) error {
			states, err := r.fetch(ctx, some, watched)
			if err != nil {
				return err
			}
			for i, a := range some {
				w, s := watched[a], states[i]
				w.looked = true
				if !s.dead {
					w.doubted = time.Time{}
				} else if w.doubted.IsZero() {
					w.doubted = time.Now()
				}
				if len(s.news) > 0 {
					w.add(s.news)
				}
				switch had := w.count(); {
				case !s.there:
					r.unwatch(a, w, errNoAnswer, 0)
				case len(s.news) == mostEvents:
					more = true
				case s.ended && had < s.events:
					r.unwatch(a, w, ErrGone, s.events)
				case s.ended:
					r.unwatch(a, w, errEnded, s.events)
				case s.dead && time.Since(w.doubted) >= r.o.Lease/doubt:
					stranded[s.producer] = append(stranded[s.producer], a)
				case s.free && !s.dead:
					r.unwatch(a, w, ErrHandedOver, 0)
				}
			}
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	for _, answers := range stranded { // of one process at a time: its lock may not be free
		for some := range slices.Chunk(answers, interruptAtOnce) {
			var n int
			err := r.alone(context.Background(), func(ctx context.Context) (err error) {
				n, err = interrupt(ctx, r.o.DB, some, "")
				return err
			})
			more = more || err == nil && n > 0 // who reads them is told now; the others, next time
		}
	}
	return more, nil
}

// state is what a poll finds of an answer.
type state struct {
	there  bool
	ended  bool
	dead   bool // nobody makes it, and nobody will
	free   bool // somebody may go on with it
	events int64
	news   []Event

	producer string
}

// fetch reads rows and what is new in the log, in this order: of an answer that has
// ended, the log is then whole.
func (r *Relay) fetch(ctx context.Context, answers []Answer, watched map[Answer]*answer) ([]state, error) {
	var organizations, sessions, messages []string
	var after []int64
	for _, a := range answers {
		organizations, sessions, messages = append(organizations, a.Organization), append(sessions, a.Session), append(messages, a.Message)
		after = append(after, watched[a].count())
	}
	states := make([]state, len(answers))
	b := &pgx.Batch{}
	b.Queue(`
		SELECT a.n, m.state <> 'streaming', coalesce(m.events, 0), m.producer_id IS NULL,
			CASE WHEN m.producer_id IS NULL THEN `+unclaimed+` ELSE `+dead+` END, coalesce(m.producer_id, '')
		FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS a (organization_id, session_id, message_id, n)
		JOIN messages m ON m.organization_id = a.organization_id AND m.session_id = a.session_id AND m.message_id = a.message_id
		LEFT JOIN producers p USING (producer_id)
		WHERE m.role = 'assistant'`, organizations, sessions, messages).Query(func(rows pgx.Rows) error {
		var n int64
		var s state
		_, err := pgx.ForEachRow(rows, []any{&n, &s.ended, &s.events, &s.free, &s.dead, &s.producer}, func() error {
			s.there = true
			states[n-1] = s
			return nil
		})
		return err
	})
	b.Queue(`
		SELECT a.n, e.seq, e.kind, e.data
		FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS a (organization_id, message_id, after, n)
		CROSS JOIN LATERAL (
			SELECT seq, kind, data FROM stream_events s
			WHERE s.message_id = a.message_id AND s.organization_id = a.organization_id AND s.seq > a.after
			ORDER BY seq
			LIMIT $4) e
		ORDER BY a.n, e.seq`, organizations, messages, after, mostEvents).Query(func(rows pgx.Rows) error {
		var n, seq int64
		var kind, data string
		_, err := pgx.ForEachRow(rows, []any{&n, &seq, &kind, &data}, func() error {
			s := &states[n-1]
			// What is missing was removed. What is behind the end is no part of the answer.
			if seq == after[n-1]+int64(len(s.news))+1 && !(s.ended && seq > s.events) {
				s.news = append(s.news, Event{seq, Kind(kind), []byte(data)})
			}
			return nil
		})
		return err
	})
	if err := r.o.DB.SendBatch(ctx, b).Close(); err != nil {
		return nil, postgres.Fault(err)
	}
	for i := range states {
		if !states[i].there {
			states[i].news = nil
		}
	}
	return states, nil
}

// Stop has an answer end, wherever it is made: at once when that is here, or when nobody
// makes it any more, else within a fraction of a second. Nothing happens when it has ended.
func (r *Relay) Stop(ctx context.Context, a Answer) error {
	if l := r.live(a); l != nil {
		l.cancel(ErrStopped)
		return nil
	}
	return r.alone(ctx, func(ctx context.Context) error {
		nobodys := false
		err := r.o.DB.QueryRow(ctx, `
			UPDATE messages m
			SET stop_requested = true
			WHERE m.organization_id = $1 AND m.session_id = $2 AND m.message_id = $3 AND m.state = 'streaming'
			RETURNING (SELECT `+dead+` FROM (VALUES (m.producer_id)) AS made (producer_id) LEFT JOIN producers p USING (producer_id))`,
			a.Organization, a.Session, a.Message).Scan(&nobodys)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil
		case err == nil && nobodys:
			_, err = interrupt(ctx, r.o.DB, []Answer{a}, "")
		}
		return err
	})
}
