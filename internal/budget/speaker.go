package budget

import (
	"context"
	"math"
	"unicode/utf8"

	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/speech"
)

// Speaker is a voice whose every sentence is paid for, by who pays in ctx. Beside
// the voice's own errors it gives those of Ledger.Reserve.
type Speaker struct {
	speech.Speaker
	Ledger *Ledger
	Model  string // what the price is looked up by
}

// Speak implements speech.Speaker.
func (s Speaker) Speak(ctx context.Context, req speech.Request) (speech.Audio, error) {
	characters := int64(utf8.RuneCountInString(req.Text))
	most := Units{characters, longestSpeech(characters)}
	r, err := s.Ledger.Reserve(ctx, Speech, s.Model, most)
	if err != nil {
		return speech.Audio{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, lifetime*9/10)
	defer cancel()
	audio, err := s.Speaker.Speak(bounded, req)
	crash.Point("budget.called")
	switch {
	case err == nil:
		r.Settle(ctx, Units{characters, int64(math.Ceil(audio.Duration().Seconds()))})
	case bounded.Err() != nil || llm.MayBeUsed(err):
		r.Settle(ctx, most)
	default:
		r.Release(ctx)
	}
	return audio, err
}

// longestSpeech is how many seconds characters can last: the slowest are digits and
// signs that are read as words.
func longestSpeech(characters int64) int64 { return 5 + characters }
