package bench

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"lectern.dev/lectern/internal/postgres/pgtest"
)

// BenchmarkForwardedEvent is what a server spends on an event that it passes on, all
// included, while nothing begins or ends: where 200 models say twenty words a second
// each, and where 60 say a hundred, which Lectern puts together. It logs each of them
// before; the others keep nothing.
func BenchmarkForwardedEvent(b *testing.B) {
	b.Run("slow-words", func(b *testing.B) { benchmarkForwarded(b, 200, 50) })
	b.Run("fast-words", func(b *testing.B) { benchmarkForwarded(b, 60, 10) })
}

func benchmarkForwarded(b *testing.B, streams, pause int) {
	const window = 5 * time.Second
	pieces := 15000 / pause
	m := startModel(b)
	rounds := 1
	for b.Loop() {
		rounds = max(1, b.N)
	}
	targets := []target{startLectern(b, pgtest.New(b), m.plain, m, streams*rounds), startRelay(b, m)}
	if t, ok := startFastAPI(b, m); ok {
		targets = append(targets, t)
	}
	spent := map[string][]float64{}
	for round := range rounds {
		for _, t := range targets { // in turn
			var r readers
			for i := range streams {
				r.open(t, round*streams+i, fmt.Sprintf("%d pieces, one every %d ms", pieces, pause))
			}
			if !r.until(&r.begun, int64(streams), 30*time.Second) || r.broken.Load() > 0 {
				b.Fatalf("%s: %d streams began, %d broke: %v", t.name, r.begun.Load(), r.broken.Load(), r.why.Load())
			}
			if t.name == "lectern" {
				t.profile()
			}
			words, events, cpu := r.words.Load(), r.events.Load(), t.cpu(b)
			time.Sleep(window)
			spentCPU, gotWords, gotEvents := t.cpu(b)-cpu, r.words.Load()-words, r.events.Load()-events
			if t.name == "lectern" {
				t.profile()
			}
			r.wg.Wait()
			if r.broken.Load() > 0 {
				b.Fatalf("%s: %d streams broke: %v", t.name, r.broken.Load(), r.why.Load())
			}
			each := float64(spentCPU.Microseconds()) / float64(gotWords)
			spent[t.name] = append(spent[t.name], each)
			b.Logf("%s: %.1f µs of a processor for each of %d words, in %d events, at %.0f a second", t.name, each, gotWords, gotEvents, float64(gotWords)/window.Seconds())
		}
	}
	own := median(spent["lectern"])
	for _, t := range targets {
		b.ReportMetric(median(spent[t.name]), t.name+"-cpu-µs/event")
		if t.name != "lectern" {
			b.ReportMetric(median(spent[t.name])/own, t.name+"/lectern")
		}
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

func median[T cmp.Ordered](of []T) T {
	slices.Sort(of)
	return of[len(of)/2]
}

// BenchmarkFirstWord is how much later the first word comes than from the model
// itself, one question at a time. The database waits for its disk, as a deployed one
// does, and beside it one that does not: the difference is the disk's.
func BenchmarkFirstWord(b *testing.B) {
	questions := setting("LECTERN_BENCH_QUESTIONS", 300)
	m := startModel(b)
	for b.Loop() {
	}
	targets := []target{{"model", &process{url: m.plain}, completions}, startLectern(b, pgtest.Durable(b).Pool, m.plain, m, questions+20), startRelay(b, m)}
	hasty := startLectern(b, pgtest.New(b), m.plain, m, questions+20)
	hasty.name = "lectern-without-fsync"
	targets = append(targets, hasty)
	if t, ok := startFastAPI(b, m); ok {
		targets = append(targets, t)
	}
	took := map[string][]float64{}
	for i := range questions + 20 {
		for _, t := range targets {
			var r readers
			if err := r.read(t, i, "3 pieces, one every 1 ms", func(d time.Duration) {
				if i >= 20 { // the first are slow everywhere
					took[t.name] = append(took[t.name], float64(d.Microseconds())/1000)
				}
			}); err != nil {
				b.Fatalf("%s: %v", t.name, err)
			}
		}
	}
	for _, t := range targets {
		slices.Sort(took[t.name])
	}
	at := func(name string, q float64) float64 { return took[name][int(q*float64(len(took[name])))] }
	for _, t := range targets[1:] {
		b.ReportMetric(at(t.name, 0.5)-at("model", 0.5), t.name+"-added-ms-p50")
		b.ReportMetric(at(t.name, 0.99)-at("model", 0.99), t.name+"-added-ms-p99")
	}
	b.ReportMetric(at("model", 0.5), "model-ms-p50")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkOpenStreams holds 10,000 streams open at two words a second each: the
// memory that takes, the share of a processor, and how many are lost. The model is
// reached over HTTP/2, as OpenAI's is: the streams share a few connections.
func BenchmarkOpenStreams(b *testing.B) {
	streams := setting("LECTERN_BENCH_STREAMS", 10_000)
	const window = 20 * time.Second
	m := startModel(b)
	for b.Loop() {
	}
	t := startLectern(b, pgtest.New(b), m.safe, m, streams)
	idle, _ := t.resident(b)
	var r readers
	began := time.Now()
	for i := range streams {
		r.open(t, i, "100000 pieces, one every 500 ms")
		// Some at a time: beginning an answer costs a thousand times what an event does.
		for int64(i)-r.begun.Load()-r.broken.Load() > 30 {
			time.Sleep(time.Millisecond)
		}
	}
	if !r.until(&r.begun, int64(streams), 4*time.Minute) {
		b.Fatalf("%d of %d streams began; %d broke: %v", r.begun.Load(), streams, r.broken.Load(), r.why.Load())
	}
	b.Logf("%d streams are open after %v", streams, time.Since(began).Round(time.Millisecond))
	t.profile()
	words, cpu := r.words.Load(), t.cpu(b)
	from := time.Now()
	time.Sleep(window)
	took := time.Since(from)
	spent, got := t.cpu(b)-cpu, r.words.Load()-words
	t.profile()
	open := r.begun.Load() - r.ended.Load() - r.broken.Load() // none should have ended
	now, _ := t.resident(b)
	b.ReportMetric(float64(open), "streams-open")
	b.ReportMetric(now, "MiB-resident")
	b.ReportMetric(idle, "MiB-idle")
	b.ReportMetric(spent.Seconds()/took.Seconds(), "cores")
	b.ReportMetric(float64(got)/took.Seconds(), "words/s")
	b.ReportMetric(float64(spent.Microseconds())/float64(got), "cpu-µs/event")
	_, most := t.resident(b)
	b.ReportMetric(most, "MiB-most")
	b.ReportMetric(float64(int64(streams)-open), "dropped")
	r.leave()
	r.wg.Wait()
	b.ReportMetric(0, "ns/op")
	if why := r.why.Load(); why != nil {
		b.Log(why)
	}
}

func setting(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}
