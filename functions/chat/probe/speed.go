package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// speed is how fast the answers came. Times are in milliseconds.
type speed struct {
	Answers     int `json:"answers"`
	Concurrency int `json:"concurrency"`
	Failed      int `json:"failed"`
	// Errors says why, and how often.
	Errors map[string]int `json:"errors,omitempty"`

	Start     spread  `json:"start"`      // until the first event
	FirstText spread  `json:"first_text"` // until the first text
	Last      spread  `json:"last"`       // until the end
	Gap       spread  `json:"gap"`        // between two pieces of text
	PerSecond float64 `json:"events_per_second"`
	Seconds   float64 `json:"seconds"`
	Tokens    int64   `json:"tokens"`

	firsts, lasts []time.Duration // sorted
}

// spread says how times are spread, in milliseconds.
type spread struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// spreadOf sorts times and gives their percentiles: of so many times the one at or below
// which that share of them is (the nearest rank).
func spreadOf(times []time.Duration) spread {
	if len(times) == 0 {
		return spread{}
	}
	slices.Sort(times)
	at := func(share float64) float64 {
		rank := int(math.Ceil(share * float64(len(times))))
		return millis(times[max(rank, 1)-1])
	}
	return spread{at(0.5), at(0.9), at(0.99), at(1)}
}

func millis(d time.Duration) float64 { return math.Round(float64(d.Microseconds())/10) / 100 }

// measured is one answer.
type measured struct {
	start, first, last time.Duration
	gaps               []time.Duration
	events             int
	tokens             int64
	err                error
}

// measure asks for answers, several at a time, each worker in a session of its own.
func (p *probe) measure(ctx context.Context) *speed {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &speed{Concurrency: min(p.o.concurrency, p.o.answers), Errors: map[string]int{}}
	var mu sync.Mutex
	var all []measured
	var next atomic.Int64
	var workers sync.WaitGroup
	began := time.Now()
	for range s.Concurrency {
		workers.Go(func() {
			session := ""
			for ctx.Err() == nil && next.Add(1) <= int64(p.o.answers) {
				var m measured
				session, m = p.measureOne(ctx, session)
				mu.Lock()
				all = append(all, m)
				p.progress(len(all))
				mu.Unlock()
				if errors.Is(m.err, errSpent) {
					cancel() // the others would hear the same
				}
			}
		})
	}
	workers.Wait()
	s.Seconds = time.Since(began).Seconds()
	s.sum(all)
	return s
}

// progress says how many answers there are: on a terminal each time, elsewhere at the end.
func (p *probe) progress(n int) {
	switch live := terminal(p.told); {
	case live && n < p.o.answers:
		fmt.Fprintf(p.told, "\r         %d of %d answers", n, p.o.answers)
	case live:
		fmt.Fprintf(p.told, "\r         %d answers     \n", n)
	case n == p.o.answers:
		fmt.Fprintf(p.told, "         %d answers\n", n)
	}
}

func terminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// measureOne asks for an answer, in a new session when there is none. Each is a new
// beginning, so that the last question has no longer history than the first.
func (p *probe) measureOne(ctx context.Context, session string) (string, measured) {
	ctx, cancel := context.WithTimeout(ctx, p.o.timeout)
	defer cancel()
	var m measured
	if session == "" {
		if session, m.err = p.begin(ctx); m.err != nil {
			return "", m
		}
	}
	sent := p.ask(p.question())
	sent.Parent = "root"
	t, err := p.send(ctx, session, sent, false, nil)
	if err != nil {
		m.err = err
		return "", m // its answer may still be made there
	}
	a, err := t.whole()
	if err != nil {
		m.err = err
		return "", m
	}
	p.answeredBy(a.last.Model)
	m.start, m.first, m.last, m.events = t.events[0].at, a.first, t.events[len(t.events)-1].at, len(t.events)
	if a.last.Usage != nil {
		m.tokens = a.last.Usage.Input + a.last.Usage.Output
	}
	for i, e := range t.events[1:] {
		if e.name == "delta" && t.events[i].name == "delta" {
			m.gaps = append(m.gaps, e.at-t.events[i].at)
		}
	}
	return session, m
}

func (s *speed) sum(all []measured) {
	var starts, gaps []time.Duration
	events := 0
	for _, m := range all {
		s.Answers++
		if m.err != nil {
			s.Failed++
			s.Errors[m.err.Error()]++
			continue
		}
		starts, s.firsts, s.lasts = append(starts, m.start), append(s.firsts, m.first), append(s.lasts, m.last)
		gaps = append(gaps, m.gaps...)
		events += m.events
		s.Tokens += m.tokens
	}
	s.Start, s.FirstText, s.Last, s.Gap = spreadOf(starts), spreadOf(s.firsts), spreadOf(s.lasts), spreadOf(gaps)
	s.PerSecond = math.Round(10*float64(events)/s.Seconds) / 10
}

// reasons are the errors, the most frequent first.
func (s *speed) reasons() []string {
	return slices.SortedFunc(maps.Keys(s.Errors), func(a, b string) int { return s.Errors[b] - s.Errors[a] })
}
