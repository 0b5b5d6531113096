package openai

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"

	sdk "github.com/openai/openai-go/v3"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/speech"
)

const (
	speechRate   = 24_000 // of response_format pcm: signed 16 bits, little endian, mono
	longestInput = 4096   // characters that the API takes
)

// Speaker is the server's voice; it implements speech.Speaker.
type Speaker struct{ *Server }

// Voice names model and voice; the API hears the language from the text.
func (s Speaker) Voice(string) string { return "openai/" + s.config.SpeechModel + "/" + s.config.Voice }

// Speak implements speech.Speaker.
func (s Speaker) Speak(ctx context.Context, req speech.Request) (speech.Audio, error) {
	if n := utf8.RuneCountInString(req.Text); n == 0 || n > longestInput {
		return speech.Audio{}, fault.New(fault.Invalid, "A sentence to be spoken must have 1 to %d characters; this one has %d.", longestInput, n)
	}
	sound, _, err := try(ctx, s.Server, func(ctx context.Context) ([]byte, error) {
		resp, err := s.speech.New(ctx, sdk.AudioSpeechNewParams{
			Input: req.Text, Model: s.config.SpeechModel,
			Voice:          sdk.AudioSpeechNewParamsVoiceUnion{OfString: sdk.String(s.config.Voice)},
			ResponseFormat: sdk.AudioSpeechNewParamsResponseFormatPCM,
		})
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		sound, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, fmt.Errorf("read the sound: %w", err)
		}
		return sound, nil
	})
	if err != nil {
		return speech.Audio{}, err
	}
	if len(sound) < 2 || len(sound)%2 != 0 {
		return speech.Audio{}, llm.Used(fault.New(fault.Unavailable, "The voice sent no whole sound."))
	}
	audio := speech.Audio{Rate: speechRate, Samples: make([]int16, len(sound)/2)}
	for i := range audio.Samples {
		audio.Samples[i] = int16(binary.LittleEndian.Uint16(sound[2*i:]))
	}
	return audio, nil
}
