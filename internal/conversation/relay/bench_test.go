package relay_test

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"lectern.dev/lectern/internal/conversation/relay"
)

// BenchmarkRelay is what an event costs this process, from Text to its reader, with
// so many answers at a time, and how long the first event of an answer takes.
func BenchmarkRelay(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n, " answers"), func(b *testing.B) {
			h := newHouse(b)
			r := h.relay(b, relay.Options{Lease: time.Hour})
			producer, err := r.Producer(b.Context())
			must(b, err)
			var lives []*relay.Live
			var readers sync.WaitGroup
			for _, a := range h.rows(b, producer, n) {
				lives = append(lives, r.Begin(a, 0, make(causes, 1).cancel))
				readers.Go(func() { _ = r.Follow(b.Context(), a, 0, func([]relay.Event) error { return nil }) })
			}
			began := time.Now()
			must(b, lives[0].Text("a few words "))
			_, err = lives[0].Flush(b.Context())
			must(b, err)
			first := time.Since(began)
			before, events := cpu(), 0
			for b.Loop() {
				for _, l := range lives {
					must(b, l.Text("a few words "))
				}
				for _, l := range lives {
					_, err := l.Flush(b.Context())
					must(b, err)
				}
				events += n
			}
			b.ReportMetric(float64((cpu()-before).Microseconds())/float64(events), "µs-cpu/event")
			b.ReportMetric(float64(first.Microseconds()), "µs-first")
			for _, l := range lives {
				l.End()
			}
			readers.Wait()
		})
	}
}

// cpu is the time that this process has had of the processors.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
