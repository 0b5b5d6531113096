package backup_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/backup"
)

// load is a number of questions to a first model that stalls now and then.
type load struct {
	calls, workers int
	usual          time.Duration // median of the time to the first token
	stall          time.Duration
	stalls         func(n int) bool // of the n-th call
}

// result is what those who asked saw, and what it took.
type result struct {
	first         []time.Duration // sorted
	calls, backup int
}

func (r result) p(q float64) time.Duration { return r.first[int(q*float64(len(r.first)))] }

// worst is the mean of the slowest share of all.
func (r result) worst(share float64) time.Duration {
	tail := r.first[len(r.first)-max(1, int(share*float64(len(r.first)))):]
	sum := time.Duration(0)
	for _, d := range tail {
		sum += d
	}
	return sum / time.Duration(len(tail))
}

func (r result) more() float64 { return float64(r.calls)/float64(len(r.first)) - 1 }

func (r result) String() string {
	return fmt.Sprintf("p50 %v, p99 %v, worst 1%% %v, %+.2f%% calls, backup answered %d",
		r.p(0.5).Round(time.Millisecond), r.p(0.99).Round(time.Millisecond), r.worst(0.01).Round(time.Millisecond), 100*r.more(), r.backup)
}

// models makes the two models of a load. The time to a first token is drawn log-normally.
func (l load) models() (first, second *voice) {
	random := rand.New(rand.NewPCG(1, 2)) // under the voice's lock
	n := 0
	usual := func(random *rand.Rand) time.Duration {
		return time.Duration(float64(l.usual) * math.Exp(0.4*random.NormFloat64()))
	}
	first = &voice{name: "first", draw: func() line {
		n++
		after := usual(random)
		if l.stalls(n) {
			after = l.stall
		}
		return line{after: after, text: "ok"}
	}}
	other := rand.New(rand.NewPCG(3, 4))
	second = &voice{name: "second", draw: func() line { return line{after: usual(other), text: "ok"} }}
	return first, second
}

// run puts the questions to a model made of the two.
func (l load) run(t testing.TB, with func(first, second llm.Streamer) llm.Streamer) result {
	first, second := l.models()
	m := with(first, second)
	var mu sync.Mutex
	var r result
	var wg sync.WaitGroup
	questions := make(chan struct{})
	for range l.workers {
		wg.Go(func() {
			for range questions {
				h := hear(t, t.Context(), m)
				mu.Lock()
				r.first = append(r.first, h.first)
				if h.resp.Model == "second" {
					r.backup++
				}
				mu.Unlock()
			}
		})
	}
	for range l.calls {
		questions <- struct{}{}
	}
	close(questions)
	wg.Wait()
	slices.Sort(r.first)
	a, _ := first.count()
	b, _ := second.count()
	r.calls = a + b
	return r
}

func alone(first, _ llm.Streamer) llm.Streamer { return first }

func backed(o backup.Options) func(first, second llm.Streamer) llm.Streamer {
	return func(first, second llm.Streamer) llm.Streamer { return backup.New(first, second, o) }
}

// With a first model that stalls one time in a hundred, the 99th percentile of the time
// to the first token falls at least fivefold, for at most 3 % more calls: whether the
// stalls come one by one or many at a time.
func TestStallsAreHardlySeen(t *testing.T) {
	t.Parallel()
	for name, stalls := range map[string]func(int) bool{
		"one by one": func(n int) bool { return n%100 == 0 },
		"in bursts":  func(n int) bool { return n%2000 >= 1980 },
		"at random":  func(n int) bool { return rand.New(rand.NewPCG(uint64(n), 7)).IntN(100) == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := load{calls: 6000, workers: 8, usual: 400 * time.Millisecond, stall: 20 * time.Second, stalls: stalls}
				without, with := l.run(t, alone), l.run(t, backed(backup.Options{}))
				t.Logf("without: %v", without)
				t.Logf("with:    %v", with)
				if before, after := without.worst(0.01), with.worst(0.01); after > before/5 {
					t.Errorf("the worst hundredth takes %v, without a backup %v", after, before)
				}
				if before, after := without.p(0.9905), with.p(0.9905); name != "at random" && after > before/5 {
					t.Errorf("p99 is %v, without a backup %v", after, before)
				}
				if with.more() > 0.03 {
					t.Errorf("%.2f%% more calls", 100*with.more())
				}
			})
		})
	}
}

