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
)

// schedules is how many the test runs; LECTERN_SCHEDULES in the environment says
// another number.
func schedules(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("LECTERN_SCHEDULES")); err == nil {
		return n
	}
	return usual
}

// F45: answers are made, stopped, handed over, killed and frozen in three processes,
// on a database that keeps them waiting and cuts them off, while readers come, go and
// come again anywhere: what each of them was given, one connection after the other, is
// what the log has, and what the row says; and all come to an end.
func TestDisconnectSchedules(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.aged(t)
	n := schedules(150)
	w := newWorld(t, h)
	began := time.Now()
	var all sync.WaitGroup
	next := make(chan uint64)
	for range min(48+n/50, 300) { // they wait, most of the time
		all.Go(func() {
			for seed := range next {
				w.schedule(t, rand.New(rand.NewPCG(seed, 4)))
			}
		})
	}
	for seed := range n {
		next <- uint64(seed)
		if seed%5_000 == 0 && seed > 0 {
			w.count(func(sum *tally) { t.Logf("%d have begun after %v: %+v", seed, time.Since(began), *sum) })
		}
	}
	close(next)
	all.Wait()
	w.stop()
	t.Logf("%d schedules in %v, %d beats: %+v", n, time.Since(began), w.pulse.now(), w.tally)
}

// play is one answer and all that happens to it.
type play struct {
	w      *world
	a      relay.Answer
	pieces []string // "" is a citation
	full   string
	calm   time.Duration // the longest pause between two pieces
	leave  context.CancelFunc
	makers sync.WaitGroup
}

func (w *world) schedule(t *testing.T, r *rand.Rand) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := &play{w: w, leave: cancel, calm: []time.Duration{0, 8 * time.Millisecond, 80 * time.Millisecond}[r.IntN(3)]}
	for range r.IntN(16) {
		piece := ""
		if r.IntN(5) > 0 {
			piece = strings.Repeat("é", r.IntN(4)) + fmt.Sprint(r.IntN(1000), " ")
		}
		p.pieces = append(p.pieces, piece)
	}
	p.full = strings.Join(p.pieces, "")
	for {
		s := w.any(r)
		producer, err := s.Producer(ctx)
		if err != nil {
			continue // it went just now; nothing was begun
		}
		p.a = w.h.row(t, producer)
		p.make(s, r.Uint64(), 0, "")
		break
	}
	if r.IntN(8) == 0 {
		pause, by := time.Duration(r.IntN(30))*time.Millisecond, w.any(r)
		p.makers.Go(func() {
			time.Sleep(pause)
			_ = by.Stop(ctx, p.a)
		})
	}
	seen := make([]transcript, 1+r.IntN(3))
	var readers sync.WaitGroup
	for i := range seen {
		seed := r.Uint64()
		readers.Go(func() { p.read(ctx, t, rand.New(rand.NewPCG(seed, 0)), i, &seen[i]) })
	}
	readers.Wait()
	if ctx.Err() != nil {
		return // it hangs, and was told of
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
	w.count(func(sum *tally) {
		sum.states[got.State]++
		for i := range seen {
			for at := 0; at < len(seen[i].gaps); at += 2 {
				if seen[i].gaps[at+1] > seen[i].gaps[at] {
					sum.gaps++
				} else {
					sum.duplicates++
				}
			}
		}
	})
	p.makers.Wait()
}

// make has a process make the answer, from what was said on.
func (p *play) make(s *slot, seed uint64, logged int64, said string) {
	ctx, cancel := context.WithCancelCause(context.Background())
	live := s.Begin(p.a, logged, cancel)
	p.makers.Go(func() {
		defer live.End()
		r := rand.New(rand.NewPCG(seed, 1))
		text, state := said, "complete"
		for _, piece := range behind(p.pieces, len(said)) {
			if p.calm > 0 && r.IntN(2) == 0 {
				time.Sleep(time.Duration(r.Int64N(int64(p.calm))))
			}
			if s.way.gone() {
				return
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
		if err != nil || s.way.alive() != nil {
			return
		}
		p.w.finish(s, p.a, state, text, n)
	})
}

// behind is what is left of an answer when its first bytes have been said.
func behind(pieces []string, said int) []string {
	for said > 0 && len(pieces) > 0 {
		n := min(said, len(pieces[0]))
		said -= n
		if rest := pieces[0][n:]; rest != "" {
			return append([]string{rest}, pieces[1:]...)
		}
		pieces = pieces[1:]
	}
	return pieces
}

// finish fills in a row on a connection of the process, which may be cut.
func (w *world) finish(s *slot, a relay.Answer, state, content string, events int64) {
	for range 3 {
		_, err := w.rows.Exec(context.Background(), `
			UPDATE messages SET state = $4, content = $5, events = $6, finished_at = now()
			WHERE organization_id = $1 AND session_id = $2 AND message_id = $3 AND state = 'streaming' AND producer_id = $7`,
			a.Organization, a.Session, a.Message, state, content, events, relay.ID(s.Relay))
		if err == nil || s.way.gone() {
			return
		}
	}
}

var errGoing = errors.New("the reader goes")

// read follows the answer over as many connections as it takes.
func (p *play) read(ctx context.Context, t *testing.T, r *rand.Rand, me int, seen *transcript) {
	watched := p.w.watch.enter(p, me)
	defer p.w.watch.leave(watched)
	for {
		s := p.w.any(r)
		leaves := 1 + r.IntN(6)
		within, let := context.WithCancel(ctx)
		if r.IntN(4) == 0 { // it goes while nothing comes
			within, let = context.WithTimeout(ctx, time.Duration(r.IntN(30))*time.Millisecond)
		}
		stop := context.AfterFunc(s.ctx, let)
		before, looks := seen.last, s.way.looks.Load()
		err := s.Follow(within, p.a, seen.last, func(events []relay.Event) error {
			p.w.watch.hear(watched)
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
		p.w.watch.went(watched, s.way.looks.Load()-looks)
		p.w.count(func(sum *tally) { sum.connections++; sum.events += int(seen.last - before) })
		if errors.Is(err, relay.ErrHandedOver) {
			if r.IntN(3) == 0 { // it goes while the answer is being taken over
				let()
				within, let = context.WithTimeout(ctx, time.Duration(r.IntN(3000))*time.Microsecond)
			}
			if n, text, won, err := s.Claim(within, p.a); err == nil && won {
				p.make(s, r.Uint64(), n, text)
			}
		}
		stop()
		let()
		switch {
		case err == nil:
			p.w.watch.hear(watched)
			if p.w.h.get(t, p.a).State != "streaming" {
				return
			}
		case ctx.Err() != nil:
			return
		case !errors.Is(err, relay.ErrHandedOver) && !errors.Is(err, errGoing) && !fault.Is(err, fault.Unavailable):
			t.Errorf("%s: %v", p.a.Message, err)
			return
		}
	}
}
