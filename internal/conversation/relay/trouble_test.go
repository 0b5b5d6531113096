package relay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/conversation/relay"
)

// trouble has the database keep processes waiting, for longer than they wait, and cut
// them off.
func (w *world) trouble() {
	ctx := context.Background()
	kinds := []struct{ name, sql string }{
		{"answers locked", `SELECT FROM messages WHERE state = 'streaming' ORDER BY random() LIMIT 20 FOR UPDATE`},
		{"log locked", `LOCK TABLE stream_events IN SHARE MODE`},
		{"processes locked", `LOCK TABLE producers IN SHARE MODE`},
		{"appends of one locked", `SELECT pg_advisory_xact_lock(hashtextextended('producer ' || producer_id, 0)) FROM producers ORDER BY random() LIMIT 1`},
		{"statement cancelled", `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'process' AND state = 'active' ORDER BY random() LIMIT 3`},
		{"connections cut", `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'process' ORDER BY random() LIMIT 3`},
	}
	n := 0
	w.often(20, func() {
		n++
		kind := kinds[n%len(kinds)]
		tx, err := w.h.db.BeginTx(ctx, pgx.TxOptions{})
		if err != nil {
			w.t.Error(err)
			return
		}
		defer tx.Rollback(ctx)
		if _, err := tx.Exec(ctx, kind.sql); err != nil {
			return // a deadlock, in which somebody had to give in
		}
		w.count(func(t *tally) { t.troubles[kind.name]++ })
		if strings.HasSuffix(kind.name, "locked") {
			time.Sleep(rand.N([]time.Duration{50 * time.Millisecond, 400 * time.Millisecond, 3 * time.Second}[rand.IntN(3)]))
		}
	})
}

// sweeps runs beside everything else, as it does every minute.
func (w *world) sweeps() {
	w.often(100, func() { _, _ = relay.Sweep(context.Background(), w.rows) })
}

// silence is how many beats a reader may hear nothing before that counts as a hang: half
// a minute and more.
const silence = 3000

// watch knows when those who read were last told something.
type watch struct {
	pulse   *pulse
	mu      sync.Mutex
	readers map[*reader]bool
	told    bool // what everybody was doing at the first hang
}

// reader is one who reads a play.
type reader struct {
	*play
	me, connections int   // since it was last told something,
	looks           int64 // that were taken where it was connected
	heard           int64 // at which beat that was
}

func (k *watch) enter(p *play, me int) *reader {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := &reader{play: p, me: me, heard: k.pulse.now()}
	if k.readers == nil {
		k.readers = map[*reader]bool{}
	}
	k.readers[r] = true
	return r
}

func (k *watch) hear(r *reader) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.heard, r.connections, r.looks = k.pulse.now(), 0, 0
}

func (k *watch) went(r *reader, looks int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.connections++
	r.looks += looks
}

func (k *watch) leave(r *reader) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.readers, r)
}

// keep looks after all who read, tells of the first who hangs what everybody was
// doing, and lets all go who hang.
func (k *watch) keep(w *world) {
	w.often(50, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		for r := range k.readers {
			if k.pulse.now()-r.heard < silence {
				continue
			}
			w.count(func(t *tally) { t.hangs++ })
			w.t.Errorf("reader %d of %s has heard nothing for %d beats, on %d connections to processes that looked %d times meanwhile: %+v",
				r.me, r.a.Message, silence, r.connections, r.looks, w.h.get(w.t, r.a))
			if !k.told {
				k.told = true
				w.t.Log(w.h.activity(w.t))
				stacks := make([]byte, 16<<20)
				w.t.Logf("%s", stacks[:runtime.Stack(stacks, true)])
			}
			delete(k.readers, r)
			r.play.leave()
		}
	})
}

// activity is what the database is doing, and who is in whose way.
func (h *house) activity(t interface{ Error(...any) }) string {
	rows, err := h.db.Query(context.Background(), `
		SELECT format('%s %s %s/%s, %s, waits for %s: %s', pid, state, wait_event_type, wait_event, now() - query_start, pg_blocking_pids(pid), left(query, 200))
		FROM pg_stat_activity WHERE datname = current_database() ORDER BY query_start`)
	if err != nil {
		return fmt.Sprint(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Error(err)
	}
	return strings.Join(all, "\n")
}