// A first model that becomes slow, but not silent, is not doubled for long: the pace is
// learnt anew, and until then the credit holds.
func TestASlowerModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := load{calls: 3000, workers: 8, usual: 400 * time.Millisecond, stall: 3 * time.Second, stalls: func(n int) bool { return n > 1000 }}
		got := l.run(t, backed(backup.Options{}))
		t.Log(got)
		if got.more() > 0.03 {
			t.Errorf("%.2f%% more calls", 100*got.more())
		}
	})
}

// A first model that falls silent is found out in a moment, and the second answers
// alone until it is well.
func TestASilentModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := load{calls: 3000, workers: 8, usual: 400 * time.Millisecond, stall: time.Hour, stalls: func(n int) bool { return n > 1000 }}
		got := l.run(t, backed(backup.Options{}))
		t.Log(got)
		if slow := slices.IndexFunc(got.first, func(d time.Duration) bool { return d >= 5*time.Second }); slow >= 0 && len(got.first)-slow > 40 {
			t.Errorf("%d waited for the first model to the last", len(got.first)-slow)
		}
		if got.more() > 0.05 {
			t.Errorf("%.2f%% more calls", 100*got.more())
		}
	})
}

// Whatever two models do, what is heard is one model's answer as far as it came.
func TestAnyTwoModels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(5, 6))
		var mu sync.Mutex
		draw := func(name string) func() line {
			return func() line {
				mu.Lock()
				defer mu.Unlock()
				l := line{text: strings.Repeat(name+" ", 1+random.IntN(4)), after: time.Duration(random.IntN(8)) * time.Second, gap: time.Duration(random.IntN(2)) * time.Second}
				switch random.IntN(8) {
				case 0:
					l.err = []error{down, quota, wrong, llm.NotAsked(down), llm.Used(down)}[random.IntN(5)]
				case 1:
					l.breaks = down
				case 2:
					l.after = time.Hour
				}
				return l
			}
		}
		first, second := &voice{name: "first", draw: draw("first")}, &voice{name: "second", draw: draw("second")}
		m := backup.New(first, second, backup.Options{Rest: time.Second})
		var wg sync.WaitGroup
		for range 2000 {
			wg.Go(func() {
				h := hear(t, t.Context(), m)
				if strings.Contains(h.text, "first") && strings.Contains(h.text, "second") {
					t.Errorf("two models are heard: %q", h.text)
				}
				if who, _, _ := strings.Cut(h.text, " "); who != "" && who != h.resp.Model {
					t.Errorf("%s is said to have answered %q", h.resp.Model, h.text)
				}
			})
			time.Sleep(10 * time.Millisecond)
		}
		wg.Wait()
		if n := first.active.Load() + second.active.Load(); n != 0 {
			t.Errorf("%d calls go on", n)
		}
	})
}

// BenchmarkFirstToken shows what learners wait for a first token, in real time: a
// hundredth of the calls of the first model stall.
func BenchmarkFirstToken(b *testing.B) {
	l := load{calls: 4000, workers: 100, usual: 20 * time.Millisecond, stall: 2 * time.Second, stalls: func(n int) bool { return n%100 == 0 }}
	for name, with := range map[string]func(first, second llm.Streamer) llm.Streamer{
		"alone": alone, "backed": backed(backup.Options{Soonest: 5 * time.Millisecond}),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				got := l.run(b, with)
				b.ReportMetric(float64(got.p(0.5).Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(got.p(0.9905).Microseconds())/1000, "p99-ms")
				b.ReportMetric(100*got.more(), "%more-calls")
			}
		})
	}
}
