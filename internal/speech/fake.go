package speech

import (
	"context"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Fake hums instead of speaking: 60 ms a character, at most 16,000 samples a second.
type Fake struct {
	Pace time.Duration // per character; 0: 60 ms

	mu    sync.Mutex
	err   error
	texts []string
}

var _ Speaker = (*Fake)(nil)

const fakeRate = 16_000

// Fail makes every later call give err; nil ends that.
func (f *Fake) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// Spoken lists what was spoken so far.
func (f *Fake) Spoken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.texts...)
}

// Speak hums for as long as the text is.
func (f *Fake) Speak(ctx context.Context, req Request) (Audio, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return Audio{}, f.err
	}
	if err := ctx.Err(); err != nil {
		return Audio{}, err
	}
	f.texts = append(f.texts, req.Text)
	pace := f.Pace
	if pace == 0 {
		pace = 60 * time.Millisecond
	}
	length := time.Duration(utf8.RuneCountInString(strings.TrimSpace(req.Text))) * pace
	samples := make([]int16, int(length*fakeRate/time.Second))
	for i := range samples {
		samples[i] = int16(6000 * math.Sin(2*math.Pi*220*float64(i)/fakeRate))
	}
	return Audio{Rate: fakeRate, Samples: samples}, nil
}

// Voice names the hum.
func (f *Fake) Voice(language string) string { return "hum/" + language }
