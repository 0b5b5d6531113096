package film

import (
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/film/deck"
)

// What is shown with one short sentence stays long enough to be read, and what is
// spoken about for longer is not held up.
func TestWhatIsShownCanBeRead(t *testing.T) {
	t.Parallel()
	const second = 22_050
	code := &course.Code{Text: strings.Repeat("x := 1\n\n", 10)}
	for name, c := range map[string]struct {
		slide  course.Slide
		spoken int // seconds
		want   time.Duration
	}{
		"points":        {course.Slide{}, 2, leadIn + 2*time.Second + leadOut},
		"code":          {course.Slide{Code: code}, 2, leadIn + 10*readLine + leadOut},
		"code, spoken":  {course.Slide{Code: code}, 20, leadIn + 20*time.Second + leadOut},
		"table":         {course.Slide{Table: &course.Table{Rows: make([][]string, 4)}}, 2, leadIn + 5*readRow + leadOut},
		"quote":         {course.Slide{Quote: &course.Quote{Text: strings.Repeat("word ", 20)}}, 1, leadIn + 20*readWord + leadOut},
		"a long table":  {course.Slide{Table: &course.Table{Rows: make([][]string, 40)}}, 2, readMost},
		"many a screen": {course.Slide{Code: &course.Code{Text: strings.Repeat("x\n", 500)}}, 2, readMost},
	} {
		s := scene{page: deck.Page{Number: 1}, slide: c.slide, said: []utterance{{samples: c.spoken * second}}}
		s.slide.Narration = []course.Sentence{{Text: "This is how it looks."}}
		s.plan(second)
		if got := s.time(s.total); got < c.want || got > c.want+50*time.Millisecond {
			t.Errorf("%s: shown for %v, want %v", name, got, c.want)
		}
	}
}
