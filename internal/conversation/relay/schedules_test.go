package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// schedules is how many the test runs; LECTERN_SCHEDULES in the environment says
// another number.
func schedules(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("LECTERN_SCHEDULES")); err == nil {
		return n
	}
	return usual
}

// F45: answers are made, stopped, handed over, killed and frozen in three processes
// while readers come, go and come again anywhere: what each of them was given, one
// connection after the other, is what the log has, and what the row says; and all
// come to an end.
func TestDisconnectSchedules(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.aged(t)
	n := schedules(150)
	w := newWorld(t, h, min(10+n/100, 150))
	var all sync.WaitGroup
	next := make(chan uint64)
	for range min(48+n/200, 100) {
		all.Go(func() {
			for seed := range next {
				w.schedule(t, rand.New(rand.NewPCG(seed, 4)))
			}
		})
	}
	for seed := range n {
		next <- uint64(seed)
		if seed%10_000 == 0 && seed > 0 {
			t.Log(seed, "have begun")
		}
	}
	close(next)
	all.Wait()
	w.stop()
	t.Logf("%d schedules, %d connections; answers: %v; processes that died: %v", n, w.connections, w.states, w.deaths)
}

// world is three places in each of which one process after the other runs.
type world struct {
	h     *house
	db    postgres.Beginner
	mu    sync.Mutex
	slots [3]*slot
	ended chan struct{}
	gone  chan struct{}
	calm  int // milliseconds: a process has to live long enough for something to happen in it

	connections int
	states      map[string]int
	deaths      map[string]int
}

// slot is a process; ctx ends with it.
type slot struct {
	*relay.Relay
	way *process
	ctx context.Context
	end context.CancelFunc
}

func newWorld(t *testing.T, h *house, calm int) *world {
	w := &world{h: h, calm: calm, ended: make(chan struct{}), gone: make(chan struct{}), states: map[string]int{}, deaths: map[string]int{}}
	pool, err := postgres.Open(context.Background(), h.db.Config().ConnString(), postgres.Options{Role: postgres.System, MaxConns: 80})
	must(t, err)
	t.Cleanup(pool.Close)
	w.db = pool
	for i := range w.slots {
		w.slots[i] = w.boot()
	}
	go w.unrest()
	return w
}

func (w *world) boot() *slot {
	s := &slot{way: &process{Beginner: w.db}}
	s.Relay = relay.New(relay.Options{DB: s.way, Flush: 2 * time.Millisecond, Lease: 900 * time.Millisecond, Poll: 20 * time.Millisecond})
	s.ctx, s.end = context.WithCancel(context.Background())
	return s
}

// unrest ends processes in all the ways there are.
func (w *world) unrest() {
	defer close(w.gone)
	var late sync.WaitGroup
	defer late.Wait()
	for n := 0; ; n++ {
		select {
		case <-w.ended:
			return
		case <-time.After(time.Duration(w.calm+rand.IntN(60)) * time.Millisecond):
		}
		w.mu.Lock()
		i := rand.IntN(len(w.slots))
		s := w.slots[i]
		how := []string{"killed", "frozen", "frozen for a moment", "handed over", "outcome lost"}[n%5]
		w.deaths[how]++
		if how != "frozen for a moment" && how != "outcome lost" {
			w.slots[i] = w.boot()
		}
		w.mu.Unlock()
		switch how {
		case "killed":
			s.way.kill()
			s.end()
			_ = s.Close(context.Background())
		case "frozen": // its readers hold on to it for as long
			s.way.freeze()
			late.Go(func() {
				time.Sleep(time.Duration(500+rand.IntN(2000)) * time.Millisecond)
				s.way.thaw()
				time.Sleep(100 * time.Millisecond)
				s.end()
				_ = s.HandOver(context.Background())
				_ = s.Close(context.Background())
			})
		case "frozen for a moment":
			s.way.freeze()
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
			s.way.thaw()
		case "handed over":
			late.Go(func() {
				s.end() // readers are let go at once
				_ = s.HandOver(context.Background())
				time.Sleep(50 * time.Millisecond)
				_ = s.Close(context.Background())
			})
		case "outcome lost":
			s.way.mu.Lock()
			left := 3
			s.way.cut = func(func()) bool { left--; return left >= 0 }
			s.way.mu.Unlock()
		}
	}
}

func (w *world) stop() {
	close(w.ended)
	<-w.gone
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.slots {
		_ = s.Close(context.Background())
	}
}

func (w *world) any(r *rand.Rand) *slot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.slots[r.IntN(len(w.slots))]
}

// play is one answer and all that happens to it.
type play struct {
	w      *world
	a      relay.Answer
	pieces []string // "" is a citation
	full   string
	makers sync.WaitGroup
}

