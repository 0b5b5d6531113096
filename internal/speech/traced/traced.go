// Package traced shows what a voice says in the trace of who has it speak: how much, and
// never what.
package traced

import (
	"context"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"

	"lectern.dev/lectern/internal/speech"
	"lectern.dev/lectern/internal/trail"
)

// Speaker is a voice whose sentences are shown.
type Speaker struct{ speech.Speaker }

// Speak implements speech.Speaker.
func (s Speaker) Speak(ctx context.Context, req speech.Request) (speech.Audio, error) {
	if !trail.Recording(ctx) {
		return s.Speaker.Speak(ctx, req)
	}
	ctx, span := trail.Call(ctx, "speak", attribute.String("lectern.voice", s.Voice(req.Language)), attribute.Int("lectern.characters", utf8.RuneCountInString(req.Text)))
	audio, err := s.Speaker.Speak(ctx, req)
	span.Set(attribute.Float64("lectern.seconds_of_sound", audio.Duration().Seconds()))
	span.End(err)
	return audio, err
}
