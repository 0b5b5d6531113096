package film

import (
	"strings"
	"time"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/encode"
	"lectern.dev/lectern/internal/film/deck"
)

// The rhythm of a film.
const (
	cardTime  = 2500 * time.Millisecond // the title card, in silence
	leadIn    = 600 * time.Millisecond  // from a slide's first picture to its first word: the fade comes in between
	breath    = 320 * time.Millisecond  // between sentences
	leadOut   = 700 * time.Millisecond  // after a slide's last word
	quiet     = 4 * time.Second         // a slide without words, and
	quietEach = 2 * time.Second         // for each of its points
	readLine  = 600 * time.Millisecond  // to read a line of code,
	readRow   = 1200 * time.Millisecond // a row of a table,
	readWord  = 300 * time.Millisecond  // or a word of a quote
	readMost  = 15 * time.Second        // then the viewer can pause
	fadeTime  = 500 * time.Millisecond
	fadeSteps = 15 // pictures in a fade
)

// defaultRate is the sound's rate in a film without a word.
const defaultRate = 22_050

// utterance is a spoken sentence.
type utterance struct {
	key     string
	file    string // a WAV file
	samples int
}

// scene is a page on its way through the film. Its times are counted in samples,
// so that picture, sound, captions and chapters agree to the last of them.
type scene struct {
	page  deck.Page
	from  *deck.Page // the page that fades out; nil for the first
	slide course.Slide
	said  []utterance // one per sentence; no samples where there is nothing to say
	rate  int
	begin int // first sample, from the film's begin
	total int // samples; a multiple of encode.SoundFrame
	cues  []cue
}

// cue is when a sentence is spoken, in samples from the scene's begin.
type cue struct {
	sentence   int
	start, end int
	steps      int // points on the slide from start on
}

// plan places the sentences.
func (s *scene) plan(rate int) {
	s.rate = rate
	at := s.samples(leadIn)
	shown := 0
	for i, n := range s.slide.Narration {
		shown = min(max(shown, n.Reveals), len(s.slide.Points))
		if i == len(s.slide.Narration)-1 {
			shown = len(s.slide.Points) // what the narration forgot to reveal is not withheld
		}
		if i > 0 && s.said[i].samples > 0 {
			at += s.samples(breath)
		}
		s.cues = append(s.cues, cue{i, at, at + s.said[i].samples, shown})
		at += s.said[i].samples
	}
	switch {
	case s.page.Number == 0:
		at = s.samples(cardTime)
	case len(s.cues) == 0:
		at = s.samples(quiet + quietEach*time.Duration(len(s.slide.Points)))
		for i := range s.slide.Points {
			s.cues = append(s.cues, cue{-1, s.samples(leadIn + quietEach*time.Duration(i)), 0, i + 1})
		}
	default:
		at = max(at+s.samples(leadOut), s.samples(reading(s.slide)))
	}
	s.total = (at + encode.SoundFrame - 1) / encode.SoundFrame * encode.SoundFrame
}

// reading is how long a slide stands at least, whatever is said meanwhile: code, a
// table or a quote is often shown with one short sentence, and still has to be read.
func reading(s course.Slide) time.Duration {
	var d time.Duration
	switch {
	case s.Code != nil:
		for line := range strings.Lines(s.Code.Text) {
			if strings.TrimSpace(line) != "" {
				d += readLine
			}
		}
	case s.Table != nil:
		d = readRow * time.Duration(1+len(s.Table.Rows))
	case s.Quote != nil:
		d = readWord * time.Duration(len(strings.Fields(s.Quote.Text)))
	default:
		return 0
	}
	return min(leadIn+d+leadOut, readMost)
}

func (s *scene) samples(d time.Duration) int { return int(d * time.Duration(s.rate) / time.Second) }

// since gives the time of a sample of the scene, from the film's begin.
func (s *scene) since(sample int) time.Duration { return s.time(s.begin + sample) }

func (s *scene) time(samples int) time.Duration {
	return time.Duration(samples) * time.Second / time.Duration(s.rate)
}

// duration is exact in the film: differences of rounded sums, not sums of rounded differences.
func (s *scene) duration() time.Duration { return s.since(s.total) - s.since(0) }

// state is how many points stand on the page, and for how long.
type state struct {
	Steps int
	Shown time.Duration
}

// states lists the pictures of the scene.
func (s *scene) states() []state {
	states := []state{{0, 0}}
	var begin time.Duration
	for _, c := range s.cues {
		if c.steps > states[len(states)-1].Steps {
			at := s.time(c.start)
			states[len(states)-1].Shown = at - begin
			states = append(states, state{Steps: c.steps})
			begin = at
		}
	}
	states[len(states)-1].Shown = s.time(s.total) - begin
	return states
}
