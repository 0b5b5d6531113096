// Package speech is the port to voices: a sentence becomes sound.
package speech

import (
	"context"
	"time"
)

// Speaker reads text aloud. Implementations are safe for concurrent use and
// honour ctx. Errors carry a fault kind, as in package llm.
type Speaker interface {
	// Speak gives the sound of req.Text. It never gives back an empty Audio for a text that has words.
	Speak(ctx context.Context, req Request) (Audio, error)
	// Voice names engine, voice and settings ("espeak-ng/en-us+f3/165"). It is part of what
	// addresses a film segment, so anything that changes the sound changes it.
	Voice(language string) string
}

// Request is one utterance of at most 4,096 characters.
type Request struct {
	Text     string
	Language string // BCP 47: "en", "pt-BR"
}

// Audio is mono sound: signed 16-bit samples in the machine's order.
type Audio struct {
	Rate    int // samples a second
	Samples []int16
}

// Duration is how long the sound lasts.
func (a Audio) Duration() time.Duration {
	if a.Rate == 0 {
		return 0
	}
	return time.Duration(len(a.Samples)) * time.Second / time.Duration(a.Rate)
}
