package instances

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lectern.dev/lectern/internal/id"
)

// F13, F45, F46: two instances are killed, frozen and told to end while answers are
// made and read. Every reader sees every event once, in order, over however many
// connections and instances; the row says what they saw; all come to an end.
func TestSchedules(t *testing.T) {
	t.Parallel()
	w := &world{house: newHouse(t), ended: make(chan struct{}), states: map[string]int{}, deaths: map[string]int{}}
	for i := range w.slots {
		w.slots[i] = w.start()
	}
	n := schedules(16)
	workers := min(16+n/10, 100)
	var unrest, all sync.WaitGroup
	unrest.Go(w.unrest)
	next := make(chan uint64)
	for range workers {
		all.Go(func() {
			for seed := range next {
				w.schedule(rand.New(rand.NewPCG(seed, 45)))
			}
		})
	}
	for seed := range n {
		next <- uint64(seed)
	}
	close(next)
	all.Wait()
	close(w.ended)
	unrest.Wait()
	t.Logf("%d schedules, %d connections; answers: %v; instances: %v; the slowest told to end took %v",
		n, w.connections, w.states, w.deaths, w.exit)
}

type world struct {
	*house
	mu          sync.Mutex
	slots       [2]*instance
	ended       chan struct{}
	connections int
	states      map[string]int
	deaths      map[string]int
	exit        time.Duration
}

func (w *world) unrest() {
	var late sync.WaitGroup
	defer late.Wait()
	for n := 0; ; n++ {
		select {
		case <-w.ended:
			return
		case <-time.After(time.Duration(500+rand.IntN(1500)) * time.Millisecond):
		}
		fresh := w.start()
		if fresh == nil {
			return
		}
		w.mu.Lock()
		slot := rand.IntN(len(w.slots))
		old := w.slots[slot]
		w.slots[slot] = fresh
		how := []string{"killed", "told to end", "frozen"}[n%3]
		w.deaths[how]++
		w.mu.Unlock()
		switch how {
		case "killed":
			old.signal(syscall.SIGKILL)
		case "frozen":
			old.signal(syscall.SIGSTOP)
			late.Go(func() {
				time.Sleep(time.Duration(rand.IntN(12_000)) * time.Millisecond) // for longer than its lease, or not
				old.signal(syscall.SIGCONT)
				time.Sleep(3 * time.Second)
				old.signal(syscall.SIGKILL)
			})
		case "told to end":
			ending := watch()
			old.signal(syscall.SIGTERM)
			late.Go(func() {
				<-old.exited
				took := ending.within(w.t, 8500*time.Millisecond, old.at, "an instance ended")
				w.mu.Lock()
				defer w.mu.Unlock()
				w.exit = max(w.exit, took)
			})
		}
	}
}

func (w *world) any(r *rand.Rand) *instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.connections++
	return w.slots[r.IntN(len(w.slots))]
}

var errGoing = errors.New("the reader goes")

func (w *world) schedule(r *rand.Rand) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	session, n := w.session(), 1+r.IntN(120)
	question := fmt.Sprintf(`{"id":%q,"content":"%d words, one every %d ms"}`, id.New(id.Message), n, 1+r.IntN(60))
	seen := make([]transcript, 1+r.IntN(3))
	var readers sync.WaitGroup
	for i := range seen {
		seed := r.Uint64()
		readers.Go(func() { w.read(ctx, rand.New(rand.NewPCG(seed, 0)), session, question, &seen[i]) })
	}
	readers.Wait()
	answer := seen[0].answer("")
	got := w.row(answer)
	for i := range seen {
		s := &seen[i]
		switch {
		case !s.over():
			w.t.Errorf("%s: reader %d hangs; the row: %+v; seen:\n%s", answer, i, got, s)
		case s.wrong != nil || s.String() != seen[0].String():
			w.t.Errorf("%s: reader %d saw\n%s\n%q; the first saw\n%s", answer, i, s, s.wrong, &seen[0])
		case s.text() != got.Content || int64(len(s.events)) != got.Events+2:
			w.t.Errorf("%s: reader %d saw\n%s\nthe row says %+v", answer, i, s, got)
		}
	}
	full := strings.Join(words(0, n), "")
	if got.State == "complete" && got.Content != full || !strings.HasPrefix(full, got.Content) || got.State == "streaming" {
		w.t.Errorf("%s: %+v; planned: %s", answer, got, full)
	}
	if got.State == "failed" {
		w.t.Log(answer, seen[0].last().data)
	}
	w.mu.Lock()
	w.states[got.State]++
	w.mu.Unlock()
}

// read follows an answer over as many connections as it takes.
func (w *world) read(ctx context.Context, r *rand.Rand, session, question string, seen *transcript) {
	for !seen.over() && ctx.Err() == nil {
		i := w.any(r)
		asked := question // again, for who has seen nothing: it is the same message
		if len(seen.events) > 0 {
			asked = ""
		}
		leaves := 1 + r.IntN(40)
		within, let := context.WithCancel(ctx)
		if r.IntN(3) == 0 { // in the middle of anything
			within, let = context.WithTimeout(ctx, time.Duration(r.IntN(1500))*time.Millisecond)
		}
		status, err := w.listen(within, i, session, asked, seen.last().id, func(e event) error {
			if err := seen.give(e); err != nil {
				return err
			}
			if leaves--; leaves == 0 {
				return errGoing
			}
			return nil
		})
		let()
		switch {
		case err == nil && status == 204 && !seen.over():
			w.t.Errorf("%s: nothing more is said to come", seen)
			return
		case err == nil && status != 200 && status != 503 && status != 204:
			w.t.Errorf("status %d", status)
			return
		case err != nil || status != 200:
			time.Sleep(time.Duration(20+r.IntN(80)) * time.Millisecond)
		}
	}
}
