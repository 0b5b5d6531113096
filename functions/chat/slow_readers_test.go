package chat

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/internal/llm"
)

// F48: readers that take 1 kB a second, that take nothing, and whose way has gone dead
// without a word, are let go when a write has waited for its deadline. About 64 kB wait
// for each of them until then, nobody else notices, and when they come again they read
// on at the very byte. LECTERN_READERS says how many there are of the slow, and of
// others beside them.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("LECTERN_READERS"), "30"))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	enough := make(chan struct{}) // all readers are there
	r.model.says(atLength(enough))
	d := r.door()
	sessions := make([]string, 3)
	var away []*follower // who asked, and went
	for i := range sessions {
		sessions[i] = r.session()
		asked := d.follower(sessions[i], d.addr, 0)
		asked.ask(t)
		away = append(away, asked)
	}
	dead := newDeadWay(t, d)
	var fast, slow []*follower
	for i := range n {
		fast = append(fast, d.follower(sessions[i%3], d.addr, 0))
	}
	kinds := []string{"1 kB a second", "nothing", "a dead way"}
	for i := range n {
		to := d.addr
		if kinds[i/3%3] == "a dead way" {
			to = dead.addr
		}
		slow = append(slow, d.follower(sessions[i%3], to, 4<<10))
	}
	together(slices.Concat(fast, slow), func(i int, f *follower) {
		if err := f.come(); err != nil {
			t.Errorf("reader %d of %d: %v", i, 2*n, err)
		}
	})
	for _, f := range away {
		_ = f.Close()
	}
	if t.Failed() {
		return
	}
	quiet := memory()
	close(dead.dies)
	close(enough)
	letGo := make(chan struct{})
	var crawling sync.WaitGroup
	for i, f := range slow {
		if kinds[i/3%3] == "1 kB a second" {
			crawling.Go(func() { f.crawl(letGo) })
		}
	}
	began := time.Now()
	together(fast, func(i int, f *follower) {
		if err := f.rest(); err != nil {
			t.Errorf("fast reader %d: %v", i, err)
		}
	})
	took, still, loaded := time.Since(began), d.open(slow), memory()
	eventually(t, func() bool { return d.open(slow) == 0 })
	ended := time.Since(began)
	close(letGo)
	crawling.Wait()

	var most int64
	var longest time.Duration
	for i, f := range slow {
		c := d.of(f)
		most, longest = max(most, c.wrote.Load()-f.got), max(longest, time.Duration(c.longest.Load()))
		if f.over {
			t.Errorf("%s: reader %d has read everything", kinds[i/3%3], i)
		}
	}
	t.Logf("%d fast readers had all after %v, when %d of %d slow ones were there; the last of these was let go after %v, the longest write took %v; "+
		"at most %d bytes waited for one; memory: %d MiB before, %d then", n, took, still, n, ended, longest, most, quiet>>20, loaded>>20)
	if most > 80<<10 { // with what is on the client's side
		t.Errorf("%d bytes waited for one reader", most)
	}
	if longest > 25*time.Second { // 10 s, on a machine that does nothing else
		t.Errorf("a write took %v", longest)
	}
	if n >= 1000 && loaded > quiet+uint64(2*n)*100<<10 { // nobody else is there then
		t.Errorf("%d MiB for %d readers", (loaded-quiet)>>20, 2*n)
	}

	for some := range slices.Chunk(slow, 50) {
		together(some, func(i int, f *follower) {
			f.to, f.receive = d.addr, 0
			if err := f.come(); err != nil {
				t.Errorf("%s: reader %d comes again: %v", kinds[i/3%3], i, err)
			} else if err := f.rest(); err != nil {
				t.Errorf("%s: reader %d reads on: %v", kinds[i/3%3], i, err)
			}
		})
	}
	for i, f := range slices.Concat(fast, slow) {
		_ = f.Close()
		want := fast[slices.Index(sessions, f.session)]
		if !f.over || f.events != want.events || f.last != want.last || string(f.sum.Sum(nil)) != string(want.sum.Sum(nil)) {
			t.Errorf("reader %d of %d has had %d events, to %s; the first %d, to %s", i, 2*n, f.events, f.last, want.events, want.last)
		}
	}
	eventually(t, func() bool { return d.serving.Load() == 0 })
}

// atLength says 300 kB, which no buffer on the way holds, a word of them at once.
func atLength(enough <-chan struct{}) func(context.Context, llm.Request, func(string) error) error {
	return func(ctx context.Context, req llm.Request, say func(string) error) error {
		if err := held(enough, "Owls ", "hunt ")(ctx, req, say); err != nil {
			return err
		}
		for i := range 150 {
			if err := say(fmt.Sprintf("%d: %s", i, strings.Repeat("hunt at night. ", 136))); err != nil {
				return err
			}
			time.Sleep(10 * time.Millisecond)
		}
		return nil
	}
}

// together does something for all of them at the same time.
func together(all []*follower, do func(i int, f *follower)) {
	var group sync.WaitGroup
	for i, f := range all {
		group.Go(func() { do(i, f) })
	}
	group.Wait()
}

// memory is what is in use of the heap and of the stacks.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
