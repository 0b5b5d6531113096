// Package encodetest is what every encode.Encoder must pass.
package encodetest

import (
	"context"
	"errors"
	"image"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lectern.dev/lectern/internal/encode"
)

// Run checks an encoder.
func Run(t *testing.T, e encode.Encoder) {
	t.Run("parts become a film", func(t *testing.T) { film(t, e) })
	t.Run("a reel without frames is refused", func(t *testing.T) {
		if err := e.Picture(t.Context(), path(t, "p"), encode.Reel{Width: 64, Height: 64}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("sound of half a frame is refused", func(t *testing.T) {
		if err := e.Sound(t.Context(), path(t, "s"), 22_050, make([]int16, encode.SoundFrame/2)); err == nil {
			t.Error("no error")
		}
	})
	t.Run("a failure to draw comes back", func(t *testing.T) {
		failure := errors.New("no ink")
		frames := []encode.Frame{still(time.Second, 10), {Shown: time.Second, Draw: func() (*image.YCbCr, error) { return nil, failure }}}
		err := e.Picture(t.Context(), path(t, "p"), encode.Reel{Width: 64, Height: 64, Frames: frames})
		if !errors.Is(err, failure) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a missing part is an error", func(t *testing.T) {
		cut := encode.Cut{Parts: []encode.Part{{Picture: path(t, "none"), Sound: path(t, "none"), Duration: time.Second}}}
		if err := e.Join(t.Context(), path(t, "film"), cut); err == nil {
			t.Error("no error")
		}
	})
	t.Run("what is no film is an error", func(t *testing.T) {
		p := path(t, "text")
		if err := os.WriteFile(p, []byte("no film at all"), 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := e.Probe(t.Context(), p); err == nil {
			t.Errorf("no error, but %+v", m)
		}
	})
	t.Run("a canceled context ends it", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.Picture(ctx, path(t, "p"), reel()); err == nil {
			t.Error("Picture: no error")
		}
		if err := e.Sound(ctx, path(t, "s"), 22_050, make([]int16, 4*encode.SoundFrame)); err == nil {
			t.Error("Sound: no error")
		}
	})
}

func film(t *testing.T, e encode.Encoder) {
	const rate, frames = 22_050, 70
	length := time.Duration(frames*encode.SoundFrame) * time.Second / rate
	var cut encode.Cut
	for i := range 3 {
		part := encode.Part{Picture: path(t, "picture"), Sound: path(t, "sound"), Duration: length}
		r := reel()
		r.Frames = append(r.Frames, still(length-r.Duration(), 90))
		if err := e.Picture(t.Context(), part.Picture, r); err != nil {
			t.Fatal(err)
		}
		if err := e.Sound(t.Context(), part.Sound, rate, beep(frames)); err != nil {
			t.Fatal(err)
		}
		cut.Parts = append(cut.Parts, part)
		cut.Chapters = append(cut.Chapters, encode.Chapter{Start: time.Duration(i) * length, Title: "100 %: 'a' = b; #c\\\nd"})
	}
	dst := path(t, "film")
	if err := e.Join(t.Context(), dst, cut); err != nil {
		t.Fatal(err)
	}
	m, err := e.Probe(t.Context(), dst)
	if err != nil {
		t.Fatal(err)
	}
	if m.Picture != "h264 High" || m.Sound != "aac" || m.Width != 64 || m.Height != 64 || m.Channels != 1 || m.ChapterCount != 3 {
		t.Errorf("the film is %+v", m)
	}
	for name, end := range map[string]time.Duration{"picture": m.PictureEnd, "sound": m.SoundEnd, "film": m.Duration} {
		if (end - cut.Duration()).Abs() > 5*time.Millisecond {
			t.Errorf("%s ends at %v instead of %v", name, end, cut.Duration())
		}
	}
}

func reel() encode.Reel {
	return encode.Reel{Width: 64, Height: 64, Frames: []encode.Frame{
		still(40*time.Millisecond, 200), still(time.Second, 50), still(700*time.Millisecond, 120),
	}}
}

// still is a grey picture.
func still(shown time.Duration, luma uint8) encode.Frame {
	return encode.Frame{Shown: shown, Draw: func() (*image.YCbCr, error) {
		img := image.NewYCbCr(image.Rect(0, 0, 64, 64), image.YCbCrSubsampleRatio420)
		for i := range img.Y {
			img.Y[i] = luma
		}
		for i := range img.Cb {
			img.Cb[i], img.Cr[i] = 128, 128
		}
		return img, nil
	}}
}

// beep is a tone with silence around it.
func beep(frames int) []int16 {
	samples := make([]int16, frames*encode.SoundFrame)
	for i := 2 * encode.SoundFrame; i < len(samples)-2*encode.SoundFrame; i++ {
		samples[i] = int16((i % 50) * 200)
	}
	return samples
}

func path(t *testing.T, name string) string { return filepath.Join(t.TempDir(), name) }
