package relay_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/postgres"
)

// world is three places in each of which one process after the other runs, on one
// database that is not always well.
type world struct {
	h     *house
	t     testing.TB
	rows  *pgxpool.Pool // with which processes fill in rows; the log has connections of its own
	ended chan struct{}
	all   sync.WaitGroup // what makes trouble

	mu    sync.Mutex
	slots [3]*slot
	tally tally
	watch watch
	pulse pulse
}

// tally is what a run has come to.
type tally struct {
	connections, events, gaps, duplicates, hangs int
	states, deaths, troubles                     map[string]int
}

// slot is a process with its two connections; ctx ends with it.
type slot struct {
	*relay.Relay
	way  *process
	pool *pgxpool.Pool
	ctx  context.Context
	end  context.CancelFunc
}

func newWorld(t testing.TB, h *house) *world {
	w := &world{h: h, t: t, ended: make(chan struct{}), tally: tally{states: map[string]int{}, deaths: map[string]int{}, troubles: map[string]int{}}}
	w.watch.pulse, w.pulse.felt = &w.pulse, sync.NewCond(new(sync.Mutex))
	w.rows = w.open(24, 10*time.Second)
	t.Cleanup(w.rows.Close)
	for i := range w.slots {
		w.slots[i] = w.boot()
	}
	w.all.Go(func() { w.pulse.beat(w) })
	w.all.Go(w.unrest)
	w.all.Go(w.trouble)
	w.all.Go(w.sweeps)
	w.all.Go(func() { w.watch.keep(w) })
	return w
}

func (w *world) open(connections int32, patience time.Duration) *pgxpool.Pool {
	pool, err := postgres.Open(context.Background(), w.h.db.Config().ConnString(), postgres.Options{
		Role: postgres.System, MaxConns: connections, StatementTimeout: patience,
		Configure: func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["application_name"] = "process" },
	})
	if err != nil {
		w.t.Error(err)
	}
	return pool
}

// boot starts a process. What it asks of the database is given up after two seconds.
func (w *world) boot() *slot {
	s := &slot{pool: w.open(2, 2*time.Second)}
	s.way = &process{Beginner: s.pool}
	s.Relay = relay.New(relay.Options{DB: s.way, Flush: 2 * time.Millisecond, Lease: 900 * time.Millisecond, Poll: 20 * time.Millisecond})
	s.ctx, s.end = context.WithCancel(context.Background())
	return s
}

// stop ends everything, and returns when nobody uses the database any more.
func (w *world) stop() {
	close(w.ended)
	w.all.Wait()
	for _, s := range w.slots {
		s.end()
		_ = s.Close(context.Background())
		s.pool.Close()
	}
}

func (w *world) any(r *rand.Rand) *slot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.slots[r.IntN(len(w.slots))]
}

// count changes the tally.
func (w *world) count(change func(*tally)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.tally)
}

// often calls do again and again, after pauses of at most twice as many beats.
func (w *world) often(beats int64, do func()) {
	for w.pulse.wait(rand.Int64N(2 * beats)) {
		do()
	}
}

// unrest ends processes in all the ways there are.
func (w *world) unrest() {
	var late sync.WaitGroup
	defer late.Wait()
	n := 0
	w.often(4, func() {
		i := rand.IntN(len(w.slots))
		s := w.slots[i]
		if s.way.looks.Load() < rand.Int64N(8) {
			return // in most of them something should have happened
		}
		n++
		how := []string{"killed", "frozen", "frozen for a moment", "handed over", "outcome lost", "handed over in haste"}[n%6]
		remains := how == "frozen for a moment" || how == "outcome lost"
		w.mu.Lock()
		w.tally.deaths[how]++
		w.mu.Unlock()
		if remains {
			s.suffer(how)
			return
		}
		next := w.boot()
		w.mu.Lock()
		w.slots[i] = next
		w.mu.Unlock()
		late.Go(func() {
			s.die(how)
			_ = s.Close(context.Background())
			s.pool.Close()
		})
	})
}

// suffer has something happen to a process that goes on.
func (s *slot) suffer(how string) {
	if how == "outcome lost" {
		s.way.mu.Lock()
		defer s.way.mu.Unlock()
		left := 3
		s.way.cut = func(func()) bool { left--; return left >= 0 }
		return
	}
	s.way.freeze()
	time.Sleep(rand.N(100 * time.Millisecond))
	s.way.thaw()
}

func (s *slot) die(how string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	switch how {
	case "killed":
		s.way.kill()
		s.end()
	case "frozen": // its readers hold on to it for as long
		s.way.freeze()
		time.Sleep(500*time.Millisecond + rand.N(2*time.Second))
		s.way.thaw()
		time.Sleep(100 * time.Millisecond)
		s.end()
		_ = s.HandOver(ctx)
	case "handed over in haste": // and with what is in hand cut off
		hasty, cancel := context.WithTimeout(ctx, rand.N(30*time.Millisecond))
		defer cancel()
		ctx = hasty
		fallthrough
	case "handed over":
		s.end() // readers are let go at once
		_ = s.HandOver(ctx)
		time.Sleep(rand.N(50 * time.Millisecond))
	}
}