func (w *world) schedule(t *testing.T, r *rand.Rand) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := &play{w: w}
	for range r.IntN(16) {
		piece := ""
		if r.IntN(5) > 0 {
			piece = strings.Repeat("é", r.IntN(4)) + fmt.Sprint(r.IntN(1000), " ")
		}
		p.pieces = append(p.pieces, piece)
	}
	p.full = strings.Join(p.pieces, "")
	s := w.any(r)
	producer, err := s.Producer(ctx)
	if err != nil {
		return // it went just now; nothing was begun
	}
	p.a = w.h.row(t, producer)
	p.make(t, s, r.Uint64(), 0, "")
	if r.IntN(8) == 0 {
		go func() {
			time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
			_ = w.any(rand.New(rand.NewPCG(rand.Uint64(), 0))).Stop(ctx, p.a)
		}()
	}
	seen := make([]transcript, 1+r.IntN(3))
	var readers sync.WaitGroup
	for i := range seen {
		seed := r.Uint64()
		readers.Go(func() { p.read(ctx, t, rand.New(rand.NewPCG(seed, 0)), &seen[i]) })
	}
	readers.Wait()
	if t.Failed() {
		return
	}
	got, log := w.h.get(t, p.a), w.h.logged(t, p.a)
	var whole transcript
	whole.WriteString(log)
	text := whole.text(t)
	for i := range seen {
		if seen[i].gaps != nil || seen[i].String() != log {
			t.Errorf("reader %d of %s (%s): gaps %v:\n%s\nthe log:\n%s", i, p.a.Message, got.State, seen[i].gaps, seen[i].String(), log)
		}
	}
	if got.Content != text || got.Events != int64(strings.Count(log, "\n")) || got.State == "complete" && text != p.full || !strings.HasPrefix(p.full, text) {
		t.Errorf("%s: the row %+v, the log %q, the plan %q", p.a.Message, got, text, p.full)
	}
	w.mu.Lock()
	w.states[got.State]++
	w.mu.Unlock()
	p.makers.Wait()
}

// make has a process make the answer, from what was said on.
func (p *play) make(t *testing.T, s *slot, seed uint64, logged int64, said string) {
	ctx, cancel := context.WithCancelCause(context.Background())
	live := s.Begin(p.a, logged, cancel)
	p.makers.Go(func() {
		defer live.End()
		r := rand.New(rand.NewPCG(seed, 1))
		at := len(said)
		left, text := p.pieces, said
		for at > 0 && len(left) > 0 { // what was said already, in part or whole
			n := min(at, len(left[0]))
			at -= n
			rest := left[0][n:]
			left = left[1:]
			if rest != "" {
				left = append([]string{rest}, left...)
			}
		}
		state := "complete"
		for _, piece := range left {
			if r.IntN(2) == 0 {
				time.Sleep(time.Duration(r.IntN(8)) * time.Millisecond)
			}
			if s.ctx.Err() != nil && s.way.gone() {
				return // killed
			}
			if errors.Is(context.Cause(ctx), relay.ErrStopped) {
				state = "stopped"
				break
			}
			var err error
			if piece == "" {
				err = live.Cite(json.RawMessage(`{"n":1}`))
			} else {
				err = live.Text(piece)
			}
			if err != nil {
				return
			}
			text += piece
		}
		n, err := live.Flush(context.Background())
		if err != nil || s.way.gone() {
			return
		}
		p.w.h.finish(t, s.Relay, p.a, state, text, n)
	})
}

var errGoing = errors.New("the reader goes")

// read follows the answer over as many connections as it takes.
func (p *play) read(ctx context.Context, t *testing.T, r *rand.Rand, seen *transcript) {
	for {
		s := p.w.any(r)
		p.w.mu.Lock()
		p.w.connections++
		p.w.mu.Unlock()
		leaves := 1 + r.IntN(6)
		within, let := context.WithCancel(ctx)
		if r.IntN(4) == 0 { // it goes while nothing comes
			within, let = context.WithTimeout(ctx, time.Duration(r.IntN(30))*time.Millisecond)
		}
		stop := context.AfterFunc(s.ctx, let)
		err := s.Follow(within, p.a, seen.last, func(events []relay.Event) error {
			for i := range events {
				if err := seen.give(events[i : i+1]); err != nil {
					return err
				}
				if leaves--; leaves == 0 && r.IntN(2) == 0 {
					return errGoing
				}
			}
			return nil
		})
		stop()
		let()
		switch {
		case err == nil:
			var state string
			must(t, p.w.h.db.QueryRow(context.Background(), `SELECT state FROM messages WHERE message_id = $1`, p.a.Message).Scan(&state))
			if state != "streaming" {
				return
			}
		case ctx.Err() != nil:
			t.Errorf("%s hangs: %+v", p.a.Message, p.w.h.get(t, p.a))
			return
		case errors.Is(err, relay.ErrHandedOver):
			if n, text, won, err := s.Claim(within, p.a); err == nil && won {
				p.make(t, s, r.Uint64(), n, text)
			}
		case !errors.Is(err, errGoing) && !fault.Is(err, fault.Unavailable):
			t.Errorf("%s: %v", p.a.Message, err)
			return
		}
	}
}
