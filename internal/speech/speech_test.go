package speech_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/speech"
	"lectern.dev/lectern/internal/speech/speechtest"
)

func TestFake(t *testing.T) {
	t.Parallel()
	speechtest.Run(t, &speech.Fake{})
}

func TestWAVRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := speech.Audio{Rate: rapid.IntRange(1, 192_000).Draw(t, "rate"), Samples: rapid.SliceOf(rapid.Int16()).Draw(t, "samples")}
		got, err := speech.ParseWAV(want.WAV())
		if err != nil {
			t.Fatal(err)
		}
		if want.Samples == nil {
			want.Samples = []int16{}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestParseWAVNeverPanics(t *testing.T) {
	t.Parallel()
	whole := speech.Audio{Rate: 22_050, Samples: []int16{1, 2, 3}}.WAV()
	rapid.Check(t, func(t *rapid.T) {
		b := append([]byte(nil), whole[:rapid.IntRange(0, len(whole)).Draw(t, "cut")]...)
		for range rapid.IntRange(0, 4).Draw(t, "flips") {
			if len(b) > 0 {
				b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
		}
		_, _ = speech.ParseWAV(b)
	})
}
