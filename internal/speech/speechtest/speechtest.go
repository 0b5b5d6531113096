// Package speechtest is what every speech.Speaker must pass.
package speechtest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/internal/speech"
)

// Run checks a speaker.
func Run(t *testing.T, s speech.Speaker) {
	t.Run("longer text lasts longer", func(t *testing.T) {
		short := speak(t, s, "Hello.")
		long := speak(t, s, "Hello, and welcome to a sentence that goes on for quite a while.")
		if short.Duration() < 50*time.Millisecond || long.Duration() < 2*short.Duration() {
			t.Errorf("short text: %v, long text: %v", short.Duration(), long.Duration())
		}
		if loudness(long) == 0 {
			t.Error("the sound is silent")
		}
		if short.Rate != long.Rate {
			t.Errorf("rates differ: %d and %d", short.Rate, long.Rate)
		}
	})
	t.Run("text is never a command", func(t *testing.T) {
		for _, text := range []string{"-w /tmp/x", "--help me", "<speak>word</speak>", "[[h@l'oU]] word", "$(reboot) now", "a\x00b word", "line\nline"} {
			if a := speak(t, s, text); loudness(a) == 0 {
				t.Errorf("%q: nothing is heard", text)
			}
		}
	})
	t.Run("every language sounds", func(t *testing.T) {
		for _, lang := range []string{"en", "en-GB", "de", "pt-BR", "fr", "zh-Hant", "xx", ""} {
			a, err := s.Speak(t.Context(), speech.Request{Text: "Lectern 2026", Language: lang})
			if err != nil || loudness(a) == 0 {
				t.Errorf("%s: %v", lang, err)
			}
			if s.Voice(lang) == "" || strings.ContainsAny(s.Voice(lang), "\n\x00") {
				t.Errorf("%s: voice %q", lang, s.Voice(lang))
			}
		}
	})
	t.Run("the same text in parallel", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := s.Speak(t.Context(), speech.Request{Text: "In parallel.", Language: "en"}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
	t.Run("a canceled context ends it", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Speak(ctx, speech.Request{Text: "Never heard.", Language: "en"}); err == nil {
			t.Error("no error")
		}
	})
}

func speak(t *testing.T, s speech.Speaker, text string) speech.Audio {
	t.Helper()
	a, err := s.Speak(t.Context(), speech.Request{Text: text, Language: "en"})
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return a
}

func loudness(a speech.Audio) int {
	peak := 0
	for _, s := range a.Samples {
		peak = max(peak, int(s), -int(s))
	}
	return peak
}
