package encode

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"time"

	"lectern.dev/lectern/internal/fault"
)

// Fake is an Encoder for tests: its files are small notes about what went in.
type Fake struct {
	mu       sync.Mutex
	err      error
	pictures int
	sounds   int
}

type note struct {
	Media  Media
	Hashes []uint32 // checksums of the luma of each part's last picture
}

// Fail makes every later call give err; nil ends that.
func (f *Fake) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// Counts tells how many pictures and sounds were encoded so far.
func (f *Fake) Counts() (pictures, sounds int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pictures, f.sounds
}

func (f *Fake) begin(ctx context.Context, pictures, sounds int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	f.pictures += pictures
	f.sounds += sounds
	return ctx.Err()
}

// Picture draws the last frame alone, which is quick, and keeps its checksum.
func (f *Fake) Picture(ctx context.Context, dst string, reel Reel) error {
	if err := f.begin(ctx, 1, 0); err != nil {
		return err
	}
	if len(reel.Frames) == 0 {
		return fault.New(fault.Internal, "a reel without frames")
	}
	n := note{Media: Media{
		Duration: reel.Duration(), PictureEnd: reel.Duration(),
		Picture: "h264 High", Width: reel.Width, Height: reel.Height,
	}}
	img, err := reel.Frames[len(reel.Frames)-1].Draw()
	if err != nil {
		return err
	}
	n.Hashes = append(n.Hashes, crc32.ChecksumIEEE(img.Y))
	return n.write(dst)
}

// Sound notes how long the sound lasts.
func (f *Fake) Sound(ctx context.Context, dst string, rate int, samples []int16) error {
	if err := f.begin(ctx, 0, 1); err != nil {
		return err
	}
	if len(samples) == 0 || len(samples)%SoundFrame != 0 {
		return fault.New(fault.Internal, "%d samples are no whole number of sound frames", len(samples))
	}
	d := time.Duration(len(samples)) * time.Second / time.Duration(rate)
	return note{Media: Media{Duration: d, SoundEnd: d, Sound: "aac", Channels: 1}}.write(dst)
}

// Join adds the notes up.
func (f *Fake) Join(ctx context.Context, dst string, cut Cut) error {
	if err := f.begin(ctx, 0, 0); err != nil {
		return err
	}
	film := note{Media: Media{ChapterCount: len(cut.Chapters)}}
	for _, part := range cut.Parts {
		picture, err := readNote(part.Picture)
		if err != nil {
			return err
		}
		sound, err := readNote(part.Sound)
		if err != nil {
			return err
		}
		m := &film.Media
		m.Picture, m.Width, m.Height = picture.Media.Picture, picture.Media.Width, picture.Media.Height
		m.Sound, m.Channels = sound.Media.Sound, sound.Media.Channels
		m.PictureEnd += part.Duration
		m.SoundEnd += sound.Media.Duration
		m.Duration += part.Duration
		film.Hashes = append(film.Hashes, picture.Hashes...)
	}
	return film.write(dst)
}

// Probe reads the note.
func (f *Fake) Probe(ctx context.Context, path string) (Media, error) {
	if err := f.begin(ctx, 0, 0); err != nil {
		return Media{}, err
	}
	n, err := readNote(path)
	return n.Media, err
}

func (n note) write(path string) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

func readNote(path string) (note, error) {
	var n note
	b, err := os.ReadFile(path)
	if err != nil {
		return n, err
	}
	if err := json.Unmarshal(b, &n); err != nil {
		return n, fmt.Errorf("%s is no film: %w", path, err)
	}
	return n, nil
}
