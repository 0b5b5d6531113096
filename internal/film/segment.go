package film

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"time"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/encode"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/film/deck"
	"lectern.dev/lectern/internal/speech"
	"lectern.dev/lectern/internal/tally"
)

// stored gives the local file of a content-addressed part: from the bucket when it is
// there, else made and put there. Two that make the same part at once make the same
// bytes for a player, so the first to store it wins and the other is no error.
func (s *Studio) stored(ctx context.Context, dir, key, ext, contentType string, make func(dst string) error) (string, error) {
	dst := filepath.Join(dir, key+ext)
	object := "segments/" + key + ext
	switch err := s.fetch(ctx, object, dst); {
	case err == nil:
		tally.Add(ctx, "segments_reused", 1)
		return dst, nil
	case !errors.Is(err, blob.ErrNotFound):
		return "", err
	}
	crash.Point("film.before-segment")
	if err := make(dst); err != nil {
		return "", err
	}
	tally.Add(ctx, "segments_made", 1)
	crash.Point("film.segment-made")
	f, err := os.Open(dst)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	_, err = s.bucket.Write(ctx, object, f, blob.WriteOptions{ContentType: contentType, CreateOnly: true})
	if err != nil && !errors.Is(err, blob.ErrExists) {
		return "", err
	}
	crash.Point("film.segment-stored")
	return dst, nil
}

func (s *Studio) fetch(ctx context.Context, object, dst string) error {
	r, info, err := s.bucket.Open(ctx, object, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read
	f, err := os.Create(dst)
	if err != nil {
		return noSpace(err)
	}
	n, err := io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return noSpace(err)
	}
	if n != info.Size {
		return fault.New(fault.Unavailable, "%s has %d bytes of %d", object, n, info.Size)
	}
	return nil
}

// speak has a sentence spoken, once ever.
func (s *Studio) speak(ctx context.Context, dir, language, text string) (utterance, int, error) {
	if !words(text) {
		return utterance{}, 0, nil
	}
	key := hash("speech", s.speaker.Voice(language), language, text)
	file, err := s.stored(ctx, dir, key, ".wav", "audio/wav", func(dst string) error {
		audio, err := s.speaker.Speak(ctx, speech.Request{Text: text, Language: language})
		if err != nil {
			return err
		}
		return noSpace(os.WriteFile(dst, audio.WAV(), 0o600))
	})
	if err != nil {
		return utterance{}, 0, err
	}
	audio, err := readWAV(file)
	return utterance{key, file, len(audio.Samples)}, audio.Rate, err
}

// sound gives the scene's narration, encoded.
func (s *Studio) sound(ctx context.Context, dir string, sc *scene) (string, error) {
	type placed struct {
		Utterance string
		Start     int
	}
	var score []placed
	for _, c := range sc.cues {
		if c.sentence >= 0 {
			score = append(score, placed{sc.said[c.sentence].key, c.start})
		}
	}
	key := hash("sound", score, sc.rate, sc.total)
	return s.stored(ctx, dir, key, ".aac", "audio/aac", func(dst string) error {
		samples := make([]int16, sc.total)
		for _, c := range sc.cues {
			if c.sentence < 0 || sc.said[c.sentence].samples == 0 {
				continue
			}
			audio, err := readWAV(sc.said[c.sentence].file)
			if err != nil {
				return err
			}
			copy(samples[c.start:c.end], audio.Samples)
		}
		return s.encoder.Sound(ctx, dst, sc.rate, samples)
	})
}

// picture gives the scene's pictures, encoded. The fade belongs to the scene that
// fades in, so its key knows what the page before looks like, but not what is said
// there: a changed word costs one segment, a changed slide that slide's and a second
// one for the fade into the next.
func (s *Studio) picture(ctx context.Context, dir string, sc *scene) (string, error) {
	key := hash("picture", sc.page, sc.from, sc.states(), sc.duration())
	return s.stored(ctx, dir, key, ".mp4", "video/mp4", func(dst string) error {
		layout := s.deck.Set(sc.page)
		defer layout.Close()
		return s.encoder.Picture(ctx, dst, s.reel(sc, layout))
	})
}

func (s *Studio) reel(sc *scene, layout *deck.Layout) encode.Reel {
	canvas := deck.NewCanvas()
	drawn := -1
	show := func(step int) *image.YCbCr {
		if step > drawn {
			layout.Draw(canvas, drawn+1, step)
			drawn = step
		}
		return canvas.YCbCr
	}
	reel := encode.Reel{Width: deck.Width, Height: deck.Height}
	states := sc.states()
	if sc.from != nil {
		reel.Frames = s.fade(*sc.from, func() *image.YCbCr { return show(0) })
		states[0].Shown -= fadeTime
	}
	for _, st := range states {
		step := min(st.Steps, layout.Steps()-1)
		reel.Frames = append(reel.Frames, encode.Frame{Shown: st.Shown, Draw: func() (*image.YCbCr, error) { return show(step), nil }})
	}
	return reel
}

// fade gives the pictures between the last state of a page and the first of the next.
func (s *Studio) fade(from deck.Page, to func() *image.YCbCr) []encode.Frame {
	var before *image.YCbCr
	between := image.NewYCbCr(image.Rect(0, 0, deck.Width, deck.Height), image.YCbCrSubsampleRatio420)
	frames := make([]encode.Frame, fadeSteps)
	for i := range frames {
		frames[i] = encode.Frame{
			Shown: fadeTime*time.Duration(i+1)/fadeSteps - fadeTime*time.Duration(i)/fadeSteps,
			Draw: func() (*image.YCbCr, error) {
				if before == nil {
					before = s.final(from)
				}
				deck.Blend(between, before, to(), i+1, fadeSteps+1)
				return between, nil
			},
		}
	}
	return frames
}

// final draws a page with all its points.
func (s *Studio) final(page deck.Page) *image.YCbCr {
	layout := s.deck.Set(page)
	defer layout.Close()
	canvas := deck.NewCanvas()
	layout.Draw(canvas, 0, layout.Steps()-1)
	return canvas.YCbCr
}

func readWAV(file string) (speech.Audio, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return speech.Audio{}, err
	}
	audio, err := speech.ParseWAV(b)
	if err != nil {
		return speech.Audio{}, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return audio, nil
}
