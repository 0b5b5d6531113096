// Package encode is the port to the video encoder: pictures and sound go in,
// files that every player understands come out.
package encode

import (
	"context"
	"image"
	"time"
)

// SoundFrame is the number of samples in one AAC frame. The length of what Sound
// gets is a multiple of it: only then do joined parts keep picture and sound together.
const SoundFrame = 1024

// Encoder makes the parts of a film and joins them. Paths are local files that we
// named; Encoder overwrites them. Implementations are safe for concurrent use, end
// within 2 s of ctx, and notice within 10 s that their encoder hangs. Errors are
// fault.Unavailable when the same call may succeed later (the encoder was killed,
// the disk is full), else Internal.
type Encoder interface {
	// Picture writes a silent H.264 video that begins with a keyframe. All files that
	// one Encoder makes of the same size can be joined.
	Picture(ctx context.Context, dst string, reel Reel) error
	// Sound writes mono AAC frames. samples begins and ends with at least SoundFrame
	// samples of silence, so that parts meet without a click.
	Sound(ctx context.Context, dst string, rate int, samples []int16) error
	// Join makes an MP4 of parts without encoding again; playing can begin before it
	// is loaded whole (faststart). The parts' sound has one rate.
	Join(ctx context.Context, dst string, cut Cut) error
	// Probe tells what is in a file, as a player would see it.
	Probe(ctx context.Context, path string) (Media, error)
}

// Reel is a sequence of distinct pictures. Width and Height are even.
type Reel struct {
	Width, Height int // pixels
	Frames        []Frame
}

// Duration is how long the reel lasts.
func (r Reel) Duration() time.Duration {
	var d time.Duration
	for _, f := range r.Frames {
		d += f.Shown
	}
	return d
}

// Frame is a picture that stands for a while.
type Frame struct {
	Shown time.Duration // at least 1 ms
	// Draw gives the picture: 4:2:0, BT.709, limited range, the reel's size. It is called
	// at most once, in order; what it gave may be overwritten by the next call.
	Draw func() (*image.YCbCr, error)
}

// Cut lists what a film is made of.
type Cut struct {
	Parts    []Part
	Chapters []Chapter
}

// Duration is how long the film lasts.
func (c Cut) Duration() time.Duration {
	var d time.Duration
	for _, p := range c.Parts {
		d += p.Duration
	}
	return d
}

// Part is a picture file and a sound file that last equally long.
type Part struct {
	Picture, Sound string
	Duration       time.Duration
}

// Chapter is a named place in the film; it ends where the next begins.
type Chapter struct {
	Start time.Duration
	Title string // any text
}

// Media describes a file.
type Media struct {
	Duration     time.Duration
	Picture      string // codec and profile such as "h264 High"; empty when there is none
	Sound        string // codec such as "aac"; empty when there is none
	Width        int    // pixels
	Height       int    // pixels
	PictureEnd   time.Duration
	SoundEnd     time.Duration
	Channels     int
	ChapterCount int
}
